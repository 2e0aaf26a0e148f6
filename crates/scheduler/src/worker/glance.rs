//! Does any worker stay in one poll?
//!
//! The watchdog's thread is to sleep while the program gets on, and to wake up when it does not. So every
//! third of a millisecond a worker that has just read the clock *glances* at the others. If all of them get
//! on, it puts the watchdog's alarm off. If one is in a poll in which it was seen before, it rings the
//! alarm. If no worker comes by, the alarm rings by itself. If it does so while all sleep, the last worker
//! to fall asleep puts it off for longer from then on, and the first to wake up sets it again
//! (`Watchdog::worker_awake`).

use std::time::Duration;

use super::Local;
use crate::clock::nanos;
use crate::sync::{Instant, Ordering};
use crate::watchdog::REST;
use crate::worker_slot::{WorkerSlot, is_polling};

/// A poll that has been seen for so long is for the watchdog.
const LASTS: Duration = Duration::from_micros(500);

impl Local {
    /// Glances, if it is time.
    pub(super) fn glance(&self, now: Instant) {
        let (shared, watchdog) = (&self.shared, &self.shared.watchdog);
        let now = watchdog.at(now);
        if !watchdog.takes_glance(now) {
            return;
        }
        let lasts = |slot: &WorkerSlot| {
            let progress = &slot.progress;
            let poll = progress.poll.load(Ordering::Relaxed);
            // The watchdog may have seen it a moment ago.
            is_polling(poll) && progress.see(poll, now) && progress.age(now) >= nanos(LASTS)
        };
        if shared.places().iter().filter(|slot| lasts(slot)).count() > 0 {
            watchdog.wake();
        } else {
            watchdog.put_off(now);
        }
        if watchdog.serves(now) {
            shared.serve_what_was_missed();
        }
    }

    /// This worker is among the sleepers. If it is the last, nothing is left to be watched.
    pub(super) fn rest_watchdog(&self) {
        let shared = &self.shared;
        let watchdog = &shared.watchdog;
        if watchdog.rang_in_vain() && !watchdog.is_close() && shared.seems_idle() {
            shared.rest_watchdog(Some(REST));
        }
    }
}
