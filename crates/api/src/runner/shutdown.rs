//! What becomes of the tasks that are left when main has ended?
//!
//! ```text
//!  open             foreign threads, workers and pool hand in what they like
//!    | finish
//!  clean-up         foreign threads are refused. In rounds: every task that was not asked is asked to stop, once; then all of
//!    |              these are waited for, then functions in threads; whatever they hand in meanwhile is the next round.
//!    | nothing is left, or the time is up
//!  the last look    everybody is refused. If there is time, one more round for what came in after the last one.
//!    |
//!  giving up        signal handlers go, the scheduler is closed: what is left is dropped, what is inside a poll is left behind
//!    |
//!  closed           one report tells all that was given up on
//! ```
//!
//! Who owns what: the calling thread owns the rounds and the clock; the workers own the tasks until the scheduler is closed, from then on its closing
//! thread does. The scheduler's `close.rs` has the invariant on which the last look rests: what is handed in is either found by it, or was refused.
//!
//! Every step looks at the clock, also between two tasks of a round. When the time is up, tasks that are on their way out get [`GRACE`], and the
//! threads [`LEAST_PATIENCE`] together with that; nothing else is waited for.
//!
//! A task is asked only once, whoever would ask it: a task that awaits another one passes requests on, but not a shutdown's to a task
//! that has been told of it (`request/route.rs`). So n tasks cost n requests and n polls, however they await each other.

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

/// Threads that have nothing left to do need a moment to end, even where nobody waits for tasks.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);
/// The same where that time has been used up by so many tasks, or by a slow exception handler.
const LEAST_OF_ALL: Duration = Duration::from_millis(20);
/// So long tasks are waited for that were asked in time, if one after the other ends. A part of the least patience.
const GRACE: Duration = Duration::from_millis(50);
/// If none has ended for so long, none is about to.
const NO_PROGRESS: Duration = Duration::from_millis(10);
/// Tasks that are asked between two looks at the clock.
const BETWEEN_LOOKS: usize = 256;

/// Cancels every task once, waits, and closes the loop: bounded, whatever the tasks do.
pub(super) struct Shutdown<'a> {
    event_loop: &'a EventLoop,
    /// What the report says about the patience.
    waited: Waited,
    /// `None`: so much patience that the clock cannot show its end.
    deadline: Option<Instant>,
    /// Those that were asked and were not done when the time was up.
    survivors: Vec<TaskHandle>,
    failures: report::Failures,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Wait {
    AllEnded,
    /// Or the user has lost patience.
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

    /// `pause` keeps virtual time from moving on until every task has been asked to stop.
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
            // The last look: what came in between the two is all there will ever be.
            let _ = self.clean_up(&waiter, pause);
        }
        drop(waiter);
        // Before the loop is closed, which may take its time: a signal in between does what it does by default, instead of nothing.
        self.event_loop.close_signals();
        let end = self.deadline.and_then(|deadline| deadline.checked_add(LEAST_PATIENCE));
        let stuck = scheduler.close(time_until(end).map_or(Duration::MAX, |left| left.max(LEAST_OF_ALL)));
        self.report_what_is_left(&stuck);
    }

    /// In rounds, until there is neither a task nor a function: what is made during the shutdown gets its turn when what was there before has ended.
    fn clean_up(&mut self, waiter: &Waiter, pause: &MainsPause) -> Wait {
        let scheduler = self.event_loop.scheduler();
        loop {
            let asked = self.ask_and_wait(waiter, pause);
            let Some(asked) = asked else { return Wait::TimeIsUp };
            // The loop still runs: a signal while functions end in their threads is the handler's.
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

    /// One round: the number of those that were asked and have ended. `None`: the time is up.
    fn ask_and_wait(&mut self, waiter: &Waiter, pause: &MainsPause) -> Option<usize> {
        let countdown = Arc::new(Countdown { unfinished: AtomicUsize::new(1), waker: waiter.waker() });
        let asked = self.ask_all(&countdown);
        // What they do now may take time.
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

    /// Asks all that are there now, or as many as there is time for. They are collected before the first one is
    /// asked: a task that a clean-up makes gets its turn in the next round.
    fn ask_all(&self, countdown: &Arc<Countdown>) -> Vec<TaskHandle> {
        let mut found = Vec::new();
        for portion in self.event_loop.scheduler().tasks_by_portions() {
            // Some are asked in any case, so that the report can name them.
            if found.len() >= BETWEEN_LOOKS && self.is_time_up() {
                break;
            }
            found.extend(portion);
        }
        let mut asked = Vec::with_capacity(found.len());
        for task in found {
            if asked.len() % BETWEEN_LOOKS == BETWEEN_LOOKS - 1 && self.is_time_up() {
                break;
            }
            let Some(slot) = task.slot::<TaskSlot>() else { continue };
            // Its error is reported here, and only here.
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

    /// Only now is it known which of those that did not stop could be dropped.
    fn report_what_is_left(mut self, stuck: &[TaskRef]) {
        let mut given_up = GivenUp::new(self.waited);
        for task in stuck {
            given_up.stuck(task);
        }
        let stuck: HashSet<&TaskRef> = stuck.iter().collect();
        for task in self.survivors.iter().filter(|task| !stuck.contains(task.task_ref())) {
            let slot = task.task_ref().task_slot();
            // Done: dropped by the close. Not done: about to be dropped.
            let is_given_up = task.task_ref().failure().map_or(!task.done(), |error| was_dropped(&error));
            if !is_given_up {
                // It came to its end by itself, a little late.
                self.failures.note(task);
            } else if slot.requests().load().is_pending() {
                given_up.unheard();
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

/// The time is up; but if tasks are on their way out, which shows as one ends after the other, they get there.
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

/// Wakes when the last of several tasks has ended.
struct Countdown {
    /// One more than tasks as long as tasks are being asked.
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
        // Relaxed: a number to compare.
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
