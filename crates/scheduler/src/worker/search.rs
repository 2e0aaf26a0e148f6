//! What does a worker do that has run out of work?
//!
//! It looks at the injector and at the others' deques, then at the heavy queue; spins for a moment if that has paid of late; and sleeps.

use std::cell::Cell;
use std::task::Waker;
use std::time::Duration;

use super::Local;
use crate::idle::{Found, Searching};
use crate::queue::Steal;
use crate::spin::SPIN_MAX_MICROS;
use crate::sync::{Instant, Ordering, fence, spin_loop};
use crate::task::Runnable;

/// Rounds over all victims while somebody is in the way; then the worker looks again on its way to sleep.
const ROUNDS: usize = 4;
/// A worker's only task is left to it for this long: nearly always it is about to run it, and a task that hops between
/// cores takes its caches along each time.
const ONLY_TASK: Duration = Duration::from_micros(2);
/// A thief whose last steal brought next to nothing leaves a queue of fewer tasks alone …
const CRUMBS: usize = 32;
/// … for this long. Else it takes each task as soon as a worker has created it, and both spend more time on passing tasks over than
/// on running them.
const PATIENCE: Duration = Duration::from_micros(5);

/// xorshift64*: cheap, and good enough to spread thieves.
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed | 1))
    }

    fn below(&self, n: usize) -> usize {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

impl Local {
    /// Finds a task, or sleeps until there is one. None: the worker is dismissed.
    #[cold]
    pub(crate) fn search_or_sleep(&self) -> Option<Runnable> {
        let task = self.find_or_sleep();
        // This worker may have held the driver, and others sleep without a limit. With rescue, the watch sees to them.
        let shared = &self.shared;
        if !shared.has_watchdog() && shared.driver.is_wanted(&**shared) {
            shared.notify();
        }
        task
    }

    fn find_or_sleep(&self) -> Option<Runnable> {
        self.pause();
        let mut searching = None;
        loop {
            if self.is_dismissed() {
                // Who relied on this searcher must not wait for it.
                if let Some(searching) = searching {
                    self.stop_searching(searching);
                }
                return None;
            }
            if self.has_due_timer() {
                // A waker may take its time, and nobody must rely on this worker meanwhile.
                if let Some(searching) = searching.take() {
                    self.stop_searching(searching);
                }
                self.firing(|| self.fire_own_timers());
            }
            if let Some(task) = self.pop() {
                if let Some(searching) = searching {
                    self.stop_searching(searching);
                }
                return Some(task);
            }
            self.maintenance.end_burst();
            searching = searching.or_else(|| self.shared.idle.try_search(self.shared.watchdog.active()));
            if let Some(right) = searching.take() {
                match self.search(right) {
                    Ok(task) => return Some(task),
                    Err(right) => searching = Some(right),
                }
            }
            if let Some((task, permit)) = self.shared.heavy.take() {
                if let Some(searching) = searching.take() {
                    self.stop_searching(searching);
                }
                self.run_heavy(task, permit);
                self.pause();
                continue;
            }
            searching = self.sleep(searching);
        }
    }

    /// One search, with a spin at its end.
    fn search(&self, searching: Searching) -> Result<Runnable, Searching> {
        let at_once = if self.stole_crumbs.get() { None } else { self.steal(2) };
        match at_once.or_else(|| self.spin()).or_else(|| self.steal(1)) {
            Some(task) => {
                self.stop_searching(searching);
                Ok(task)
            }
            None => Err(searching),
        }
    }

    fn spin(&self) -> Option<Runnable> {
        if cfg!(selvedge_loom) {
            // Under the models no time passes, so a spin would never end.
            return None;
        }
        // What is to be waited for is another worker's queue.
        let waits =
            self.stole_crumbs.get() && self.shared.idle.sleeping() + 1 < self.shared.watchdog.active();
        let patience = if waits { PATIENCE } else { Duration::ZERO };
        // One spinner is enough: it takes the pushes of all, and the others' cores may be wanted.
        let alone = self.shared.idle.searches_alone();
        // With sockets, what it would spin for most likely comes from there: the first to have nothing to do is better off in the poll,
        // and another one asleep, until the first has more than it can do.
        let has_sockets = self.shared.driver.reactor().is_some();
        let budget = if has_sockets { Duration::ZERO } else { self.shared.watchdog.spin.limit() };
        let mut limit = if alone { budget.max(patience) } else { patience };
        if limit.is_zero() && alone && self.shared.has_work_to_give() {
            limit = ONLY_TASK;
        }
        if limit.is_zero() {
            return None;
        }
        let began = Instant::now();
        loop {
            let spun = began.elapsed();
            if spun >= limit || self.shared.heavy.is_due() || self.has_due_timer() {
                return None;
            }
            let least = match spun {
                _ if spun < patience => CRUMBS,
                _ if spun < ONLY_TASK => 2,
                _ => 1,
            };
            if let Some(task) = self.steal(least) {
                self.shared.watchdog.spin.adjust(true);
                return Some(task);
            }
            for _ in 0..8 {
                spin_loop();
            }
        }
    }

    /// Ends a search that found work, and wakes a successor if there is more.
    fn stop_searching(&self, searching: Searching) {
        if self.shared.idle.found(searching) == Found::NotifyAnother {
            // Ordering: a push that relied on this searcher came before its fence saw the searcher leave, so this look sees it.
            // The partner is the fence in `Idle::notify`.
            fence(Ordering::SeqCst);
            if !self.deque.is_empty() || self.shared.has_work_to_give() {
                self.shared.notify();
            }
        }
    }

    /// One task from the injector, or from a worker that has `least` of them; more may come along into the own deque.
    fn steal(&self, least: usize) -> Option<Runnable> {
        for _ in 0..ROUNDS {
            let mut busy = false;
            if least < CRUMBS || self.shared.injector.len() >= CRUMBS {
                match self.shared.injector.steal_batch(&self.deque) {
                    Steal::Success(task) => {
                        self.note_haul();
                        return Some(task);
                    }
                    Steal::Retry => busy = true,
                    Steal::Empty => {}
                }
            }
            let slots = self.shared.places();
            let first = self.rng.below(slots.len());
            for index in (first..slots.len()).chain(0..first) {
                if index == self.index || !slots[index].has_to_give(least) {
                    continue;
                }
                match slots[index].stealer.steal_batch(&self.deque) {
                    Steal::Success(task) => {
                        self.slot().counters.steals.add(1);
                        self.note_haul();
                        return Some(task);
                    }
                    Steal::Retry => busy = true,
                    Steal::Empty => {}
                }
            }
            if !busy {
                return None;
            }
            spin_loop();
        }
        None
    }

    fn note_haul(&self) {
        // The models are spared the look: they do not spin.
        self.stole_crumbs.set(!cfg!(selvedge_loom) && self.slot().stealer.len() < CRUMBS / 2);
    }

    /// Sleeps, unless there is work after all. Returns the right to search if somebody woke this worker.
    fn sleep(&self, searching: Option<Searching>) -> Option<Searching> {
        let idle = &self.shared.idle;
        let searched = searching.is_some();
        idle.sleep(self.index, searching);
        if self.shared.has_work_to_give() || self.is_dismissed() {
            // Whoever sees work may look for it, however many search already.
            let right = idle.cancel_sleep(self.index).map_or_else(|right| right, |()| idle.search());
            // The watch may have seen this worker among the sleepers.
            self.shared.watchdog.worker_awake();
            return Some(right);
        }
        self.slot().counters.parks.add(1);
        self.stole_crumbs.set(false);
        let began = Instant::now();
        let mut due = None;
        let mut woken = self.maintenance.woken.take();
        let driving = self.shared.driver.try_drive(self.index);
        if let Some(driving) = &driving {
            due = self.drive(driving, &mut woken);
        } else {
            if self.shared.clock.is_virtual() {
                self.shared.driver.recheck(&*self.shared);
            }
            self.slot().parker.park(None);
        }
        // With the seat still taken: the wakers out of the poll are in this worker's hands, and if whoever takes the seat next found it asleep, virtual
        // time would move on over them.
        let right = idle.cancel_sleep(self.index).err();
        drop(driving);
        if searched {
            // A sleep that a timer ended says nothing about spinning.
            let soon = began.elapsed() < Duration::from_micros(SPIN_MAX_MICROS.into());
            self.shared.watchdog.spin.adjust(soon && right.is_some());
        }
        self.shared.watchdog.worker_awake();
        if due.is_none() && woken.is_empty() {
            self.maintenance.woken.set(woken);
            return right;
        }
        // As in `find_or_sleep`.
        if let Some(right) = right {
            self.stop_searching(right);
        }
        self.wake_ready(woken);
        if let Some(now) = due {
            self.firing(|| self.fire_all(now));
        }
        None
    }

    fn fire_all(&self, now: u64) -> usize {
        let shared = &self.shared;
        let tick = shared.tick_length.containing(now);
        let mut fired = shared.all_timers().iter().map(|timers| timers.fire(tick)).sum();
        if shared.far.any() {
            let now = shared.clock.moment();
            while let Some(waker) = shared.far.take_due(now) {
                // A foreign waker may panic; ours do not.
                crate::contain::silently(|| waker.wake());
                fired += 1;
            }
        }
        shared.driver.note_fired(now, fired);
        fired
    }

    /// Waits for deadlines and sockets on behalf of all workers. Returns the time if a deadline has come; the wakers of those who waited for
    /// sockets that are ready go to `woken`.
    fn drive(&self, driving: &crate::driver::Driving<'_>, woken: &mut Vec<Waker>) -> Option<u64> {
        let shared = &self.shared;
        let until = driving.announce(&**shared);
        let moves_time = shared.clock.is_virtual() && shared.is_quiescent() && {
            // What lies in a socket has come before anything that is still to be waited for.
            driving.glance(woken);
            woken.is_empty() && shared.advance_virtual_time()
        };
        if !moves_time && woken.is_empty() {
            driving.wait(&**shared, until, woken);
        }
        // The published deadline may have gone with its timer since; then nothing fires, and the value is put right.
        let now = shared.clock.now();
        (until <= shared.tick_length.containing(now) || moves_time).then_some(now)
    }
}
