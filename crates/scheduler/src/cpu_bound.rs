//! Which tasks are cpu-bound, and how many of them may run at once?
//!
//! A task whose polls have lately been long is *cpu-bound* and waits in a queue that all computing
//! threads share (`worker/compute.rs`): its polls are so long that the shared queue costs nothing. Workers
//! run no tasks of the lanes, and computing threads run no others. Computing threads have a lower
//! priority, so the operating system gives light work a core at once, and all the rest to computing.
//!
//! As many tasks compute at once as there are workers, first in, first out. More threads than cores are
//! not free even where there is work for all of them, as Linux leaves a core idle for moments.
//!
//! A new task is light, unless its kind has a record of long polls (`kinds.rs`):
//!
//! | first polls of the kind's tasks | a new task |
//! |---|---|
//! | some were long | is *on probation* |
//! | the last four were all long | is cpu-bound |
//!
//! A task on probation may compute, but it may also be a health check on a connection of its own, which
//! must not wait behind computations. So these tasks have a lane of their own, which comes first, and a
//! few run at once ([`PROBATION_PER_WORKER`]); the operating system shares the cores between them. Those
//! that have been running for long are not counted, so that they keep no other task waiting, but while
//! they compute, fewer cpu-bound tasks do.
//!
//! A poll on probation that has computed for 3 ms gets a still lower priority ([`Priority::FoundLong`]), as
//! the others on probation may be short; its thread ends with it. When the kind is known to compute always,
//! its tasks that wait on probation go to the other lane.
//!
//! [`Priority::FoundLong`]: crate::worker_slot::Priority::FoundLong
//!
//! A cpu-bound poll that blocks for 50 ms, or computes for a second, no longer counts against the bound: it
//! may wait for a cpu-bound task that is queued.
//!
//! Tasks that were queued as light before their kind was entered are sorted again when a worker takes them
//! ([`Lanes::sort`]). Otherwise one worker after another would begin to compute and be demoted.
//!
//! Rejected: new tasks of a kind with long polls are always cpu-bound (short ones wait for long ones: a
//! twentieth of the requests in a mixed load).

use crossbeam_utils::CachePadded;

use crate::kinds::{CPU_BOUND, Kinds, ON_PROBATION};
use crate::queue::{Injector, Steal};
use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence, spin_loop};
use crate::task::{Runnable, TaskRef, Why};

/// How many tasks on probation may run at once, in short polls, for each worker. With fewer, short ones
/// wait for long ones; with more, long ones get less of the cores.
pub(crate) const PROBATION_PER_WORKER: usize = 2;

/// Where a task is queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Light,
    /// New, and its kind has a record of long polls.
    OnProbation,
    CpuBound,
}

impl Class {
    /// The class of a new task with this weight.
    pub(crate) fn at_birth(weight: u8) -> Self {
        match weight {
            0 => Self::Light,
            ON_PROBATION => Self::OnProbation,
            _ => Self::CpuBound,
        }
    }

    /// The class of a task that has been polled before.
    pub(crate) fn of_woken(has_weight: bool) -> Self {
        if has_weight { Self::CpuBound } else { Self::Light }
    }

    /// The class of a task that is queued for this reason.
    pub(crate) fn of(task: &Runnable, why: Why) -> Self {
        match why {
            Why::Woken { has_weight } => Self::of_woken(has_weight),
            Why::Started => Self::at_birth(task.with_task(TaskRef::weight)),
        }
    }
}

/// The two lanes, and the permits to run what is queued there.
pub(crate) struct Lanes {
    /// There may be computing threads.
    is_on: bool,
    cpu_bound: Lane,
    probation: Lane,
    pub(crate) kinds: Kinds,
    /// So many computing threads are to end, because others take their place (`share.rs`).
    pub(crate) replaced: AtomicUsize,
    /// Long polls were found lately: what is queued as light may be of a kind with a record by now.
    ///
    /// Read at every poll, so apart from what is written often.
    is_sorting: CachePadded<AtomicBool>,
}

struct Lane {
    queue: Injector,
    running: AtomicUsize,
    /// How many may run at once. The watchdog raises it while polls last long.
    limit: AtomicUsize,
}

/// The right to run one task of a lane. Return it by `release`.
#[must_use]
#[derive(Debug)]
pub(crate) struct Permit {
    pub(crate) on_probation: bool,
}

impl Lane {
    fn new(limit: usize) -> Self {
        Self { queue: Injector::new(), running: AtomicUsize::new(0), limit: AtomicUsize::new(limit) }
    }

    /// Takes a task, and the right to run it. `keep` may put a task elsewhere.
    fn take(&self, keep: impl Fn(Runnable) -> Option<Runnable>) -> Option<Runnable> {
        while !self.queue.is_empty() && self.acquire() {
            loop {
                match self.queue.steal_one() {
                    Steal::Success(task) => {
                        if let Some(task) = keep(task) {
                            return Some(task);
                        }
                    }
                    Steal::Retry => spin_loop(),
                    Steal::Empty => break,
                }
            }
            self.release();
            // Ordering: partner of the fence in `push_to_lane`. A thread that has queued a task meanwhile may
            // have seen this permit taken, and have called no thread: then this one sees the task.
            fence(Ordering::SeqCst);
        }
        None
    }

    /// How many queued tasks could run at once.
    fn due(&self) -> usize {
        let running = self.running.load(Ordering::Relaxed);
        self.limit.load(Ordering::Relaxed).saturating_sub(running).min(self.queue.len())
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

impl Lanes {
    pub(crate) fn new(workers: usize, is_on: bool) -> Self {
        Self {
            is_on,
            cpu_bound: Lane::new(workers),
            probation: Lane::new(PROBATION_PER_WORKER * workers),
            kinds: Kinds::new(),
            replaced: AtomicUsize::new(0),
            is_sorting: CachePadded::new(AtomicBool::new(false)),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        !self.is_on
    }

    pub(crate) fn push(&self, task: Runnable, on_probation: bool) {
        self.lane(on_probation).queue.push(task);
    }

    fn lane(&self, on_probation: bool) -> &Lane {
        if on_probation { &self.probation } else { &self.cpu_bound }
    }

    /// Takes a task on probation or a cpu-bound one, and a permit to run it.
    pub(crate) fn take(&self, probation_first: bool) -> Option<(Runnable, Permit)> {
        [probation_first, !probation_first].into_iter().find_map(|on_probation| {
            let task = if on_probation {
                self.probation.take(|task| self.keep_on_probation(task))
            } else {
                self.cpu_bound.take(Some)
            };
            Some((task?, Permit { on_probation }))
        })
    }

    /// Puts a task on probation into the other lane if its kind computes always, as is known by now.
    fn keep_on_probation(&self, task: Runnable) -> Option<Runnable> {
        let is_cpu_bound = task.with_task(|task| {
            let is_cpu_bound = self.kinds.weight_at_birth(task.kind()) == CPU_BOUND;
            if is_cpu_bound {
                task.set_weight(CPU_BOUND);
            }
            is_cpu_bound
        });
        if !is_cpu_bound {
            return Some(task);
        }
        // This thread, or one that has a permit, comes to it.
        self.cpu_bound.queue.push(task);
        None
    }

    /// A task is queued that could run at once.
    pub(crate) fn is_due(&self) -> bool {
        self.probation.is_due() || self.cpu_bound.is_due()
    }

    /// Whether the calling thread, which computes, is to end. Each `true` uses up one of `replaced`.
    pub(crate) fn take_replacement(&self) -> bool {
        let one_less = |replaced: usize| replaced.checked_sub(1);
        // Relaxed: it publishes nothing.
        self.replaced.load(Ordering::Relaxed) > 0
            && self.replaced.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// How many permits are out.
    pub(crate) fn running(&self) -> usize {
        self.probation.running.load(Ordering::Relaxed) + self.cpu_bound.running.load(Ordering::Relaxed)
    }

    /// How many queued tasks could run at once.
    pub(crate) fn due(&self) -> usize {
        self.probation.due() + self.cpu_bound.due()
    }

    #[inline]
    pub(crate) fn is_sorting(&self) -> bool {
        self.is_sorting.load(Ordering::Relaxed)
    }

    pub(crate) fn set_sorting(&self, is_sorting: bool) {
        // Written only when it changes, or all workers would read it from memory again.
        if self.is_sorting() != is_sorting {
            self.is_sorting.store(is_sorting, Ordering::Relaxed);
        }
    }

    /// A poll of a task of this kind is long.
    pub(crate) fn note_long_poll(&self, kind: usize) {
        // Nothing would wear the record off.
        if self.is_on {
            self.kinds.note_long_poll(kind);
        }
    }

    /// The class of a light task that has not been polled yet, by what its kind's record is now.
    pub(crate) fn sort(&self, task: &TaskRef) -> Class {
        let weight =
            if task.is_new() && !task.has_weight() { self.kinds.weight_at_birth(task.kind()) } else { 0 };
        if weight > 0 {
            task.set_weight(weight);
        }
        Class::at_birth(weight)
    }

    pub(crate) fn release(&self, permit: Permit) {
        self.lane(permit.on_probation).release();
    }

    /// How many cpu-bound tasks and how many on probation may run at once.
    pub(crate) fn set_limits(&self, cpu_bound: usize, probation: usize) {
        self.cpu_bound.limit.store(cpu_bound, Ordering::Relaxed);
        self.probation.limit.store(probation, Ordering::Relaxed);
    }

    pub(crate) fn len(&self) -> usize {
        self.cpu_bound.queue.len() + self.probation.queue.len()
    }

    /// For the drain when the scheduler closes.
    pub(crate) fn steal_one(&self) -> Steal {
        match self.probation.queue.steal_one() {
            Steal::Empty => self.cpu_bound.queue.steal_one(),
            found => found,
        }
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
        let lanes = Lanes::new(1, true);
        assert!(lanes.take(true).is_none() && lanes.take(false).is_none() && !lanes.is_due());
        assert_eq!(lanes.cpu_bound.running.load(Ordering::Relaxed), 0);
        assert_eq!(lanes.probation.running.load(Ordering::Relaxed), 0);
    }
}
