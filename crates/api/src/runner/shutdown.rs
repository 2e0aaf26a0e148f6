//! What happens to the tasks that are left when main has ended?
//!
//! ```text
//!   open          foreign threads, workers and pool threads may add tasks and functions
//!     | finish
//!   clean-up      foreign threads are refused. In rounds: every task that has not been cancelled
//!     |           yet is cancelled, once; the round waits for all of these, then for functions
//!     |           in threads; what they add meanwhile belongs to the next round
//!     | nothing is left, or the time is up
//!   last round    all additions are refused. If there is time, one more round for tasks and
//!     |           functions that were added after the last one
//!   giving up     signal handlers are removed, the scheduler is closed: tasks that are left are
//!     |           dropped, those inside a poll are left behind
//!   closed        one report names everything that was given up
//! ```
//!
//! Ownership: the calling thread owns the rounds and the clock. The workers own the tasks until the
//! scheduler is closed; from then on its closing thread owns them. The last round relies on the
//! invariant in the scheduler's `close.rs`: an addition is either found by the last round, or was
//! refused.
//!
//! Every step checks the clock, also between two tasks of a round. When the time is up, tasks that
//! are about to end get [`GRACE`], and the threads get [`LEAST_PATIENCE`] including that; nothing
//! else is waited for.
//!
//! A task is cancelled only once in a shutdown. A task that awaits another one passes requests on,
//! but the shutdown's request is not passed on to a task that the shutdown itself has cancelled
//! (`request/route.rs`). So n tasks cost n requests and n polls, however they await each other.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use selvedge_scheduler::{Scheduler, TaskRef};

use super::clock_pause::MainsPause;
use super::waiter::Waiter;
use crate::error::{CancelledError, EVENT_LOOP_IS_CLOSED, Error};
use crate::event_loop::EventLoop;
use crate::event_loop::report::{self, GivenUp, Waited};
use crate::slot::{Notify, TaskHandle, TaskRefExt, TaskSlot};
use crate::task::notify;

/// Even where no task is waited for, idle threads need a moment to end.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// The same for the case that many tasks or a slow exception handler have used up that time.
const LEAST_OF_ALL: Duration = Duration::from_millis(20);
/// How long to wait for tasks that were cancelled in time, as long as they end one after the other.
/// A part of the least patience.
const GRACE: Duration = Duration::from_millis(50);
/// If no task has ended for this long, none is about to.
const NO_PROGRESS: Duration = Duration::from_millis(10);
/// The number of tasks that are cancelled between two checks of the clock.
const CHECK_INTERVAL: usize = 256;

/// Cancels every task once, waits, and closes the loop. Its duration is bounded, whatever the tasks
/// do.
pub(super) struct Shutdown<'a> {
    event_loop: &'a EventLoop,
    /// How long the report says the tasks were waited for.
    waited: Waited,
    /// `None`: the end of the patience is too far ahead for the clock to represent.
    deadline: Option<Instant>,
    /// The tasks that were cancelled and had not ended when the time was up.
    survivors: Vec<TaskHandle>,
    failures: report::Failures,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Wait {
    AllEnded,
    /// The deadline has passed, or the user has pressed Ctrl-C again.
    TimeIsUp,
}

impl<'a> Shutdown<'a> {
    pub(super) fn new(event_loop: &'a EventLoop, patience: Duration) -> Shutdown<'a> {
        let deadline = Instant::now().checked_add(patience);
        let waited = Waited::For(patience);
        let failures = report::Failures::new(event_loop);
        Shutdown { event_loop, waited, deadline, survivors: Vec::new(), failures }
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

    /// `pause` stops virtual time until every task has been cancelled.
    pub(super) fn finish(mut self, pause: &MainsPause) {
        let scheduler = self.event_loop.scheduler();
        let is_inside = Scheduler::with_current(|current| current.is_some_and(|it| it.ptr_eq(scheduler)));
        if is_inside {
            self.event_loop.close_signals();
            // A worker that waited here would wait for itself.
            let _ = scheduler.close(Duration::ZERO);
            return;
        }
        scheduler.refuse_foreign_threads();
        let waiter = Waiter::new(self.event_loop);
        let cleaned_up = self.clean_up(&waiter, pause);
        scheduler.refuse_everybody();
        if cleaned_up == Wait::AllEnded {
            // The last round: nothing can be added any more after the tasks that came in between.
            let _ = self.clean_up(&waiter, pause);
        }
        drop(waiter);
        // Before the loop is closed, which may take long: a signal in between performs its default
        // action, instead of nothing.
        self.event_loop.close_signals();
        let end = self.deadline.and_then(|deadline| deadline.checked_add(LEAST_PATIENCE));
        let stuck = scheduler.close(time_until(end).map_or(Duration::MAX, |left| left.max(LEAST_OF_ALL)));
        self.report_what_is_left(&stuck);
    }

    /// Runs rounds until there is neither a task nor a function left. What is added during a round
    /// belongs to the next one.
    fn clean_up(&mut self, waiter: &Waiter, pause: &MainsPause) -> Wait {
        let scheduler = self.event_loop.scheduler();
        loop {
            let asked = self.request_and_wait(waiter, pause);
            let Some(asked) = asked else { return Wait::TimeIsUp };
            // The loop still runs: a signal that arrives while functions end in their threads calls
            // its handler.
            let had_functions =
                scheduler.wait_for_blocking(time_until(self.deadline).unwrap_or(Duration::MAX));
            if self.is_time_up() {
                return Wait::TimeIsUp;
            }
            if asked == 0 && !had_functions {
                return Wait::AllEnded;
            }
        }
    }

    /// One round. Returns how many tasks were cancelled and have ended; `None`: the time is up.
    fn request_and_wait(&mut self, waiter: &Waiter, pause: &MainsPause) -> Option<usize> {
        let countdown = Arc::new(Countdown { unfinished: AtomicUsize::new(1), waker: waiter.waker() });
        let asked = self.request_all(&countdown);
        // The clean-up of the tasks may need virtual time to pass.
        pause.end();
        countdown.down();
        let end = self.wait(waiter, &countdown);
        let (mut ended, mut alive) = (0, Vec::new());
        for task in asked {
            if task.done() {
                self.failures.note(&task);
                ended += 1;
            } else {
                alive.push(task);
            }
        }
        if end == Wait::AllEnded && !self.is_time_up() {
            return Some(ended);
        }
        self.survivors = alive;
        None
    }

    /// Cancels all tasks that exist now, or as many as there is time for. All are collected before
    /// the first one is cancelled: a task that a clean-up makes belongs to the next round.
    fn request_all(&self, countdown: &Arc<Countdown>) -> Vec<TaskHandle> {
        let mut found = Vec::new();
        for portion in self.event_loop.scheduler().tasks_by_portions() {
            // Some tasks are cancelled in any case, so that the report can name them.
            if found.len() >= CHECK_INTERVAL && self.is_time_up() {
                break;
            }
            found.extend(portion);
        }
        let mut asked = Vec::with_capacity(found.len());
        for task in found {
            if asked.len() % CHECK_INTERVAL == CHECK_INTERVAL - 1 && self.is_time_up() {
                break;
            }
            let Some(slot) = task.slot::<TaskSlot>() else { continue };
            // The error of the task is reported here, and nowhere else.
            slot.mark_retrieved();
            countdown.unfinished.fetch_add(1, Ordering::Relaxed);
            notify(&task, Arc::clone(countdown) as Arc<dyn Notify>, 0);
            task.request_shutdown();
            asked.push(TaskHandle::new(task));
        }
        asked
    }

    fn wait(&mut self, waiter: &Waiter, countdown: &Countdown) -> Wait {
        loop {
            if countdown.is_over() {
                return Wait::AllEnded;
            }
            if waiter.take_interrupt() {
                self.hurry(Waited::UntilInterrupt);
            }
            if self.is_time_up() {
                return wait_while_they_end(waiter, countdown);
            }
            waiter.wait(time_until(self.deadline));
        }
    }

    fn is_time_up(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Called after the close: only then is it known which of the survivors could be dropped.
    fn report_what_is_left(mut self, stuck: &[TaskRef]) {
        let mut given_up = GivenUp::new(self.waited);
        for task in stuck {
            given_up.stuck(task);
        }
        let stuck: HashSet<&TaskRef> = stuck.iter().collect();
        for task in self.survivors.iter().filter(|task| !stuck.contains(task.task_ref())) {
            let slot = task.task_ref().task_slot();
            // Done: the close has dropped it. Not done: it is about to be dropped.
            let is_given_up = task.task_ref().failure().map_or(!task.done(), |error| was_dropped(&error));
            if !is_given_up {
                // It ended by itself, a little late.
                self.failures.note(task);
            } else if slot.requests().load().is_pending() {
                given_up.without_turn();
            } else if slot.waits_for_request() {
                given_up.waiting(task);
            } else {
                given_up.did_not_stop(task);
            }
        }
        self.failures.report_the_rest();
        given_up.functions(self.event_loop.shared().running().count());
        given_up.report(self.event_loop);
    }
}

fn time_until(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Called when the time is up. Tasks that are about to end may do so: this waits as long as one
/// ends after the other.
fn wait_while_they_end(waiter: &Waiter, countdown: &Countdown) -> Wait {
    let end = Instant::now() + GRACE;
    let (mut unfinished, mut since) = (countdown.unfinished(), Instant::now());
    loop {
        if countdown.is_over() {
            return Wait::AllEnded;
        }
        let now = Instant::now();
        if countdown.unfinished() != unfinished {
            (unfinished, since) = (countdown.unfinished(), now);
        }
        let until = end.min(since + NO_PROGRESS);
        if now >= until {
            return Wait::TimeIsUp;
        }
        waiter.wait(Some((until - now).min(NO_PROGRESS / 4)));
    }
}

/// Whether a task ended because its loop was closed.
fn was_dropped(error: &Error) -> bool {
    error
        .downcast_ref::<CancelledError>()
        .is_some_and(|cancelled| cancelled.message() == Some(EVENT_LOOP_IS_CLOSED))
}

/// Wakes the waiter when the last of several tasks has ended.
struct Countdown {
    /// While tasks are still being cancelled, this is one more than the number of unfinished tasks.
    unfinished: AtomicUsize,
    waker: Waker,
}

impl Countdown {
    fn down(&self) {
        // Ordering: AcqRel, with `is_over`.
        if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waker.wake_by_ref();
        }
    }

    fn unfinished(&self) -> usize {
        // Relaxed: the number is only compared.
        self.unfinished.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        // Ordering: Acquire, with `down`.
        self.unfinished.load(Ordering::Acquire) == 0
    }
}

impl Notify for Countdown {
    fn notify(&self, _index: usize, _task: &TaskRef) {
        self.down();
    }
}
