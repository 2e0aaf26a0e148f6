//! What does a worker do next?
//!
//! It takes a task, polls it, and every so many polls does what must not wait for an empty queue
//! (`maintenance.rs`). Without a task it steals one (`steal.rs`), and without anything to steal it
//! parks (`park.rs`).
//!
//! A worker shows the watchdog that it gets on by storing a number at each poll, and reads at the
//! end of the poll whether the watchdog has marked it as long. Only then, in polls of the lanes, and
//! as a sample (`maintenance.rs`, `wake_policy.rs`) is the poll timed.

use super::Local;
use crate::clock::nanos;
use crate::contain::silently;
use crate::cpu_bound::{AFTER_LONG_POLL, Permit};
use crate::sync::{Instant, Ordering};
use crate::task::{PollEnd, Ran, Runnable, TaskRef};

/// A poll of a cpu-bound task that is shorter than this takes weight off the task.
const SHORT_POLL_NANOS: u64 = 500_000;

impl Local {
    /// Works until the worker is dismissed.
    pub(super) fn work(&self) {
        while let Some(task) = self.next_task() {
            // After the task was taken: the thread that closes the scheduler sets the flag before
            // it wakes the tasks.
            if self.is_dismissed() && self.shared.is_closing() {
                self.drop_unpolled(task);
                break;
            }
            self.run(task);
        }
    }

    /// The next task. None: the worker is dismissed.
    #[inline]
    pub(super) fn next_task(&self) -> Option<Runnable> {
        if self.maintenance.is_due() {
            if self.is_dismissed() {
                return None;
            }
            self.maintain();
            if let Some(task) = self.take_shared_task() {
                return Some(task);
            }
        }
        self.pop().or_else(|| self.steal_or_park())
    }

    #[inline]
    pub(super) fn run(&self, task: Runnable) {
        self.begin_poll(task.address());
        self.stage.begin_poll(&task);
        let ran = task.run(&Poll { local: self, kind: PollKind::Plain });
        self.end_poll(ran);
    }

    /// Runs a task of a lane: a cpu-bound one, or one on probation. The watchdog counts this worker as
    /// stuck meanwhile.
    pub(super) fn run_from_lane(&self, task: Runnable, permit: Permit) {
        if self.shared.is_closing() {
            self.drop_unpolled(task);
        } else {
            self.poll_from_lane(task, permit.on_probation);
        }
        self.shared.lanes.release(permit);
    }

    fn poll_from_lane(&self, task: Runnable, on_probation: bool) {
        // The poll is likely to be long: what waits here is for other workers, at once.
        self.policy.end_burst();
        let next = self.slot().next.take();
        let has_tasks = next.is_some() || !self.deque.is_empty();
        if let Some(next) = next {
            self.shared.injector.push(next);
        }
        if has_tasks || self.shared.driver.is_wanted(&*self.shared) {
            self.shared.notify();
        }
        let progress = &self.slot().progress;
        progress.on_probation.store(on_probation, Ordering::Relaxed);
        progress.from_lane.store(true, Ordering::Relaxed);
        self.begin_poll(task.address());
        self.slot().counters.cpu_bound_polls.add(1);
        self.stage.begin_poll(&task);
        let ran = task.run(&Poll { local: self, kind: PollKind::FromLane(Instant::now()) });
        progress.from_lane.store(false, Ordering::Relaxed);
        self.end_poll(ran);
    }

    #[inline]
    fn end_poll(&self, ran: Ran) {
        self.wake_another_after_poll();
        if let Ran::Again(task) = ran {
            self.push_again(task);
        }
    }

    /// Polls a new task inside the poll of another one.
    pub(crate) fn run_inside(&self, task: Runnable) {
        self.poll_inside(task, PollKind::Plain);
    }

    /// Polls a suspended task inside the poll of another one, and answers none of its wakes.
    pub(crate) fn probe_inside(&self, task: Runnable) {
        self.poll_inside(task, PollKind::Probe);
    }

    fn poll_inside(&self, task: Runnable, kind: PollKind) {
        TaskRef::with_current(|outer| outer.map(|outer| self.flush_timer(outer)));
        let staging = self.stage.begin_poll(&task);
        // A mark of the watchdog means the outer poll: the inner one has no number.
        let outer = self.poll.replace(0);
        let ran = task.run(&Poll { local: self, kind });
        self.poll.set(outer);
        self.stage.resume_poll(staging);
        if let Ran::Again(task) = ran {
            self.push_after_inner_poll(task);
        }
    }

    /// Drops a task because the scheduler closes. Its destructors may last, so the watchdog sees
    /// them as a poll.
    pub(super) fn drop_unpolled(&self, task: Runnable) {
        self.begin_poll(task.address());
        drop(task);
        self.pause();
    }

    #[inline]
    pub(super) fn begin_poll(&self, task: usize) {
        let poll = self.poll.get() + 2;
        self.poll.set(poll);
        let progress = &self.slot().progress;
        // The address before the number: a reader between the two finds this task polled a moment
        // early, not the last task.
        progress.task.store(task as u64, Ordering::Relaxed);
        progress.poll.store(poll | 1, Ordering::Relaxed);
    }

    /// No poll goes on: the worker searches or parks.
    pub(super) fn pause(&self) {
        self.slot().progress.poll.store(self.poll.get(), Ordering::Relaxed);
    }

    /// Puts the timer that the poll of `task` has staged into the wheel.
    fn flush_timer(&self, task: &TaskRef) {
        let shared = &self.shared;
        let earlier = self.stage.flush(shared.timers_of(self.index), shared.tick_length, task);
        if let Some(tick) = earlier {
            shared.driver.armed_earlier(&**shared, tick);
        }
    }
}

/// What a worker does at the end of a poll.
struct Poll<'a> {
    local: &'a Local,
    kind: PollKind,
}

#[derive(Clone, Copy)]
enum PollKind {
    Plain,
    /// Of a task in a cpu-bound lane, and when the poll began.
    FromLane(Instant),
    /// A poll that answers no wake, see `probe.rs`.
    Probe,
}

impl PollEnd for Poll<'_> {
    /// True: call `note`. From here on no timer is staged.
    #[inline]
    fn is_notable(&self) -> bool {
        self.local.stage.end_poll();
        !matches!(self.kind, PollKind::Plain) || self.local.is_marked() || !self.local.stage.is_empty()
    }

    /// Weighs the task by the poll that has just ended, or answers a wake that a probe met, and puts a
    /// staged timer into the wheel.
    #[cold]
    fn note(&self, task: &TaskRef) {
        match self.kind {
            PollKind::FromLane(began) => self.local.weigh(task, nanos(began.elapsed())),
            PollKind::Probe => task.wake_again_if_woken(),
            PollKind::Plain if self.local.is_marked() => {
                self.local.weigh(task, self.local.since_first_seen());
            }
            PollKind::Plain => {}
        }
        self.local.flush_timer(task);
    }
}

impl Local {
    /// A long poll makes its task cpu-bound, a row of short ones makes it light again.
    fn weigh(&self, task: &TaskRef, lasted: u64) {
        let kinds = &self.shared.lanes.kinds;
        if self.is_marked() {
            self.keep_nothing_local();
            self.slot().counters.long_polls.add(1);
            self.slot().counters.poll_times.note(lasted);
            task.set_weight(AFTER_LONG_POLL);
            kinds.note_long_poll(task.kind());
            self.report_if_slow(task, lasted);
        } else if lasted < SHORT_POLL_NANOS {
            task.set_weight(task.weight().saturating_sub(1));
            if self.slot().progress.on_probation.load(Ordering::Relaxed) {
                kinds.note_short_poll(task.kind());
            }
        }
    }

    /// The length of a marked poll, less at most one interval of the watchdog.
    fn since_first_seen(&self) -> u64 {
        let first_seen = self.slot().progress.first_seen.load(Ordering::Relaxed);
        self.shared.watchdog.now().saturating_sub(first_seen)
    }

    fn report_if_slow(&self, task: &TaskRef, lasted: u64) {
        if lasted < nanos(self.shared.config.slow_poll) {
            return;
        }
        self.slot().counters.slow_polls.add(1);
        let hooks = &self.shared.config.hooks;
        let lasted = std::time::Duration::from_nanos(lasted);
        silently(|| hooks.slow_poll(task, lasted));
    }
}
