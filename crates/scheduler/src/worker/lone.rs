//! Is a colleague woken for a task that is alone in its queue?
//!
//! By the time one has got up, the worker that pushed the task has run it itself, if its poll ends soon after the push. In a chain, where each task spawns
//! the next, that is always so, and to wake somebody costs more than many links. If the poll goes on, the task waits for it, and a colleague is welcome.
//! Nobody can tell the two apart before the poll ends. So each worker learns from its own polls:
//!
//! * **It shares** at first: it wakes somebody for a lone task, and looks how long the poll goes on after that. After [`ENOUGH`] polls in a row
//!   that ended soon, it keeps.
//! * **It keeps** the lone task that a poll pushes, as long as that poll goes on: nobody is woken for it, nor takes it. It times the poll after every [`SAMPLE`]th such
//!   push, and shares again as soon as one goes on, a poll is found to be long on any other occasion, or it has pushed several tasks.
//!
//! If the poll goes on, against all experience, the task waits for the watch, as what waits behind a long poll does: what the watch has marked as long keeps nothing. Heavy
//! polls, known to be long, keep nothing either, and teach nothing. No task can be lost: its worker is awake and comes to it. Without the watch nothing is kept.

use std::cell::Cell;
use std::time::Duration;

use super::Local;
use crate::shared::{NO_POLL, WorkerSlot};
use crate::sync::{Instant, Ordering};

/// A poll that ends so soon after the push is over long before a colleague has got up, which takes 15 µs and more.
pub(crate) const SOON: Duration = Duration::from_micros(5);
/// So many in a row make a worker keep its lone task.
const ENOUGH: u32 = 16;
/// One of so many pushes is timed while it keeps. Prime, so that it does not fall into step with patterns of the program.
const SAMPLE: u32 = 17;

/// What a worker has learned about lone tasks.
pub(crate) struct Lone {
    /// Timed polls in a row that ended soon.
    soon: Cell<u32>,
    /// Pushes since the last that was timed.
    untimed: Cell<u32>,
    /// When this poll pushed its lone task, if it is timed.
    pushed: Cell<Option<Instant>>,
}

impl Lone {
    pub(crate) fn new() -> Self {
        Self { soon: Cell::new(0), untimed: Cell::new(0), pushed: Cell::new(None) }
    }

    #[inline]
    pub(crate) fn keeps(&self) -> bool {
        self.soon.get() >= ENOUGH
    }

    /// A lone task has been pushed, and if this worker does not keep it, somebody has been woken.
    fn pushed(&self) {
        if self.pushed.get().is_some() {
            // Timed from the first one on.
            return;
        }
        let untimed = self.untimed.get() + 1;
        let is_timed = !self.keeps() || untimed >= SAMPLE;
        self.untimed.set(if is_timed { 0 } else { untimed });
        if is_timed {
            self.pushed.set(Some(Instant::now()));
        }
    }

    /// The poll has ended. `is_gone`: what it pushed has been taken, and perhaps it ended only because of that.
    #[inline]
    fn poll_ended(&self, is_gone: bool, now: impl FnOnce() -> Instant) {
        if let Some(pushed) = self.pushed.take() {
            let soon = !is_gone && now().saturating_duration_since(pushed) < SOON;
            self.soon.set(if soon { (self.soon.get() + 1).min(ENOUGH) } else { 0 });
        }
    }

    fn share(&self) {
        self.soon.set(0);
    }
}

impl WorkerSlot {
    /// There is something to take for a thief that asks for `least` tasks.
    #[inline]
    pub(crate) fn has_to_give(&self, least: usize) -> bool {
        let len = self.stealer.len();
        len >= least && (len > 1 || !self.keeps_its_lone_task())
    }

    /// It pushed that task in the poll that still goes on, and is expected to come to it at once.
    fn keeps_its_lone_task(&self) -> bool {
        let poll = self.progress.poll.load(Ordering::Relaxed);
        self.keeps_lone.load(Ordering::Relaxed) == poll
            && self.progress.marked.load(Ordering::Relaxed) != poll
            && !self.progress.heavy.load(Ordering::Relaxed)
    }
}

impl Local {
    /// Nothing but one task is queued here.
    fn has_lone_task(&self) -> bool {
        self.slot().stealer.len() == 1 && self.slot().next.is_empty()
    }

    /// After a push, while a colleague sleeps (`is_wanted`) or this worker keeps lone tasks: wakes somebody if it is worth it.
    #[cold]
    pub(crate) fn notify_if_worth_it(&self, is_wanted: bool) {
        let is_lone = self.has_lone_task();
        if !is_lone {
            self.share();
        }
        let is_heavy = self.slot().progress.heavy.load(Ordering::Relaxed);
        if self.lone.keeps() && !is_heavy {
            self.slot()
                .keeps_lone
                .store(self.slot().progress.poll.load(Ordering::Relaxed), Ordering::Relaxed);
        } else if is_wanted {
            self.shared.notify_if_visible();
        }
        if is_lone && is_wanted && !is_heavy {
            self.lone.pushed();
        }
    }

    /// A poll has ended that owes a look at the sleepers. True: what is left here is worth waking somebody for.
    #[inline]
    pub(crate) fn has_to_share_after_poll(&self) -> bool {
        self.lone.poll_ended(self.deque.is_empty(), Instant::now);
        self.has_to_share()
    }

    /// What is queued here is worth waking somebody for.
    #[inline]
    pub(crate) fn has_to_share(&self) -> bool {
        !self.deque.is_empty() && (!self.lone.keeps() || !self.has_lone_task())
    }

    /// Keeps nothing from now on, for the time being.
    pub(crate) fn share(&self) {
        if self.lone.keeps() {
            self.slot().keeps_lone.store(NO_POLL, Ordering::Relaxed);
        }
        self.lone.share();
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    /// A poll with a lone push that ended soon after it, or went on; whether it was timed.
    fn poll(lone: &Lone, ends_soon: bool) -> bool {
        lone.pushed();
        let pushed = lone.pushed.get();
        lone.poll_ended(false, || pushed.expect("timed") + if ends_soon { Duration::ZERO } else { SOON });
        pushed.is_some()
    }

    #[test]
    fn polls_that_end_soon_make_a_worker_keep_and_one_that_goes_on_makes_it_share() {
        let lone = Lone::new();
        for _ in 1..ENOUGH {
            assert!(poll(&lone, true) && !lone.keeps());
        }
        assert!(poll(&lone, false) && !lone.keeps(), "in a row");
        for _ in 0..ENOUGH {
            assert!(!lone.keeps());
            assert!(poll(&lone, true));
        }
        assert!(lone.keeps());
        let timed = (0..10 * SAMPLE).filter(|_| poll(&lone, true)).count();
        assert_eq!((timed, lone.keeps()), (10, true));
        let untimed = (0..2 * SAMPLE).take_while(|_| !poll(&lone, false)).count();
        assert_eq!((untimed, lone.keeps()), (SAMPLE as usize - 1, false));
    }

    #[test]
    fn a_poll_without_a_push_teaches_nothing() {
        let lone = Lone::new();
        for _ in 0..ENOUGH {
            poll(&lone, true);
        }
        lone.poll_ended(true, || unreachable!("nothing is timed"));
        assert!(lone.keeps());
        lone.share();
        assert!(!lone.keeps());
    }

    #[test]
    fn a_task_that_a_colleague_took_was_worth_it() {
        let lone = Lone::new();
        for _ in 0..2 * ENOUGH {
            lone.pushed();
            lone.poll_ended(true, Instant::now);
            assert!(!lone.keeps());
        }
    }
}
