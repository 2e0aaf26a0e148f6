//! What becomes of the tasks that are left when main has ended?

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use selvedge_scheduler::{Scheduler, TaskRef};

use super::waiter::Waiter;
use crate::event_loop::{EventLoop, report};
use crate::task::{Notify, TaskHandle, TaskRefExt, notify};

/// Threads that have nothing left to do need a moment to end, even where nobody waits for tasks.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// Cancels every task once, waits, and closes the loop: bounded, whatever the tasks do.
pub(super) struct Shutdown<'a> {
    event_loop: &'a EventLoop,
    patience: Duration,
    /// `None`: so much patience that the clock cannot show its end.
    deadline: Option<Instant>,
    cancelled: HashSet<TaskHandle>,
}

impl<'a> Shutdown<'a> {
    pub(super) fn new(event_loop: &'a EventLoop, patience: Duration) -> Shutdown<'a> {
        let deadline = Instant::now().checked_add(patience);
        Shutdown { event_loop, patience, deadline, cancelled: HashSet::new() }
    }

    pub(super) fn finish(mut self) {
        let is_inside = Scheduler::with_current(|current| {
            current.is_some_and(|it| it.ptr_eq(self.event_loop.scheduler()))
        });
        if is_inside {
            // A worker that waited here would wait for itself.
            let _ = self.event_loop.scheduler().close(Duration::ZERO);
            return;
        }
        self.cancel_and_wait();
        self.report_failures();
        let left = self.time_left().unwrap_or(Duration::MAX).max(LEAST_PATIENCE);
        for stuck in self.event_loop.scheduler().close(left) {
            report::stuck_in_poll(self.event_loop, &stuck);
        }
    }

    /// Tasks that are made during the shutdown get their turn when those before them have ended.
    fn cancel_and_wait(&mut self) {
        let waiter = Waiter::new();
        loop {
            let mut fresh = self.event_loop.all_tasks();
            fresh.retain(|task| !self.cancelled.contains(task));
            if fresh.is_empty() {
                return;
            }
            let countdown =
                Arc::new(Countdown { unfinished: AtomicUsize::new(fresh.len()), waker: waiter.waker() });
            for task in &fresh {
                // Its error is reported below, and only there.
                task.task_ref().task_slot().mark_retrieved();
                notify(task.task_ref(), Arc::clone(&countdown) as Arc<dyn Notify>, 0);
                task.cancel();
            }
            self.cancelled.extend(fresh);
            if !self.wait(&waiter, &countdown) {
                return self.report_survivors();
            }
        }
    }

    /// False if the time is up, or the user has lost patience.
    fn wait(&self, waiter: &Waiter, countdown: &Countdown) -> bool {
        // Ordering: Acquire, with `notify`.
        while countdown.unfinished.load(Ordering::Acquire) > 0 {
            let left = self.time_left();
            if left.is_some_and(|left| left.is_zero()) || waiter.take_interrupt() {
                return false;
            }
            waiter.wait(left);
        }
        true
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    fn report_survivors(&self) {
        for task in self.cancelled.iter().filter(|task| !task.done()) {
            report::did_not_stop(self.event_loop, task.clone(), self.patience);
        }
    }

    fn report_failures(&self) {
        for task in &self.cancelled {
            if let Some(error) = task.task_ref().failure().filter(|error| !error.is_cancelled()) {
                report::failed_in_shutdown(self.event_loop, task.clone(), error);
            }
        }
    }
}

/// Wakes when the last of several tasks has ended.
struct Countdown {
    unfinished: AtomicUsize,
    waker: Waker,
}

impl Notify for Countdown {
    fn notify(&self, _index: usize, _task: &TaskRef) {
        // Ordering: AcqRel, with `wait`.
        if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waker.wake_by_ref();
        }
    }
}
