//! Is a colleague woken for a task that is alone in its queue?
//!
//! By the time one has got up, the worker that pushed the task has run it itself, if its poll ends soon after the push. In a chain, where each task spawns
//! the next, that is always so, and to wake somebody costs more than many links. If the poll goes on, the task waits for it, and a colleague is welcome.
//! Nobody can tell the two apart before the poll ends. So each worker learns from its own polls:
//!
//! * **It shares** at first: it wakes somebody for a lone task, and looks how long the poll goes on after that. After [`ENOUGH`] polls in a row
//!   that ended soon, it keeps.
//! * **It keeps** its lone task: nobody is woken for it, nor takes it. It times the poll after every [`SAMPLE`]th such push, and shares again as soon as one goes on, a
//!   poll is found to be long on any other occasion, or it has pushed several tasks.
//!
//! A kept task whose spawner goes on, against all experience, waits for the watch as whatever waits behind a long poll does: while the watch holds a poll for long, nothing is kept. No task can
//! be lost: its worker is awake and comes to it. Without the watch nothing is kept.

use std::cell::Cell;
use std::time::Duration;

use crate::shared::WorkerSlot;
use crate::sync::{Instant, Ordering};
use crate::worker::Local;

/// A poll that ends so soon after the push is over before a colleague has got up.
pub(crate) const SOON: Duration = Duration::from_micros(20);
/// So many in a row make a worker keep its lone task.
const ENOUGH: u32 = 16;
/// One of so many pushes is timed while it keeps.
const SAMPLE: u32 = 16;

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
        let untimed = self.untimed.get() + 1;
        let is_timed = !self.keeps() || untimed >= SAMPLE;
        self.untimed.set(if is_timed { 0 } else { untimed });
        if is_timed {
            self.pushed.set(Some(Instant::now()));
        }
    }

    /// The poll has ended. True: it was timed.
    #[inline]
    fn poll_ended(&self, now: impl FnOnce() -> Instant) -> bool {
        let Some(pushed) = self.pushed.take() else { return false };
        let soon = now().saturating_duration_since(pushed) < SOON;
        self.soon.set(if soon { (self.soon.get() + 1).min(ENOUGH) } else { 0 });
        true
    }

    fn share(&self) {
        self.soon.set(0);
    }
}

impl WorkerSlot {
    /// There is something to take for a thief that asks for `least` tasks.
    #[inline]
    pub(crate) fn has_to_give(&self, least: usize) -> bool {
        match self.stealer.len() {
            1 if least == 1 => !self.keeps_its_lone_task(),
            len => len >= least,
        }
    }

    fn keeps_its_lone_task(&self) -> bool {
        let is_long = || self.pace.marked.load(Ordering::Relaxed) == self.pace.poll.load(Ordering::Relaxed);
        self.keeps_lone.load(Ordering::Relaxed) && !is_long()
    }
}

impl Local {
    /// Nothing but one task is queued here.
    fn has_lone_task(&self) -> bool {
        self.slot().stealer.len() == 1 && self.slot().next.is_empty()
    }

    /// After a push, while a colleague sleeps (`is_wanted`) or this worker keeps its lone task: wakes somebody if it is worth it.
    #[cold]
    pub(crate) fn notify_if_worth_it(&self, is_wanted: bool) {
        let is_lone = self.has_lone_task();
        if !is_lone {
            self.share();
        }
        if !is_wanted {
            return;
        }
        if !self.lone.keeps() {
            self.shared.notify_if_visible();
        }
        if is_lone {
            self.lone.pushed();
        }
    }

    /// A poll has ended that owes a look at the sleepers.
    #[inline]
    pub(crate) fn learn_from_poll(&self) {
        if self.lone.poll_ended(Instant::now) {
            self.publish();
        }
    }

    /// What is left here is worth waking somebody for.
    #[inline]
    pub(crate) fn has_to_share(&self) -> bool {
        !self.deque.is_empty() && (!self.lone.keeps() || !self.has_lone_task())
    }

    /// Shares its lone task from now on, for the time being.
    pub(crate) fn share(&self) {
        self.lone.share();
        self.publish();
    }

    fn publish(&self) {
        let keeps = &self.slot().keeps_lone;
        if keeps.load(Ordering::Relaxed) != self.lone.keeps() {
            keeps.store(self.lone.keeps(), Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    /// A poll with a lone push that ended soon after it, or went on; whether it was timed.
    fn poll(lone: &Lone, ends_soon: bool) -> bool {
        lone.pushed();
        let pushed = lone.pushed.get();
        lone.poll_ended(|| pushed.expect("timed") + if ends_soon { Duration::ZERO } else { SOON })
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
        assert!(!lone.poll_ended(|| unreachable!("nothing is timed")));
        assert!(lone.keeps());
        lone.share();
        assert!(!lone.keeps());
    }
}
