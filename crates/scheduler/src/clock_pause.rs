//! Who keeps virtual time from moving on?
//!
//! Virtual time moves when every worker rests. Sometimes everything rests although more is to come from a thread that is no worker: main has
//! ended, and the thread that waited for it is about to cancel what is left. Whoever knows that takes a [`TimeHold`](crate::TimeHold).
//!
//! A hold that is taken inside a poll counts from the moment at which that poll's worker comes to rest:
//!
//! ```text
//! the worker of the poll                      the holder of the driver
//! T1 count the hold                           Q1 all rest, under the lock of the sleepers
//! T2 the poll ends                            Q2 a hold is counted: time stands still
//! T3 enter the sleepers, under their lock
//! ```
//!
//! Q1 sees the worker of T3 at rest, so the lock makes Q2 see T1. One that is taken elsewhere may come a moment too late.

use crate::sync::{AtomicUsize, Ordering};

/// How many holds there are.
pub(crate) struct ClockPauses(AtomicUsize);

impl ClockPauses {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// One more.
    pub(crate) fn begin(&self) {
        // Relaxed: see the module's head.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(crate) fn end(&self) {
        // Relaxed: the fence in `recheck`, which follows, orders it.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn any(&self) -> bool {
        // Relaxed: see the module's head.
        self.0.load(Ordering::Relaxed) > 0
    }
}
