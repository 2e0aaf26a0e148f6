//! Which tasks are heavy, and who may run them?
//!
//! A task whose polls have lately been long is *heavy* and queues apart from the others: its polls are so long that one shared
//! queue costs nothing. As many heavy polls may run at once as there are workers, and while one runs its worker counts as
//! stuck, so a spare is there for the light tasks (see `watchdog.rs`); the operating system shares the cores between
//! the two. So light tasks wait for no computation, and heavy ones keep a worker each.
//!
//! New tasks are light, unless their kind of coroutine has a record of long polls. Those are *suspects*: as likely as not their first poll will be long, but
//! it may also be a health check on a connection of its own, which must not queue behind computations. So they have a lane of their own, which comes
//! first. As many suspects run at once as there are workers, besides those that have been found to be long: these keep nobody waiting. What
//! bounds them is the number of places: the heavy and the light must find theirs.

use crate::queue::{Injector, Steal};
use crate::sync::{AtomicUsize, HintU64, Ordering, spin_loop};
use crate::task::Runnable;

/// The weight of a task after a long poll. Each short poll takes one off; at zero the task is light again.
pub(crate) const AFTER_LONG_POLL: u8 = 4;
/// The weight of a new task whose kind has a record: one short poll clears it.
const SUSPECTED: u8 = 1;

/// Where a task queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Light,
    /// New, and of a kind with a record.
    Suspect,
    Heavy,
}

impl Class {
    /// Of a new task that weighs so much.
    pub(crate) fn at_birth(weight: u8) -> Self {
        if weight > 0 { Self::Suspect } else { Self::Light }
    }

    /// Of a task that has been polled before.
    pub(crate) fn of_woken(is_heavy: bool) -> Self {
        if is_heavy { Self::Heavy } else { Self::Light }
    }
}

/// The queues of the heavy and of the suspects, and the permits to run them.
pub(crate) struct Heavy {
    known: Lane,
    suspects: Lane,
    pub(crate) kinds: Kinds,
}

struct Lane {
    queue: Injector,
    running: AtomicUsize,
    /// How many may run. The watch raises it for those that do not come back soon.
    limit: AtomicUsize,
}

/// The right to run one heavy poll; must be given back.
#[must_use]
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) is_suspect: bool,
}

impl Lane {
    fn new(limit: usize) -> Self {
        Self { queue: Injector::new(), running: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
    }

    /// Takes a task, and the right to run it.
    fn take(&self) -> Option<Runnable> {
        if self.queue.is_empty() || !self.acquire() {
            return None;
        }
        loop {
            match self.queue.steal_one() {
                Steal::Success(task) => return Some(task),
                Steal::Retry => spin_loop(),
                Steal::Empty => {
                    self.release();
                    return None;
                }
            }
        }
    }

    fn is_due(&self) -> bool {
        !self.queue.is_empty() && self.running.load(Ordering::Relaxed) < self.limit.load(Ordering::Relaxed)
    }

    fn acquire(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        // Relaxed: the count publishes nothing; the queue orders the tasks.
        let more = |running| (running < limit).then_some(running + 1);
        self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn release(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Heavy {
    pub(crate) fn new(workers: usize) -> Self {
        Self { known: Lane::new(workers), suspects: Lane::new(workers), kinds: Kinds::new() }
    }

    pub(crate) fn push(&self, task: Runnable, is_suspect: bool) {
        self.lane(is_suspect).queue.push(task);
    }

    fn lane(&self, is_suspect: bool) -> &Lane {
        if is_suspect { &self.suspects } else { &self.known }
    }

    /// Takes a suspect or a heavy task, and a permit to run it.
    pub(crate) fn take(&self) -> Option<(Runnable, Permit)> {
        [true, false]
            .into_iter()
            .find_map(|is_suspect| self.lane(is_suspect).take().map(|task| (task, Permit { is_suspect })))
    }

    /// A task is queued that could run at once.
    pub(crate) fn is_due(&self) -> bool {
        self.suspects.is_due() || self.known.is_due()
    }

    pub(crate) fn release(&self, permit: Permit) {
        self.lane(permit.is_suspect).release();
    }

    /// How many heavy tasks and how many suspects may run at once.
    pub(crate) fn set_limits(&self, known: usize, suspects: usize) {
        self.known.limit.store(known, Ordering::Relaxed);
        self.suspects.limit.store(suspects, Ordering::Relaxed);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.queue.len() + self.suspects.queue.len()
    }

    /// For the drain at the end.
    pub(crate) fn steal_one(&self) -> Steal {
        match self.suspects.queue.steal_one() {
            Steal::Empty => self.known.queue.steal_one(),
            found => found,
        }
    }
}

const KINDS: usize = 64;
const SCORE_BITS: u32 = 8;
const SCORE_MASK: u64 = (1 << SCORE_BITS) - 1;
/// What a long poll adds to its kind's score, of which a suspect's short poll takes one off: one long task in sixteen keeps the record. Births leave it as it is, or a
/// crowd that is spawned at once would be half suspects and half light, and compute on twice as many threads as there are workers.
const LONG_POLL: u64 = 16;
const MAX_SCORE: u64 = 64;

/// The record of kinds: a small table of hints. Collisions and lost updates cost precision, nothing else, so all of
/// it is Relaxed.
pub(crate) struct Kinds {
    entries: [HintU64; KINDS],
    /// Stays zero in programs without long polls, which then read nothing else.
    ever: AtomicUsize,
}

impl Kinds {
    fn new() -> Self {
        Self { entries: std::array::from_fn(|_| HintU64::new(0)), ever: AtomicUsize::new(0) }
    }

    fn entry(&self, kind: usize) -> (&HintU64, u64) {
        let hash = (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (&self.entries[(hash >> 58) as usize], hash & !SCORE_MASK)
    }

    /// A poll of a task of this kind was long.
    pub(crate) fn note_long_poll(&self, kind: usize) {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        let score = if old & !SCORE_MASK == key { old & SCORE_MASK } else { 0 };
        entry.store(key | (score + LONG_POLL).min(MAX_SCORE), Ordering::Relaxed);
        self.ever.store(1, Ordering::Relaxed);
    }

    /// The first poll of a suspect of this kind was short.
    pub(crate) fn note_short_poll(&self, kind: usize) {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        if old & !SCORE_MASK == key && old & SCORE_MASK > 0 {
            entry.store(old - 1, Ordering::Relaxed);
        }
    }

    /// The weight with which a new task of this kind begins.
    #[inline]
    pub(crate) fn weight_at_birth(&self, kind: usize) -> u8 {
        if self.ever.load(Ordering::Relaxed) == 0 { 0 } else { self.look_up(kind) }
    }

    fn look_up(&self, kind: usize) -> u8 {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        if old & !SCORE_MASK != key || old & SCORE_MASK == 0 { 0 } else { SUSPECTED }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn permits_are_bounded_and_come_back() {
        let lane = Lane::new(2);
        assert!(lane.acquire() && lane.acquire());
        assert!(!lane.acquire());
        lane.limit.store(3, Ordering::Relaxed);
        assert!(lane.acquire());
        lane.limit.store(2, Ordering::Relaxed);
        lane.release();
        assert!(!lane.acquire(), "two are still out");
        lane.release();
        assert!(lane.acquire());
        assert_eq!(lane.running.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_empty_queue_keeps_no_permit() {
        let heavy = Heavy::new(1);
        assert!(heavy.take().is_none() && !heavy.is_due());
        assert_eq!(heavy.known.running.load(Ordering::Relaxed), 0);
        assert_eq!(heavy.suspects.running.load(Ordering::Relaxed), 0);
    }

    /// Far from zero in the bits that a kind's key keeps: an address of code.
    const KIND: usize = 0x5555_1234_5670;

    #[test]
    fn a_record_is_used_up_by_short_polls() {
        let kinds = Kinds::new();
        assert_eq!(kinds.weight_at_birth(KIND), 0);
        kinds.note_long_poll(KIND);
        for _ in 0..LONG_POLL {
            assert_eq!((kinds.weight_at_birth(KIND), kinds.weight_at_birth(KIND)), (SUSPECTED, SUSPECTED));
            kinds.note_short_poll(KIND);
        }
        assert_eq!(kinds.weight_at_birth(KIND), 0);
        kinds.note_short_poll(KIND);
        assert_eq!(kinds.weight_at_birth(KIND), 0);
    }

    #[test]
    fn a_record_is_bounded_and_of_one_kind() {
        let kinds = Kinds::new();
        (0..1_000).for_each(|_| kinds.note_long_poll(KIND));
        assert_eq!(kinds.weight_at_birth(KIND + 0x1000), 0);
        kinds.note_short_poll(KIND + 0x1000);
        let mut short = 0;
        while kinds.weight_at_birth(KIND) > 0 {
            kinds.note_short_poll(KIND);
            short += 1;
        }
        assert_eq!(short, MAX_SCORE);
    }
}
