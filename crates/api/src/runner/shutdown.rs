//! What becomes of the tasks that are left when main has ended?

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use selvedge_scheduler::{Scheduler, TaskRef};

use super::held::Hold;
use super::waiter::Waiter;
use crate::error::{CancelledError, EVENT_LOOP_IS_CLOSED, Error};
use crate::event_loop::report::Waited;
use crate::event_loop::{EventLoop, report};
use crate::task::{Notify, TaskHandle, TaskRefExt, notify};

/// Threads that have nothing left to do need a moment to end, even where nobody waits for tasks.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// Cancels every task once, waits, and closes the loop: bounded, whatever the tasks do.
pub(super) struct Shutdown<'a> {
    event_loop: &'a EventLoop,
    /// What the reports say about the patience.
    waited: Waited,
    /// `None`: so much patience that the clock cannot show its end.
    deadline: Option<Instant>,
    cancelled: HashSet<TaskHandle>,
    /// Those that were not done when the time was up.
    survivors: HashSet<TaskHandle>,
}

impl<'a> Shutdown<'a> {
    pub(super) fn new(event_loop: &'a EventLoop, patience: Duration) -> Shutdown<'a> {
        let deadline = Instant::now().checked_add(patience);
        let waited = Waited::For(patience);
        Shutdown { event_loop, waited, deadline, cancelled: HashSet::new(), survivors: HashSet::new() }
    }

    /// Without patience: Ctrl-C was pressed twice.
    pub(super) fn hurried(event_loop: &'a EventLoop) -> Shutdown<'a> {
        let mut this = Shutdown::new(event_loop, Duration::ZERO);
        this.hurry(Waited::UntilSecondInterrupt);
        this
    }

    fn hurry(&mut self, waited: Waited) {
        self.waited = waited;
        self.deadline = Some(Instant::now());
    }

    /// `hold` keeps virtual time from moving on until every task has been asked to stop.
    pub(super) fn finish(mut self, hold: &Hold) {
        let is_inside = Scheduler::with_current(|current| {
            current.is_some_and(|it| it.ptr_eq(self.event_loop.scheduler()))
        });
        if is_inside {
            self.event_loop.close_signals();
            // A worker that waited here would wait for itself.
            let _ = self.event_loop.scheduler().close(Duration::ZERO);
            return;
        }
        self.cancel_and_wait(hold);
        self.report_failures();
        let scheduler = self.event_loop.scheduler();
        // The loop still runs: a signal while functions end in their threads is the handler's.
        scheduler.wait_for_blocking(self.time_left().unwrap_or(Duration::MAX));
        // Before the loop is closed, which may take its time: a signal in between does what it does by default, instead of nothing.
        self.event_loop.close_signals();
        let stuck = scheduler.close(self.time_left().unwrap_or(Duration::MAX).max(LEAST_PATIENCE));
        self.report_what_is_left(&stuck);
    }

    /// Tasks that are made during the shutdown get their turn when those before them have ended.
    fn cancel_and_wait(&mut self, hold: &Hold) {
        let waiter = Waiter::new(self.event_loop);
        loop {
            let mut fresh = self.event_loop.all_tasks();
            fresh.retain(|task| !self.cancelled.contains(task));
            if fresh.is_empty() {
                hold.release();
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
            // What they do now may take time.
            hold.release();
            self.cancelled.extend(fresh);
            if !self.wait(&waiter, &countdown) {
                self.survivors = self.cancelled.iter().filter(|task| !task.done()).cloned().collect();
                return;
            }
        }
    }

    /// False if the time is up, or the user has lost patience.
    fn wait(&mut self, waiter: &Waiter, countdown: &Countdown) -> bool {
        // Ordering: Acquire, with `notify`.
        while countdown.unfinished.load(Ordering::Acquire) > 0 {
            let left = self.time_left();
            if waiter.take_interrupt() {
                self.hurry(Waited::UntilInterrupt);
                return false;
            }
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            waiter.wait(left);
        }
        true
    }

    fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// One report for each task: only now is it known which of those that did not stop can be dropped.
    fn report_what_is_left(&self, stuck: &[TaskRef]) {
        for task in self.survivors.iter().filter(|task| !stuck.contains(task.task_ref())) {
            match task.task_ref().failure() {
                Some(error) if was_dropped(&error) => {
                    report::did_not_stop(self.event_loop, task.clone(), self.waited);
                }
                Some(error) if !error.is_cancelled() => {
                    report::failed_in_shutdown(self.event_loop, task.clone(), error);
                }
                // It came to its end by itself, a little late.
                _ => {}
            }
        }
        for task in stuck {
            report::stuck_in_poll(self.event_loop, task, self.waited);
        }
        let running = self.event_loop.shared().running().count();
        if running > 0 {
            report::functions_still_run(self.event_loop, running, self.waited);
        }
    }

    fn report_failures(&self) {
        // Those that were late are reported once, after the loop was closed.
        for task in self.cancelled.difference(&self.survivors) {
            if let Some(error) = task.task_ref().failure().filter(|error| !error.is_cancelled()) {
                report::failed_in_shutdown(self.event_loop, task.clone(), error);
            }
        }
    }
}

/// Whether a task ended because its loop was closed.
fn was_dropped(error: &Error) -> bool {
    error
        .downcast_ref::<CancelledError>()
        .is_some_and(|cancelled| cancelled.message() == Some(EVENT_LOOP_IS_CLOSED))
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
