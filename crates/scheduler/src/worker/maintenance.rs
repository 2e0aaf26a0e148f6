//! What does a worker do every so many polls, though tasks are still queued?
//!
//! Timers, sockets and the injector must not wait until the worker's own queue is
//! empty. While timers are armed or sockets are open, the interval follows the length of the polls,
//! so that the worker reads the clock about every [`CLOCK_NANOS`].

use std::cell::Cell;
use std::task::Waker;
use std::time::Duration;

use super::Local;
use super::wake_policy::SOON;
use crate::clock::nanos;
use crate::queue::Steal;
use crate::sync::Instant;
use crate::task::Runnable;
use crate::timers::NEVER;
use crate::watchdog::GLANCES;

/// Polls between two rounds of maintenance. Prime, so that it does not fall into step with the
/// program's own patterns.
const INTERVAL: u32 = 61;
/// The time between two looks at the clock.
const CLOCK_NANOS: u64 = 30_000;
/// The time between two looks at the sockets. Each is a system call, which costs as much as
/// several short polls; a look in each round would show where the tasks only yield.
const SOCKETS_NANOS: u64 = 200_000;
/// One in so many polls is timed.
const SAMPLE_INTERVAL: u64 = 61;
/// Rounds in which no poll was timed, until the clock is read for a glance.
const ROUNDS_WITHOUT_SAMPLE: u32 = 4;

/// What a worker remembers from one round to the next.
#[derive(Default)]
pub(super) struct Maintenance {
    /// Polls until the next round.
    countdown: Cell<u32>,
    interval: Cell<u32>,
    /// The longest interval: with long polls it is short, as other workers must be looked at (`glance.rs`).
    /// At zero there is a glance after each poll.
    most: Cell<u32>,
    /// Rounds since a poll was timed.
    rounds: Cell<u32>,
    /// When the worker last looked at the clock, and at the sockets.
    clock: Cell<u64>,
    sockets: Cell<u64>,
    /// The number of the last poll that was timed.
    timed: Cell<u64>,
    /// Memory for the wakers of tasks whose sockets are ready. Empty between two uses.
    pub(super) woken: Cell<Vec<Waker>>,
}

impl Maintenance {
    pub(super) fn new() -> Self {
        let most = || Cell::new(INTERVAL);
        Self { countdown: most(), interval: most(), most: most(), ..Self::default() }
    }

    /// One more poll is about to begin. True: maintenance comes first.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        let countdown = self.countdown.get();
        self.countdown.set(countdown.saturating_sub(1));
        countdown == 0
    }

    /// A round comes before the next poll.
    pub(super) fn comes_next(&self) {
        self.countdown.set(0);
    }

    /// Many timers have fired: the next rounds come soon, and at longer intervals as the tasks turn
    /// out to be short.
    pub(super) fn hurry(&self) {
        self.interval.set(1);
        self.countdown.set(1);
    }

    pub(super) fn note_time(&self, now: u64) {
        self.clock.set(now);
    }

    /// Returns the time since the last look at the clock.
    fn look_at_clock(&self, now: u64) -> u64 {
        now.saturating_sub(self.clock.replace(now))
    }

    /// Fits the interval to polls of which the last ones took `nanos` together.
    fn fit_interval(&self, nanos: u64) {
        if nanos > CLOCK_NANOS {
            self.set_interval(self.interval.get() / 2);
        } else {
            self.lengthen_interval();
        }
    }

    fn lengthen_interval(&self) {
        self.set_interval(self.interval.get() * 2);
    }

    fn set_interval(&self, polls: u32) {
        self.interval.set(polls.max(1).min(self.most.get()));
    }

    /// A poll was timed.
    fn note_sample(&self, lasted: Duration) {
        let polls = GLANCES.as_nanos() / lasted.as_nanos().max(1);
        self.most.set(u32::try_from(polls).unwrap_or(INTERVAL).min(INTERVAL));
        self.rounds.set(0);
    }

    /// One more round. True: no poll is timed that often, so the clock must be read for a glance.
    fn wants_glance(&self) -> bool {
        let rounds = self.rounds.get() + 1;
        let wants = rounds > ROUNDS_WITHOUT_SAMPLE || self.most.get() < INTERVAL;
        self.rounds.set(if wants { 0 } else { rounds });
        wants
    }
}

impl Local {
    /// One round.
    #[cold]
    pub(super) fn maintain(&self) {
        let maintenance = &self.maintenance;
        if maintenance.wants_glance() {
            self.glance(Instant::now());
        }
        if self.look_at_clock_and_wheel() {
            self.fire_own_timers();
        }
        self.fire_overdue_timers();
        if self.are_sockets_due() {
            self.glance_at_sockets();
        }
        maintenance.countdown.set(maintenance.interval.get());
        self.policy.end_burst_by(maintenance.clock.get());
        if !self.policy.in_burst() {
            self.wake_another_if_worth_it();
        }
    }

    /// After a round: takes a task from the injector. If that is empty, it runs one of the worker's own
    /// tasks, and perhaps times it.
    #[cold]
    pub(super) fn take_shared_task(&self) -> Option<Runnable> {
        if let Steal::Success(task) = self.shared.injector.steal_one() {
            return Some(task);
        }
        if let Some(task) = self.pop() {
            self.run_timed(task);
        }
        None
    }

    /// Looks at the clock if there is a reason to. True: a timer is due that this worker fires.
    fn look_at_clock_and_wheel(&self) -> bool {
        let (shared, maintenance) = (&self.shared, &self.maintenance);
        let next = self.next_deadline();
        if next == NEVER && !self.policy.in_burst() && shared.driver.reactor().is_none() {
            // Not all at once: a timer that has just fired is often armed again by the next poll.
            maintenance.lengthen_interval();
            return false;
        }
        let now = shared.clock.now();
        maintenance.fit_interval(maintenance.look_at_clock(now));
        next <= shared.tick_length.containing(now)
    }

    fn are_sockets_due(&self) -> bool {
        let (shared, maintenance) = (&self.shared, &self.maintenance);
        if shared.driver.reactor().is_none() {
            return false;
        }
        let now = maintenance.clock.get();
        // Virtual time stands still while a worker is busy.
        let is_due =
            shared.clock.is_virtual() || now.saturating_sub(maintenance.sockets.get()) >= SOCKETS_NANOS;
        if is_due {
            maintenance.sockets.set(now);
        }
        is_due
    }

    /// Runs a task, and times it if no other has been timed lately.
    fn run_timed(&self, task: Runnable) {
        if self.shared.is_closing() {
            return self.drop_unpolled(task);
        }
        let poll = self.poll.get();
        // Polls are numbered in steps of two.
        if poll - self.maintenance.timed.get() < 2 * SAMPLE_INTERVAL {
            self.run(task);
            if self.maintenance.most.get() == 0 {
                self.glance(Instant::now());
            }
            return;
        }
        self.maintenance.timed.set(poll);
        let began = Instant::now();
        self.run(task);
        let ended = Instant::now();
        let lasted = ended.saturating_duration_since(began);
        self.maintenance.note_sample(lasted);
        self.glance(ended);
        if lasted >= SOON {
            self.keep_nothing_local();
        }
        // Long polls are all counted, by `note_long_poll`.
        if !self.is_marked() {
            self.slot().counters.poll_times.note(nanos(lasted));
        }
    }
}
