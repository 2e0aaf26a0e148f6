//! How does a worker sleep, and what does it do on behalf of the others meanwhile?
//!
//! One parked worker holds the driver: it waits for the next deadline and for sockets
//! (`driver.rs`). The others wait on their parkers without a time limit.

use std::task::Waker;
use std::time::Duration;

use super::Local;
use crate::driver::Driving;
use crate::idle::Searching;
use crate::spin::SPIN_MAX_MICROS;
use crate::sync::{Instant, Ordering, fence};

/// What a sleep ended with.
struct Wakeup {
    /// Another thread woke this worker for work.
    right: Option<Searching>,
    /// A deadline has come: the time.
    due: Option<u64>,
    /// The wakers of the tasks whose sockets are ready.
    woken: Vec<Waker>,
}

impl Local {
    /// Parks, unless there is work after all. Returns the right to search in that case, and if another
    /// thread woke this worker for work.
    pub(super) fn park(&self, searching: Option<Searching>) -> Option<Searching> {
        let (shared, idle) = (&self.shared, &self.shared.idle);
        let has_searched = searching.is_some();
        // Ordering: Acquire pairs with the Release writes by which the watchdog empties this worker's
        // queues: a thread that sees this worker asleep sees that a task is being moved.
        fence(Ordering::Acquire);
        idle.sleep(self.index, searching);
        if shared.has_work_to_give() || self.is_dismissed() {
            // A worker that sees work may search for it, however many search already.
            let right = idle.cancel_sleep(self.index).map_or_else(|right| right, |()| idle.search());
            // The watchdog may have seen this worker among the sleepers.
            shared.watchdog.worker_awake();
            return Some(right);
        }
        self.slot().counters.parks.add(1);
        self.policy.forget_steal();
        self.rest_watchdog();
        let began = Instant::now();
        let Wakeup { right, due, woken } = self.wait();
        let ended = Instant::now();
        if has_searched {
            // A sleep that a timer ended says nothing about spinning.
            let soon = ended.saturating_duration_since(began) < Duration::from_micros(SPIN_MAX_MICROS.into());
            shared.spin_budget.adjust(soon && right.is_some());
        }
        shared.watchdog.worker_awake();
        self.glance(ended);
        if due.is_none() && woken.is_empty() {
            self.maintenance.woken.set(woken);
            return right;
        }
        // The wakers that are called now may last, and no pusher may rely on this worker meanwhile.
        self.stop_searching(right);
        self.wake_ready(woken);
        if let Some(now) = due {
            self.fire_all_timers(now);
        }
        None
    }

    /// Sleeps: in the driver if it is free, else on the parker.
    fn wait(&self) -> Wakeup {
        let shared = &self.shared;
        let mut due = None;
        let mut woken = self.maintenance.woken.take();
        let driving = shared.driver.try_drive(self.index);
        if let Some(driving) = &driving {
            due = self.drive(driving, &mut woken);
        } else {
            shared.recheck_quiescence();
            self.slot().parker.park(None);
        }
        // While this worker still holds the driver: the wakers are in its hands. If the next holder
        // found it asleep, virtual time would move on over them.
        let right = shared.idle.cancel_sleep(self.index).err();
        Wakeup { right, due, woken }
    }

    /// Waits for deadlines and sockets. Returns the time if a deadline has come. The wakers of the
    /// tasks whose sockets are ready go to `woken`.
    fn drive(&self, driving: &Driving<'_>, woken: &mut Vec<Waker>) -> Option<u64> {
        let shared = &self.shared;
        let until = driving.announce(&**shared);
        let moves_time = shared.clock.is_virtual() && shared.is_quiescent() && {
            // What has arrived at a socket comes before the next deadline.
            driving.glance(woken);
            woken.is_empty() && shared.advance_virtual_time()
        };
        if !moves_time && woken.is_empty() {
            driving.wait(&**shared, until, woken);
        }
        // The published deadline may have gone with its timer since. Then nothing fires, and the
        // value is corrected.
        let now = shared.clock.now();
        (until <= shared.tick_length.containing(now) || moves_time).then_some(now)
    }
}
