//! What does a worker do next?
//!
//! It takes a task, polls it, and every so many polls does what must not wait for an empty queue
//! (`maintenance.rs`). Without a task it steals one (`steal.rs`), and without anything to steal it
//! parks (`park.rs`). A computing thread has a loop of its own (`compute.rs`).
//!
//! A worker shows the watchdog that it gets on by storing a number at each poll, and reads at the
//! end of the poll whether the watchdog has marked it as long. Only then, in polls of computing threads,
//! and as a sample (`maintenance.rs`, `wake_policy.rs`) is the poll timed.

use std::time::Duration;

use super::Local;
use crate::clock::nanos;
use crate::contain::silently;
use crate::cpu_bound::Class;
use crate::kinds::CPU_BOUND;
use crate::os::CpuTimer;
use crate::sync::Ordering;
use crate::task::{PollEnd, Ran, Runnable, TaskRef};

/// A poll of a cpu-bound task that is shorter than this takes weight off the task.
const SHORT_POLL: Duration = Duration::from_micros(500);

impl Local {
    /// Works until the worker is dismissed or demoted.
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

    /// The next task. None: the worker is dismissed or demoted.
    #[inline]
    pub(super) fn next_task(&self) -> Option<Runnable> {
        if self.maintenance.is_due() {
            if self.must_stop() {
                return None;
            }
            self.maintain();
            if let Some(task) = self.take_shared_task() {
                return Some(task);
            }
            if self.must_stop() {
                return None;
            }
        }
        self.pop().or_else(|| self.steal_or_park())
    }

    #[inline]
    pub(super) fn run(&self, task: Runnable) {
        if self.shared.lanes.is_sorting() {
            self.sort_and_run(task);
        } else {
            self.run_light(task);
        }
    }

    #[inline]
    fn run_light(&self, task: Runnable) {
        self.begin_poll(&task);
        self.stage.begin_poll(&task);
        let ran = task.run(&Poll { local: self, kind: PollKind::Plain });
        self.end_poll(ran);
    }

    /// Long polls were found lately: a new task goes to a lane if its kind has been entered since it was
    /// queued.
    #[cold]
    fn sort_and_run(&self, task: Runnable) {
        match task.with_task(|task| self.shared.lanes.sort(task)) {
            Class::Light => self.run_light(task),
            class => self.shared.push_to_lane(task, class),
        }
    }

    /// Polls a task of a lane, on a computing thread.
    pub(super) fn run_from_lane(&self, task: Runnable, on_probation: bool) {
        if self.shared.is_closing() {
            return self.drop_unpolled(task);
        }
        self.slot().progress.on_probation.store(on_probation, Ordering::Relaxed);
        self.begin_poll(&task);
        self.slot().counters.cpu_bound_polls.add(1);
        self.stage.begin_poll(&task);
        let ran = task.run(&Poll { local: self, kind: PollKind::FromLane(CpuTimer::start()) });
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
        self.begin_poll(&task);
        drop(task);
        self.pause();
    }

    #[inline]
    pub(super) fn begin_poll(&self, task: &Runnable) {
        self.show_poll(task.address(), task.kind());
    }

    /// Calls to wakers follow, which the watchdog is to see as a poll.
    pub(super) fn begin_waking(&self) {
        self.show_poll(0, 0);
    }

    #[inline]
    fn show_poll(&self, task: usize, kind: usize) {
        let poll = self.poll.get() + 2;
        self.poll.set(poll);
        let progress = &self.slot().progress;
        // The address before the number: a reader between the two finds this task polled a moment
        // early, not the last task.
        progress.task.store(task as u64, Ordering::Relaxed);
        progress.kind.store(kind as u64, Ordering::Relaxed);
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
    /// Of a task from a lane, and what its thread has computed since the poll began.
    FromLane(CpuTimer),
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
            PollKind::Probe => task.wake_again_if_woken(),
            _ if self.local.is_marked() => self.local.note_long_poll(task),
            // By CPU time: a computing thread may wait for a core at any moment.
            PollKind::FromLane(computed) if computed.elapsed() < SHORT_POLL => {
                self.local.note_short_poll(task);
            }
            PollKind::FromLane(_) | PollKind::Plain => {}
        }
        self.local.flush_timer(task);
    }
}

impl Local {
    /// A long poll makes its task cpu-bound …
    fn note_long_poll(&self, task: &TaskRef) {
        self.keep_nothing_local();
        // It asks whether this worker was demoted.
        self.maintenance.comes_next();
        // The watchdog has noted the others already.
        if task.is_new()
            && !(self.computes.get() && self.slot().progress.on_probation.load(Ordering::Relaxed))
        {
            self.shared.lanes.kinds.note_first_poll(task.kind(), true);
        }
        if !self.shared.lanes.is_off() {
            task.set_weight(CPU_BOUND);
        }
        let lasted = self.slot().progress.age(self.shared.watchdog.now());
        self.slot().counters.long_polls.add(1);
        self.slot().counters.poll_times.note(lasted);
        self.report_if_slow(task, lasted);
    }

    /// … and a row of short ones makes it light again.
    fn note_short_poll(&self, task: &TaskRef) {
        if task.is_new() {
            // It had its weight from its kind, not from polls of its own.
            self.shared.lanes.kinds.note_first_poll(task.kind(), false);
            task.set_weight(0);
        } else {
            task.set_weight(task.weight().saturating_sub(1));
        }
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
