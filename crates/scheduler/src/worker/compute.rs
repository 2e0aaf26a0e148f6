//! What does a computing thread do next, and how does a worker become one?
//!
//! Computing threads run the tasks of the lanes (`cpu_bound.rs`) and nothing else. They have a lower
//! priority, and keep it: only a privileged process may raise it again. A worker whose poll computes for
//! long is *demoted* by the watchdog, and is a computing thread when that poll ends. Others begin as
//! computing threads, when there is more to compute than there are.
//!
//! They sleep in a list of their own (`Shared::idle_computing`), by the protocol of `idle.rs`. A computing
//! thread that has had nothing to do for a while ends.

use super::Local;
use crate::cpu_bound::Permit;
use crate::idle::{Found, Searching};
use crate::sync::{Instant, Ordering, fence};
use crate::task::Runnable;

/// Every so many turns a cpu-bound task comes first: there may be as few threads as one.
const CPU_BOUND_TURN: u32 = 16;

/// How a rest ended.
enum Rest {
    /// There may be something to do. The right to search, if another thread woke this one for it.
    Over(Option<Searching>),
    /// There was nothing to do for so long that the thread is to end.
    TooLong,
}

impl Local {
    /// A demoted worker hands over its tasks to those that run light ones.
    pub(super) fn become_computing(&self) {
        self.pause();
        self.computes.set(true);
        self.slot().computes.store(true, Ordering::Relaxed);
        self.shared.watchdog.changes_role();
        while let Some(task) = self.pop() {
            self.shared.injector.push(task);
        }
        self.shared.notify();
    }

    /// Computes until there is nothing left to do, or the thread is dismissed.
    pub(super) fn compute(&self) {
        let (mut searching, mut turn) = (None, 0_u32);
        while !self.is_dismissed() {
            turn = (turn + 1) % CPU_BOUND_TURN;
            if let Some((task, permit)) = self.shared.lanes.take(turn > 0) {
                self.found_to_compute(searching.take());
                self.run_permitted(task, permit);
                if self.is_to_end() {
                    // Ordering: as in `push_to_lane`. The task may have been queued again without waking a
                    // thread, because this one was to come to it.
                    fence(Ordering::SeqCst);
                    return self.shared.call_computing_thread();
                }
            } else {
                match self.rest(searching.take()) {
                    Rest::Over(right) => searching = right,
                    Rest::TooLong => return,
                }
            }
        }
        self.found_to_compute(searching);
    }

    /// Another thread takes the place of this one.
    fn is_to_end(&self) -> bool {
        let slot = self.slot();
        slot.found_long.load(Ordering::Relaxed)
            || !slot.is_boosted.load(Ordering::Relaxed) && self.shared.lanes.take_replacement()
    }

    fn run_permitted(&self, task: Runnable, permit: Permit) {
        self.run_from_lane(task, permit.on_probation);
        self.pause();
        self.shared.lanes.release(permit);
    }

    /// Ends a search, if there is one. The last one to end wakes another thread if there is more to do.
    fn found_to_compute(&self, searching: Option<Searching>) {
        let Some(searching) = searching else { return };
        if self.shared.idle_computing.found(searching) == Found::NotifyAnother {
            // Ordering: as in `stop_searching`.
            fence(Ordering::SeqCst);
            self.shared.call_computing_thread();
        }
    }

    fn rest(&self, searching: Option<Searching>) -> Rest {
        let (shared, idle) = (&self.shared, &self.shared.idle_computing);
        idle.sleep(self.index, searching);
        if shared.lanes.is_due() || self.is_dismissed() {
            let right = idle.cancel_sleep(self.index).map_or_else(|right| right, |()| idle.search());
            shared.watchdog.worker_awake();
            return Rest::Over(Some(right));
        }
        shared.recheck_quiescence();
        let (keep_alive, began) = (shared.config.blocking_keep_alive, Instant::now());
        self.slot().parker.park(Some(keep_alive));
        let right = idle.cancel_sleep(self.index).err();
        shared.watchdog.worker_awake();
        // No thread relies on one that has left the sleepers by itself.
        if right.is_none() && began.elapsed() >= keep_alive { Rest::TooLong } else { Rest::Over(right) }
    }
}
