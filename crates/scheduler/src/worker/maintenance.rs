//! What does a worker do between two polls, when tasks are still queued?
//!
//! Every so many polls it looks around at what must not wait until its queue runs dry. While timers are armed or sockets watched, the interval is
//! fitted to the length of the polls, so that it looks at the clock about every [`CLOCK_NANOS`].
//!
//! What timers and sockets wake comes in bursts. Such tasks are short as a rule, and to wake a colleague costs as much as to run a hundred of what timers
//! woke, or some of what sockets did; so for a while after a burst nobody is woken. Should a poll of the burst be long, the watch does it.

use std::cell::Cell;
use std::task::Waker;

use super::Local;
use super::lone::SOON;
use crate::contain::silently;
use crate::driver;
use crate::queue::Steal;
use crate::sync::Instant;
use crate::task::{self, Runnable};
use crate::timers::NEVER;

/// Polls between two looks. Prime, so that it does not fall into step with patterns of the program.
const LOOK_INTERVAL: u32 = 61;
/// Between two looks at the clock.
const CLOCK_NANOS: u64 = 30_000;
/// Between two looks at the sockets of a worker that is busy. Each is a system call, and the longer they wait the more of them one call tells.
const SOCKETS_NANOS: u64 = 200_000;
/// Polls between two whose time is taken.
const SAMPLE_INTERVAL: u64 = 61;
/// How long a worker that has just fired many timers works alone on what they woke.
const TIMERS_BURST_NANOS: u64 = 150_000;
/// The same for sockets.
const SOCKETS_BURST_NANOS: u64 = 60_000;

/// What a worker remembers from look to look.
pub(crate) struct Maintenance {
    /// Polls until the next look.
    countdown: Cell<u32>,
    interval: Cell<u32>,
    /// When it last looked at the clock, and at the sockets.
    clock: Cell<u64>,
    sockets: Cell<u64>,
    /// The number of the last poll whose time was taken.
    sampled: Cell<u64>,
    /// Until then nobody is woken. Zero: no burst.
    burst_ends: Cell<u64>,
    /// Room for the wakers of those who waited for sockets; empty in between.
    pub(crate) woken: Cell<Vec<Waker>>,
}

impl Maintenance {
    pub(crate) fn new() -> Self {
        Self {
            countdown: Cell::new(LOOK_INTERVAL),
            interval: Cell::new(LOOK_INTERVAL),
            clock: Cell::new(0),
            sockets: Cell::new(0),
            sampled: Cell::new(0),
            burst_ends: Cell::new(0),
            woken: Cell::default(),
        }
    }

    /// One more poll is about to begin. True: look around first.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        let countdown = self.countdown.get();
        self.countdown.set(countdown.saturating_sub(1));
        countdown == 0
    }

    #[inline]
    pub(crate) fn in_burst(&self) -> bool {
        self.burst_ends.get() != 0
    }

    /// Nothing is left of a burst, or nothing came of it.
    pub(crate) fn end_burst(&self) {
        self.burst_ends.set(0);
    }
}

impl Local {
    /// Looks at what must not wait: the injector, due timers, sockets, heavy tasks, idle colleagues. Then the next task; None: leave.
    #[cold]
    pub(crate) fn maintain(&self) -> Option<Runnable> {
        if self.is_dismissed() {
            return None;
        }
        let maintenance = &self.maintenance;
        if self.fit_interval() {
            self.firing(|| self.fire_own_timers());
        }
        if self.shared.driver.take_overdue() {
            let tick = self.shared.tick_length.containing(self.shared.clock.now());
            self.firing(|| self.shared.all_timers().iter().map(|timers| timers.fire(tick)).sum());
        }
        self.glance_at_sockets();
        maintenance.countdown.set(maintenance.interval.get());
        if maintenance.in_burst() && maintenance.clock.get() >= maintenance.burst_ends.get() {
            maintenance.end_burst();
        }
        if !maintenance.in_burst() && self.has_to_share() {
            self.shared.notify_if_visible();
        }
        if let Some((task, permit)) = self.shared.heavy.take() {
            self.run_heavy(task, permit);
        }
        if let Steal::Success(task) = self.shared.injector.steal_one() {
            return Some(task);
        }
        if let Some(task) = self.pop() {
            if self.shared.is_closing() {
                drop(task);
            } else {
                self.run_sampled(task);
            }
        }
        self.pop().or_else(|| self.search_or_sleep())
    }

    /// Runs a task, and takes its time if no other's has been taken lately.
    fn run_sampled(&self, task: Runnable) {
        let poll = self.poll.get();
        // Polls are numbered in steps of two.
        if poll - self.maintenance.sampled.get() < 2 * SAMPLE_INTERVAL {
            return self.run(task);
        }
        self.maintenance.sampled.set(poll);
        let began = Instant::now();
        self.run(task);
        let lasted = began.elapsed();
        if lasted >= SOON {
            self.share();
        }
        // Long polls are all counted, by `weigh`.
        if !self.is_marked() {
            self.slot().counters.poll_times.note(crate::clock::nanos(lasted));
        }
    }

    /// Fits the interval of looks to the length of polls. True: a timer of this worker's wheel is due.
    fn fit_interval(&self) -> bool {
        let maintenance = &self.maintenance;
        let next = self.shared.timers_of(self.index).next();
        if next == NEVER && !maintenance.in_burst() && self.shared.driver.reactor().is_none() {
            maintenance.interval.set(LOOK_INTERVAL);
            return false;
        }
        let now = self.shared.clock.now();
        let since = now.saturating_sub(maintenance.clock.replace(now));
        let interval = maintenance.interval.get();
        maintenance.interval.set(if since > CLOCK_NANOS {
            (interval / 2).max(1)
        } else {
            (interval * 2).min(LOOK_INTERVAL)
        });
        next <= self.shared.tick_length.containing(now)
    }

    /// Fires what is due in this worker's wheel. Returns how many timers that were.
    pub(crate) fn fire_own_timers(&self) -> usize {
        let now = self.shared.clock.now();
        self.maintenance.clock.set(now);
        self.shared.timers_of(self.index).fire(self.shared.tick_length.containing(now))
    }

    /// A timer of its own is due that an idle worker should fire.
    pub(crate) fn has_due_timer(&self) -> bool {
        let shared = &self.shared;
        let next = shared.timers_of(self.index).next();
        if next == NEVER {
            return false;
        }
        let now = shared.clock.now();
        shared.driver.when_dense(shared.tick_length.start_of(next), now) <= now
    }

    /// Looks for sockets that are ready, unless somebody waits for them.
    fn glance_at_sockets(&self) {
        let shared = &self.shared;
        if shared.driver.reactor().is_none() {
            return;
        }
        let now = self.maintenance.clock.get();
        // Virtual time stands still while somebody is busy.
        if !shared.clock.is_virtual() && now.saturating_sub(self.maintenance.sockets.get()) < SOCKETS_NANOS {
            return;
        }
        self.maintenance.sockets.set(now);
        let mut woken = self.maintenance.woken.take();
        if let Some(driving) = shared.driver.try_drive(self.index) {
            driving.glance(&mut woken);
            drop(driving);
            if !shared.has_watchdog() {
                // Who sleeps does so without the seat, perhaps because of this glance, and no watch will call anybody to it.
                shared.notify();
            }
        }
        self.wake_ready(woken);
    }

    /// Wakes those who waited for sockets. Foreign code, so the watch sees it as the poll that it may be.
    pub(crate) fn wake_ready(&self, mut woken: Vec<Waker>) {
        if !woken.is_empty() {
            self.begin_poll(0);
            self.begin_burst(SOCKETS_BURST_NANOS);
            self.slot().counters.firings.add(1);
            self.slot().counters.sockets_ready.add(woken.len() as u64);
            woken.iter().for_each(task::prefetch);
            for waker in woken.drain(..) {
                silently(|| waker.wake());
            }
            self.settle();
            self.pause();
        }
        self.maintenance.woken.set(woken);
    }

    /// Runs `fire`, which wakes foreign wakers, so that the watch sees it as the poll that it may be.
    pub(crate) fn firing(&self, fire: impl FnOnce() -> usize) {
        self.begin_poll(0);
        self.slot().counters.firings.add(1);
        let former = self.maintenance.burst_ends.get();
        self.begin_burst(TIMERS_BURST_NANOS);
        if fire() < driver::MANY {
            // One of sockets may go on.
            self.maintenance.burst_ends.set(former);
        } else {
            // Look around soon, and less often as the tasks turn out to be short.
            self.maintenance.interval.set(1);
            self.maintenance.countdown.set(1);
        }
        self.settle();
        self.pause();
    }

    fn begin_burst(&self, nanos: u64) {
        if !self.shared.clock.is_virtual() {
            self.maintenance.burst_ends.set(self.shared.clock.now() + nanos);
        }
    }
}
