//! How does a worker fire timers, and wake the tasks whose sockets are ready?
//!
//! Wakers are foreign code and may last, so the watchdog sees each round of waking as a poll. Each
//! round begins a burst (`wake_policy.rs`).
//!
//! A burst is run by one worker at first: most of its polls have ended before another worker is
//! awake, and on few cores another thread costs more switches than it saves.

use std::task::Waker;

use super::Local;
use super::wake_policy::{SOCKETS_BURST_NANOS, TIMERS_BURST_NANOS};
use crate::contain::silently;
use crate::driver;
use crate::timers::NEVER;

impl Local {
    /// A timer in this worker's wheel is due that an idle worker should fire.
    pub(super) fn has_timer_for_idle(&self) -> bool {
        let shared = &self.shared;
        let next = shared.timers_of(self.index).next();
        if next == NEVER {
            return false;
        }
        let now = shared.clock.now();
        shared.driver.when_dense(shared.tick_length.start_of(next), now) <= now
    }

    /// Fires what is due in this worker's wheel.
    pub(super) fn fire_own_timers(&self) {
        self.firing(|| {
            let now = self.shared.clock.now();
            self.maintenance.note_time(now);
            let tick = self.shared.tick_length.containing(now);
            if self.shared.watchdog.computing() > 0 {
                self.fire_wheels(tick)
            } else {
                self.shared.timers_of(self.index).fire(tick)
            }
        });
    }

    /// The earliest tick of the wheels that this worker fires between polls: of its own, and those of the
    /// computing threads if there are any, which fire none.
    pub(super) fn next_deadline(&self) -> u64 {
        if self.shared.watchdog.computing() > 0 {
            self.shared.next_deadline()
        } else {
            self.shared.timers_of(self.index).next()
        }
    }

    /// Fires what is due in all wheels, if the watchdog has found that something is overdue.
    pub(super) fn fire_overdue_timers(&self) {
        if self.shared.driver.take_overdue() {
            let tick = self.shared.tick_length.containing(self.shared.clock.now());
            self.firing(|| self.fire_wheels(tick));
        }
    }

    /// Fires what is due in all wheels and among the far timers.
    pub(super) fn fire_all_timers(&self, now: u64) {
        let shared = &self.shared;
        self.firing(|| {
            let mut fired = self.fire_wheels(shared.tick_length.containing(now));
            if shared.far.any() {
                let now = shared.clock.moment();
                while let Some(waker) = shared.far.take_due(now) {
                    silently(|| waker.wake());
                    fired += 1;
                }
            }
            shared.driver.note_fired(now, fired);
            fired
        });
    }

    fn fire_wheels(&self, tick: u64) -> usize {
        self.shared.all_timers().iter().map(|timers| timers.fire(tick)).sum()
    }

    /// Runs `fire`, which calls wakers and returns how many.
    fn firing(&self, fire: impl FnOnce() -> usize) {
        self.begin_waking();
        self.slot().counters.firings.add(1);
        let former = self.begin_burst(TIMERS_BURST_NANOS);
        if fire() < driver::DENSE {
            // A burst of sockets may go on.
            self.policy.resume_burst(former);
        } else {
            self.maintenance.hurry();
        }
        self.wake_another_after_poll();
        self.pause();
    }

    /// Calls the wakers of the tasks whose sockets are ready.
    pub(super) fn wake_ready(&self, mut woken: Vec<Waker>) {
        if !woken.is_empty() {
            self.begin_waking();
            self.begin_burst(SOCKETS_BURST_NANOS);
            self.slot().counters.firings.add(1);
            self.slot().counters.sockets_ready.add(woken.len() as u64);
            for waker in woken.drain(..) {
                silently(|| waker.wake());
            }
            self.wake_another_after_poll();
            self.pause();
        }
        self.maintenance.woken.set(woken);
    }

    /// Looks for sockets that are ready, unless another worker waits for them.
    pub(super) fn glance_at_sockets(&self) {
        let shared = &self.shared;
        let mut woken = self.maintenance.woken.take();
        if let Some(driving) = shared.driver.try_drive(self.index) {
            driving.glance(&mut woken);
            drop(driving);
            if !shared.watchdog.is_on() {
                // A worker that has parked during this glance did so without the driver, and no
                // watchdog will call it there.
                shared.notify();
            }
        }
        self.wake_ready(woken);
    }

    /// Virtual time stands still while a worker is busy, so there a burst would never end.
    fn begin_burst(&self, nanos: u64) -> u64 {
        let clock = &self.shared.clock;
        self.policy.begin_burst(if clock.is_virtual() { 0 } else { clock.now() + nanos })
    }
}
