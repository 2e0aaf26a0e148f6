//! Does a worker wake another one for the tasks that it queues, and how long does it search before it parks?
//!
//! To wake a parked worker takes 15 µs and more, as long as a hundred short polls. So a worker
//! tries not to wake another one for a task that it will itself come to sooner. This file decides,
//! from inputs that its callers name. No decision can lose a task: the worker that has queued a
//! task is awake and comes to it, and the handshake in `idle.rs` covers all other pushes.
//!
//! # When is a parked worker woken?
//!
//! "Wanted" means that a worker is parked and no worker searches (`Idle::seems_wanted`).
//!
//! | event | condition | decision |
//! |---|---|---|
//! | a task enters the injector | wanted | wake |
//! | a task is woken on a worker with none queued | watchdog | wake none: it is next |
//! | a task woke itself | it is light | wake none |
//! | a poll queues a task | no watchdog, wanted | wake |
//! | a poll, not a long one, queues the only task here | learned to keep it local | keep it |
//! | a poll queues a task | in a burst | wake none |
//! | a poll queues a task | wanted | wake |
//! | a poll that queued a task ends; maintenance | no burst, more than a kept task, wanted | wake |
//! | the last searching worker stops | something can be taken, wanted | wake |
//! | a worker leaves its place | wanted | wake |
//! | the watchdog looks | something can be taken or the driver is free, wanted | wake |
//!
//! Light tasks that a computing thread queues go to the injector. For tasks in a lane a computing thread is
//! woken by the same rule as for the injector (`Shared::call_computing_thread`). The workers that the driver
//! wakes for deadlines and sockets are in `driver.rs`.
//!
//! **Keeping the only task local.** In a chain, where each task spawns the next, the poll ends
//! right after the push, and the worker has run the task before another one is awake. If the poll
//! goes on, the task would wait. The two look the same at the push, so each worker learns from its
//! own polls. At first it wakes another worker for its only task and times how long the poll goes
//! on. After [`ENOUGH`] polls in a row that ended within [`SOON`], it keeps such a task until the
//! poll ends, and thieves leave it alone. It then times one push in [`SAMPLE`], and wakes others
//! again after the first timed poll that goes on, after any poll that is found to be long or that
//! maintenance has timed at [`SOON`] or more, and when a task is queued behind another one. If a
//! poll goes on against all experience, the watchdog marks it, and a marked poll keeps nothing.
//!
//! Rejected: no wake for any single task after some unsuccessful wakes (single children waited a
//! millisecond); "this worker keeps its task" instead of "this poll keeps its task" (two tasks that
//! yield to each other stayed on one worker for up to 61 polls).
//!
//! **Bursts.** Timers and sockets wake many tasks at once. Most of their polls are short, so the
//! worker runs them alone for [`TIMERS_BURST_NANOS`] or [`SOCKETS_BURST_NANOS`] before it wakes
//! another one.
//!
//! # How does a worker search?
//!
//! | time since the search began | takes from a queue with at least |
//! |---|---|
//! | at once, unless the last steal brought few tasks | 2 tasks (1 of the injector's) |
//! | up to [`PATIENCE`], if the last steal brought few and another worker is awake | [`MANY`] tasks |
//! | up to [`ONLY_TASK`] | 2 tasks (1 of the injector's) |
//! | later, and at the end of each search | 1 task |
//!
//! The search ends when it finds a task, or after the longest of these times: [`PATIENCE`], if it
//! waits for longer queues (second row); the spin budget (`spin.rs`), if the worker searches alone
//! in a program without sockets; [`ONLY_TASK`], if both are zero, no other worker searches and a
//! task can be seen. A due timer ends it early. With sockets, the next task most
//! likely comes from there, so the worker goes on to the driver.

use std::cell::Cell;
use std::time::Duration;

use crate::sync::{Instant, TIME_PASSES};

/// A poll that ends so soon after its push is over long before another worker is awake.
pub(super) const SOON: Duration = Duration::from_micros(5);
/// So many such polls in a row make a worker keep its only task local.
const ENOUGH: u32 = 16;
/// One in so many pushes is timed while the worker keeps tasks local. Prime, so that it does not
/// fall into step with the program's own patterns.
const SAMPLE: u32 = 17;
/// How long a worker that has just fired many timers runs alone what they woke.
pub(super) const TIMERS_BURST_NANOS: u64 = 150_000;
/// The same for sockets.
pub(super) const SOCKETS_BURST_NANOS: u64 = 60_000;
/// A worker's only task is left to it for this long: nearly always the worker is about to run it,
/// and a task that changes cores takes its caches along.
const ONLY_TASK: Duration = Duration::from_micros(2);
/// A worker whose last steal brought few tasks leaves shorter queues than this alone …
pub(super) const MANY: usize = 32;
/// … for this long. Otherwise it takes each task as soon as another worker has created it, and both
/// spend more time on passing tasks than on running them.
const PATIENCE: Duration = Duration::from_micros(5);

/// What one worker remembers in order to decide.
#[derive(Debug, Default)]
pub(crate) struct WakePolicy {
    /// Timed polls in a row that ended soon after they had queued their only task.
    ended_soon: Cell<u32>,
    /// Pushes of an only task since the last one that was timed.
    untimed: Cell<u32>,
    /// When this poll queued its only task, if this poll is timed.
    queued_at: Cell<Option<Instant>>,
    /// A task was queued, and the end of the poll decides once more.
    is_undecided: Cell<bool>,
    /// A time of the scheduler's clock. Zero: there is no burst.
    burst_ends: Cell<u64>,
    /// The last steal brought few tasks.
    stole_few: Cell<bool>,
}

/// What a worker sees after one of its polls has queued a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Push {
    /// Another worker is wanted (see the module's head), and this worker is in no burst.
    pub(super) is_wanted: bool,
    /// The task is the only one that is queued here.
    pub(super) is_only_task: bool,
    /// The poll is marked as long.
    pub(super) in_long_poll: bool,
}

/// What to do about a task that has just been queued.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    WakeAnother,
    /// Wake no worker, and have thieves leave the task alone while this poll goes on.
    KeepLocal,
    WakeNone,
}

/// What a worker that has found no task sees of the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// No other worker searches.
    pub(super) is_alone: bool,
    /// Another worker is awake, and may fill its queue.
    pub(super) another_is_awake: bool,
    /// The program uses sockets.
    pub(super) has_sockets: bool,
    pub(super) spin_budget: Duration,
}

/// How long to search, and what to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SearchPlan {
    pub(super) limit: Duration,
    patience: Duration,
}

impl WakePolicy {
    /// This worker keeps the only task that a poll queues.
    #[inline]
    pub(super) fn keeps_local(&self) -> bool {
        self.ended_soon.get() >= ENOUGH
    }

    /// A poll has queued a task. True: call [`decide`](Self::decide).
    #[inline]
    pub(super) fn note_push(&self, is_wanted: bool) -> bool {
        self.is_undecided.set(true);
        is_wanted || self.keeps_local()
    }

    pub(super) fn decide(&self, push: Push) -> Decision {
        if !push.is_only_task {
            self.wake_others_again();
        }
        match push {
            Push { in_long_poll: false, .. } if self.keeps_local() => Decision::KeepLocal,
            Push { is_wanted: true, .. } => Decision::WakeAnother,
            _ => Decision::WakeNone,
        }
    }

    /// The decision has been carried out. To wake a worker takes time, which must not count as this
    /// poll's, so the time is taken only now.
    pub(super) fn begin_timing(&self, push: Push) {
        let teaches = push.is_only_task && push.is_wanted && !push.in_long_poll;
        if !teaches || self.queued_at.get().is_some() {
            return;
        }
        let untimed = self.untimed.get() + 1;
        let is_timed = !self.keeps_local() || untimed >= SAMPLE;
        self.untimed.set(if is_timed { 0 } else { untimed });
        if is_timed {
            self.queued_at.set(Some(Instant::now()));
        }
    }

    /// A poll has ended. True: it had queued a task, so look again whether to wake another worker.
    /// `is_taken`: that task has left the deque.
    #[inline]
    pub(super) fn end_poll(&self, is_taken: impl FnOnce() -> bool) -> bool {
        if !self.is_undecided.get() || self.in_burst() {
            return false;
        }
        self.is_undecided.set(false);
        self.end_timing(is_taken, Instant::now);
        true
    }

    /// If the task has been taken, the poll perhaps ended only because of that: it was worth waking
    /// another worker.
    #[inline]
    fn end_timing(&self, is_taken: impl FnOnce() -> bool, now: impl FnOnce() -> Instant) {
        if let Some(queued_at) = self.queued_at.take() {
            let ended_soon = !is_taken() && now().saturating_duration_since(queued_at) < SOON;
            self.ended_soon.set(if ended_soon { (self.ended_soon.get() + 1).min(ENOUGH) } else { 0 });
        }
    }

    /// Keep nothing local until [`ENOUGH`] polls have ended soon again.
    pub(super) fn wake_others_again(&self) {
        self.ended_soon.set(0);
    }

    #[inline]
    pub(super) fn in_burst(&self) -> bool {
        self.burst_ends.get() != 0
    }

    /// Returns when the former burst ends, for [`resume_burst`](Self::resume_burst).
    pub(super) fn begin_burst(&self, ends: u64) -> u64 {
        self.burst_ends.replace(ends)
    }

    pub(super) fn resume_burst(&self, former: u64) {
        self.burst_ends.set(former);
    }

    /// Nothing is left of a burst.
    pub(super) fn end_burst(&self) {
        self.burst_ends.set(0);
    }

    /// Ends a burst whose time is over.
    pub(super) fn end_burst_by(&self, now: u64) {
        if now >= self.burst_ends.get() {
            self.end_burst();
        }
    }

    /// A steal has brought so many tasks besides the one that it returned.
    pub(super) fn note_steal(&self, others: usize) {
        self.stole_few.set(TIME_PASSES && others < MANY / 2);
    }

    /// The last steal brought few tasks.
    pub(super) fn stole_few(&self) -> bool {
        self.stole_few.get()
    }

    /// The worker parks. By the time that it is woken, its last steal says nothing about the other queues.
    pub(super) fn forget_steal(&self) {
        self.stole_few.set(false);
    }

    /// `can_see_task`: a task can be stolen, though no queue had two of them a moment ago.
    pub(super) fn plan_search(&self, search: Search, can_see_task: impl FnOnce() -> bool) -> SearchPlan {
        let waits_for_more = self.stole_few.get() && search.another_is_awake;
        let patience = if waits_for_more { PATIENCE } else { Duration::ZERO };
        let spins = search.is_alone && !search.has_sockets;
        let limit = if spins { search.spin_budget.max(patience) } else { patience };
        let limit = match limit {
            // A spin would never end.
            _ if !TIME_PASSES => Duration::ZERO,
            Duration::ZERO if search.is_alone && can_see_task() => ONLY_TASK,
            limit => limit,
        };
        SearchPlan { limit, patience }
    }
}

impl SearchPlan {
    /// The shortest queue to take from when the search has lasted so long.
    pub(super) fn least(&self, lasted: Duration) -> usize {
        match lasted {
            _ if lasted < self.patience => MANY,
            _ if lasted < ONLY_TASK => 2,
            _ => 1,
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    const ONLY: Push = Push { is_wanted: true, is_only_task: true, in_long_poll: false };
    const IDLE: Search = Search {
        is_alone: true,
        another_is_awake: false,
        has_sockets: false,
        spin_budget: Duration::from_micros(8),
    };

    /// A poll queues its only task and ends soon after it, or goes on. Returns whether it was timed.
    fn poll(policy: &WakePolicy, ends_soon: bool) -> bool {
        policy.begin_timing(ONLY);
        let queued_at = policy.queued_at.get();
        let lasts = if ends_soon { Duration::ZERO } else { SOON };
        policy.end_timing(|| false, || queued_at.expect("timed") + lasts);
        queued_at.is_some()
    }

    fn that_keeps_local() -> WakePolicy {
        let policy = WakePolicy::default();
        for _ in 0..ENOUGH {
            poll(&policy, true);
        }
        assert!(policy.keeps_local());
        policy
    }

    #[test]
    fn a_worker_keeps_its_only_task_after_enough_polls_in_a_row_that_ended_soon() {
        let policy = WakePolicy::default();
        for _ in 1..ENOUGH {
            assert!(poll(&policy, true) && !policy.keeps_local());
        }
        assert!(poll(&policy, false) && !policy.keeps_local(), "in a row");
        for _ in 0..ENOUGH {
            assert!(!policy.keeps_local());
            assert!(poll(&policy, true));
        }
        assert!(policy.keeps_local());
        let timed = (0..10 * SAMPLE).filter(|_| poll(&policy, true)).count();
        assert_eq!((timed, policy.keeps_local()), (10, true));
        let untimed = (0..2 * SAMPLE).take_while(|_| !poll(&policy, false)).count();
        assert_eq!((untimed, policy.keeps_local()), (SAMPLE as usize - 1, false));
    }

    #[test]
    fn a_poll_that_queues_nothing_teaches_nothing() {
        let policy = that_keeps_local();
        policy.end_timing(|| true, || unreachable!("nothing is timed"));
        assert!(policy.keeps_local() && !policy.end_poll(|| true));
        policy.wake_others_again();
        assert!(!policy.keeps_local());
    }

    #[test]
    fn a_task_that_was_stolen_was_worth_a_wake() {
        let policy = WakePolicy::default();
        for _ in 0..2 * ENOUGH {
            policy.begin_timing(ONLY);
            policy.end_timing(|| true, Instant::now);
            assert!(!policy.keeps_local());
        }
    }

    #[test]
    fn the_table_of_pushes() {
        for (keeps, is_wanted, is_only_task, in_long_poll, decision) in [
            (false, false, true, false, Decision::WakeNone),
            (false, true, true, false, Decision::WakeAnother),
            (false, true, false, false, Decision::WakeAnother),
            (false, true, true, true, Decision::WakeAnother),
            (true, false, true, false, Decision::KeepLocal),
            (true, true, true, false, Decision::KeepLocal),
            (true, true, false, false, Decision::WakeAnother),
            (true, false, false, false, Decision::WakeNone),
            (true, true, true, true, Decision::WakeAnother),
        ] {
            let policy = if keeps { that_keeps_local() } else { WakePolicy::default() };
            assert_eq!(policy.note_push(is_wanted), keeps || is_wanted);
            let push = Push { is_wanted, is_only_task, in_long_poll };
            assert_eq!(policy.decide(push), decision, "{push:?}, keeps: {keeps}");
            assert_eq!(policy.keeps_local(), keeps && is_only_task);
        }
    }

    #[test]
    fn the_end_of_a_poll_decides_once_and_not_in_a_burst() {
        let policy = WakePolicy::default();
        assert!(!policy.end_poll(|| false), "nothing was queued");
        policy.note_push(false);
        assert_eq!(policy.begin_burst(100), 0);
        assert!(!policy.end_poll(|| false));
        policy.end_burst_by(99);
        assert!(policy.in_burst());
        policy.end_burst_by(100);
        assert!(!policy.in_burst());
        assert!(policy.end_poll(|| false) && !policy.end_poll(|| false));
    }

    #[test]
    fn the_table_of_searches() {
        let policy = WakePolicy::default();
        let plan = |search, has_single| policy.plan_search(search, || has_single);
        assert_eq!(plan(IDLE, true).limit, IDLE.spin_budget);
        assert_eq!(plan(Search { is_alone: false, ..IDLE }, true).limit, Duration::ZERO);
        let with_sockets = Search { has_sockets: true, ..IDLE };
        assert_eq!(plan(with_sockets, false).limit, Duration::ZERO);
        assert_eq!(plan(with_sockets, true).limit, ONLY_TASK);
        let takes = [Duration::ZERO, ONLY_TASK].map(|lasted| plan(IDLE, true).least(lasted));
        assert_eq!(takes, [2, 1]);

        policy.note_steal(MANY / 2 - 1);
        assert!(policy.stole_few());
        let beside = Search { is_alone: false, another_is_awake: true, ..IDLE };
        assert_eq!(plan(beside, false).limit, PATIENCE);
        let takes = [Duration::ZERO, ONLY_TASK, PATIENCE].map(|lasted| plan(beside, false).least(lasted));
        assert_eq!(takes, [MANY, MANY, 1]);
        policy.note_steal(MANY / 2);
        assert_eq!(plan(beside, false).limit, Duration::ZERO);
    }
}
