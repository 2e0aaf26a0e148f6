//! Which tasks are cpu-bound, and how many of them may run at once?
//!
//! A task whose polls have lately been long is *cpu-bound* and waits in a queue that all workers
//! share: its polls are so long that the shared queue costs nothing. As many cpu-bound polls may
//! run at once as there are workers. The watchdog counts each of these workers as stuck, so a
//! standby serves the light tasks meanwhile (`watchdog_thread.rs`). The operating system shares the
//! cores between the two. That is why light tasks need no priority here and cpu-bound ones no
//! quota: both have runnable threads.
//!
//! A new task is light, unless its kind has a record of long polls (`kinds.rs`). Then it is *on
//! probation*: as likely as not its first poll will be long, but it may also be a health check on a
//! connection of its own, which must not wait behind computations. So these tasks have a lane of
//! their own, which comes first. As many of them may run at once as there are workers. Those that
//! have been running for long are not counted, so that they keep no other task waiting. In total
//! they are bounded by the number of places, of which the light and the cpu-bound tasks keep their
//! share.
//!
//! A cpu-bound poll that lasts very long does not count against the bound either: it may wait for a
//! cpu-bound task that is queued.
//!
//! More threads than cores are not free even where there is work for all of them, as Linux leaves a
//! core idle for moments. Hence the bounds. Rejected: no standby for a worker that computes as long
//! as another one is left that does not (uneven work took 7 to 12 % longer than ideal).

use crate::kinds::Kinds;
use crate::queue::{Injector, Steal};
use crate::sync::{AtomicUsize, Ordering, spin_loop};
use crate::task::{Runnable, TaskRef, Why};

/// The weight of a task after a long poll. Each poll below `SHORT_POLL_NANOS` takes one off; at
/// zero the task is light again.
pub(crate) const AFTER_LONG_POLL: u8 = 4;

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
        if weight > 0 { Self::OnProbation } else { Self::Light }
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
    cpu_bound: Lane,
    probation: Lane,
    pub(crate) kinds: Kinds,
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

impl Lanes {
    pub(crate) fn new(workers: usize) -> Self {
        Self { cpu_bound: Lane::new(workers), probation: Lane::new(workers), kinds: Kinds::new() }
    }

    pub(crate) fn push(&self, task: Runnable, on_probation: bool) {
        self.lane(on_probation).queue.push(task);
    }

    fn lane(&self, on_probation: bool) -> &Lane {
        if on_probation { &self.probation } else { &self.cpu_bound }
    }

    /// Takes a task on probation or a cpu-bound one, and a permit to run it.
    pub(crate) fn take(&self) -> Option<(Runnable, Permit)> {
        [true, false].into_iter().find_map(|on_probation| {
            self.lane(on_probation).take().map(|task| (task, Permit { on_probation }))
        })
    }

    /// A task is queued that could run at once.
    pub(crate) fn is_due(&self) -> bool {
        self.probation.is_due() || self.cpu_bound.is_due()
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
        let lanes = Lanes::new(1);
        assert!(lanes.take().is_none() && !lanes.is_due());
        assert_eq!(lanes.cpu_bound.running.load(Ordering::Relaxed), 0);
        assert_eq!(lanes.probation.running.load(Ordering::Relaxed), 0);
    }
}
