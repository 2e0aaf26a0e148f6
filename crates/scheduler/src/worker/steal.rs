//! How does a worker without tasks of its own find some?
//!
//! It searches the injector and the other workers' deques, for a moment longer if that has succeeded
//! lately (`wake_policy.rs`), and parks (`park.rs`).

use std::cell::Cell;

use super::Local;
use super::wake_policy::{MANY, Search};
use crate::idle::{Found, Searching};
use crate::queue::Steal;
use crate::sync::{Instant, Ordering, fence, spin_loop};
use crate::task::Runnable;

/// Rounds over all victims while another thief is in the way. `park` looks once more after that.
const ROUNDS: usize = 4;

/// xorshift64*: cheap, and good enough to spread thieves over the victims.
pub(super) struct Rng(Cell<u64>);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
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
    /// Finds a task, or parks until there is one. None: the worker is dismissed or demoted.
    #[cold]
    pub(super) fn steal_or_park(&self) -> Option<Runnable> {
        let task = self.find_or_park();
        // This worker may have held the driver, and the other parked workers have no time limit.
        // If there is a watchdog, it calls a worker to the driver.
        let shared = &self.shared;
        if !shared.watchdog.is_on() && shared.driver.is_wanted(&**shared) {
            shared.notify();
        }
        task
    }

    fn find_or_park(&self) -> Option<Runnable> {
        self.pause();
        let mut searching = None;
        loop {
            if self.must_stop() {
                self.stop_searching(searching);
                return None;
            }
            if self.has_timer_for_idle() {
                // The wakers that this calls may last, and no pusher may rely on this worker meanwhile.
                self.stop_searching(searching.take());
                self.fire_own_timers();
            }
            if let Some(task) = self.pop() {
                self.stop_searching(searching);
                return Some(task);
            }
            self.policy.end_burst();
            searching = searching.or_else(|| self.shared.idle.try_search(self.shared.watchdog.light()));
            let found = if searching.is_some() { self.search() } else { None };
            if let Some(task) = found {
                self.stop_searching(searching);
                return Some(task);
            }
            searching = self.park(searching);
        }
    }

    /// One search: a look at all queues, a spin that looks again and again, and a last look that
    /// takes single tasks too.
    fn search(&self) -> Option<Runnable> {
        let at_once = if self.policy.stole_few() { None } else { self.steal(2) };
        at_once.or_else(|| self.spin()).or_else(|| self.steal(1))
    }

    fn spin(&self) -> Option<Runnable> {
        let shared = &self.shared;
        let search = Search {
            is_alone: shared.idle.searches_alone(),
            another_is_awake: shared.idle.sleeping() + 1 < shared.watchdog.light(),
            has_sockets: shared.driver.reactor().is_some(),
            spin_budget: shared.spin_budget.limit(),
        };
        let plan = self.policy.plan_search(search, || shared.has_work_to_give());
        if plan.limit.is_zero() {
            return None;
        }
        let began = Instant::now();
        loop {
            let lasted = began.elapsed();
            if lasted >= plan.limit || self.has_timer_for_idle() {
                return None;
            }
            if let Some(task) = self.steal(plan.least(lasted)) {
                shared.spin_budget.adjust(true);
                return Some(task);
            }
            for _ in 0..8 {
                spin_loop();
            }
        }
    }

    /// Ends a search, if there is one. The last one to end wakes a successor if there is more to do.
    pub(super) fn stop_searching(&self, searching: Option<Searching>) {
        let Some(searching) = searching else { return };
        if self.shared.idle.found(searching) == Found::NotifyAnother {
            // Ordering: partner of the fence in `Idle::notify`. If a pusher's fence came first, this
            // look sees its task. If it comes later, that pusher sees that no worker searches.
            fence(Ordering::SeqCst);
            if !self.deque.is_empty() || self.shared.has_work_to_give() {
                self.shared.notify();
            }
        }
    }

    /// One task from the injector, or from a worker that has `least` of them. More may move into
    /// this worker's deque.
    fn steal(&self, least: usize) -> Option<Runnable> {
        for _ in 0..ROUNDS {
            let mut retry = false;
            if least < MANY || self.shared.injector.len() >= MANY {
                match self.shared.injector.steal_batch(&self.deque) {
                    Steal::Success(task) => return Some(self.stolen(task)),
                    Steal::Retry => retry = true,
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
                        return Some(self.stolen(task));
                    }
                    Steal::Retry => retry = true,
                    Steal::Empty => {}
                }
            }
            if !retry {
                return None;
            }
            spin_loop();
        }
        None
    }

    fn stolen(&self, task: Runnable) -> Runnable {
        self.policy.note_steal(self.slot().stealer.len());
        task
    }
}
