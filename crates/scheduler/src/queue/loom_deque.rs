//! Which queues replace crossbeam's under the models? They are meant to be weaker than crossbeam's.
//!
//! loom does not know crossbeam's atomics. A plain queue with a lock would not do: its lock orders
//! accesses that the real queue does not order, and so hides a missing fence. Here `len` is read
//! before the lock is tried, and may be an old value, so *empty* may be a stale answer; and if the
//! lock is held, the answer is *retry*. A protocol that passes holds over any queue that is no
//! weaker than this one. That crossbeam's queue is no weaker is assumed. That both queues behave
//! alike on one thread is tested below.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Steal;
use crate::sync::{AtomicUsize, HintU64, Mutex, MutexGuard, Ordering};
use crate::task::Runnable;

/// The most that crossbeam moves at once.
const MAX_BATCH: usize = 32;

static RETRIES: HintU64 = HintU64::new(0);

/// How often a thief had to retry, over all runs of all models so far.
#[cfg(selvedge_loom)]
pub fn retries() -> u64 {
    RETRIES.load(Ordering::Relaxed)
}

struct Queue<T> {
    len: AtomicUsize,
    items: Mutex<VecDeque<T>>,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { len: AtomicUsize::new(0), items: Mutex::new(VecDeque::new()) }
    }

    /// May be stale.
    fn len(&self) -> usize {
        // Ordering: Acquire pairs with the Release in `change`.
        self.len.load(Ordering::Acquire)
    }

    /// Changes the queue, whose lock is held. The length is read and published under the lock, so
    /// that in a model other threads come to the lock meanwhile.
    fn change<R>(
        &self,
        mut items: MutexGuard<'_, VecDeque<T>>,
        change: impl FnOnce(&mut VecDeque<T>) -> R,
    ) -> R {
        // Relaxed: the lock orders it.
        let before = self.len.load(Ordering::Relaxed);
        debug_assert_eq!(before, items.len());
        let result = change(&mut items);
        if items.len() != before {
            // Ordering: Release pairs with the Acquire in `len`.
            self.len.store(items.len(), Ordering::Release);
        }
        result
    }

    fn push(&self, item: T) {
        self.change(self.items.lock(), |items| items.push_back(item));
    }

    fn extend(&self, batch: VecDeque<T>) {
        if !batch.is_empty() {
            self.change(self.items.lock(), |items| items.extend(batch));
        }
    }

    /// Takes the first item and `more(len)` others. The others go to `into` once this queue is
    /// unlocked.
    fn steal(&self, into: Option<&Self>, more: impl FnOnce(usize) -> usize) -> Steal<T> {
        if self.len() == 0 {
            return Steal::Empty;
        }
        let Some(items) = self.items.try_lock() else {
            RETRIES.fetch_add(1, Ordering::Relaxed);
            return Steal::Retry;
        };
        let (first, batch) = self.change(items, |items| {
            let more = more(items.len());
            let first = items.pop_front();
            let batch = items.drain(..more.min(items.len())).collect();
            (first, batch)
        });
        if let Some(into) = into {
            into.extend(batch);
        }
        first.map_or(Steal::Empty, Steal::Success)
    }
}

/// The owner's end of a worker's queue. First in, first out.
pub(crate) struct Deque<T = Runnable>(Arc<Queue<T>>);

/// The end from which thieves take.
pub(crate) struct Stealer<T = Runnable>(Arc<Queue<T>>);

/// The queue that no worker owns.
pub(crate) struct Injector<T = Runnable>(Queue<T>);

impl<T> Deque<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Queue::new()))
    }
    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }
    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }
    /// The owner never has to retry.
    pub(crate) fn pop(&self) -> Option<T> {
        if self.0.len() == 0 {
            // The owner knows what it has pushed: thieves never make a queue look emptier than it
            // is.
            return None;
        }
        self.0.change(self.0.items.lock(), VecDeque::pop_front)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}

impl<T> Stealer<T> {
    pub(crate) fn steal_batch(&self, into: &Deque<T>) -> Steal<T> {
        self.0.steal(Some(&into.0), |len| (len.saturating_sub(1) / 2).min(MAX_BATCH - 1))
    }
    pub(crate) fn steal_one(&self) -> Steal<T> {
        self.0.steal(None, |_| 0)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Queue::new())
    }
    pub(crate) fn push(&self, item: T) {
        self.0.push(item);
    }
    pub(crate) fn steal_batch(&self, into: &Deque<T>) -> Steal<T> {
        self.0.steal(Some(&into.0), |len| (len.div_ceil(2)).min(MAX_BATCH).saturating_sub(1))
    }
    pub(crate) fn steal_one(&self) -> Steal<T> {
        self.0.steal(None, |_| 0)
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;
    use crossbeam_deque as crossbeam;

    /// So few pushes into the injector that a batch of crossbeam's never meets the end of a block,
    /// where it would take more.
    const PUSHES: u32 = 60;
    const PROGRAMS: u64 = 20_000;

    /// xorshift64.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) % sides
        }
    }

    #[derive(Debug, PartialEq)]
    enum Answer {
        Took(Option<u32>),
        Lengths([usize; 3]),
    }

    /// Two workers and an injector, as both libraries have them.
    trait House {
        fn act(&mut self, action: u64, item: u32) -> Answer;
        fn lengths(&self) -> [usize; 3];
    }

    struct StandIn {
        deques: [Deque<u32>; 2],
        stealers: [Stealer<u32>; 2],
        injector: Injector<u32>,
    }

    impl House for StandIn {
        fn act(&mut self, action: u64, item: u32) -> Answer {
            let took = |steal| match steal {
                Steal::Success(item) => Some(item),
                Steal::Empty => None,
                Steal::Retry => panic!("nobody is in the way"),
            };
            let worker = (action % 2) as usize;
            Answer::Took(match action / 2 {
                0 => self.deques[worker].pop(),
                1 => took(self.stealers[worker].steal_one()),
                2 => took(self.stealers[worker].steal_batch(&self.deques[1 - worker])),
                3 => took(self.injector.steal_one()),
                4 => took(self.injector.steal_batch(&self.deques[worker])),
                5 => return Answer::Lengths(self.lengths()),
                6 | 7 => {
                    self.injector.push(item);
                    None
                }
                _ => {
                    self.deques[worker].push(item);
                    None
                }
            })
        }
        fn lengths(&self) -> [usize; 3] {
            assert_eq!(self.deques[0].is_empty(), self.stealers[0].is_empty());
            let lengths = [self.stealers[0].len(), self.stealers[1].len(), self.injector.len()];
            assert_eq!(self.injector.is_empty(), lengths[2] == 0);
            lengths
        }
    }

    struct Crossbeam {
        deques: [crossbeam::Worker<u32>; 2],
        stealers: [crossbeam::Stealer<u32>; 2],
        injector: crossbeam::Injector<u32>,
    }

    impl House for Crossbeam {
        fn act(&mut self, action: u64, item: u32) -> Answer {
            let worker = (action % 2) as usize;
            Answer::Took(match action / 2 {
                0 => self.deques[worker].pop(),
                1 => self.stealers[worker].steal().success(),
                2 => self.stealers[worker].steal_batch_and_pop(&self.deques[1 - worker]).success(),
                3 => self.injector.steal().success(),
                4 => self.injector.steal_batch_and_pop(&self.deques[worker]).success(),
                5 => return Answer::Lengths(self.lengths()),
                6 | 7 => {
                    self.injector.push(item);
                    None
                }
                _ => {
                    self.deques[worker].push(item);
                    None
                }
            })
        }
        fn lengths(&self) -> [usize; 3] {
            [self.stealers[0].len(), self.stealers[1].len(), self.injector.len()]
        }
    }

    #[test]
    fn on_one_thread_it_does_what_crossbeam_does() {
        for program in 1..=PROGRAMS {
            let mut dice = Dice(program.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let deques = [Deque::new(), Deque::new()];
            let mut ours = StandIn {
                stealers: [deques[0].stealer(), deques[1].stealer()],
                deques,
                injector: Injector::new(),
            };
            let deques = [crossbeam::Worker::new_fifo(), crossbeam::Worker::new_fifo()];
            let mut theirs = Crossbeam {
                stealers: [deques[0].stealer(), deques[1].stealer()],
                deques,
                injector: crossbeam::Injector::new(),
            };
            for item in 0..PUSHES {
                // Pushes are the most frequent actions, so that batches grow.
                let action = dice.roll(24);
                assert_eq!(
                    ours.act(action, item),
                    theirs.act(action, item),
                    "program {program}, step {item}"
                );
            }
            assert_eq!(ours.lengths(), theirs.lengths(), "program {program}");
        }
    }
}
