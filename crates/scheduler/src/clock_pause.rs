//! What pauses virtual time?
//!
//! Virtual time moves when every worker is idle. Sometimes every worker is idle although a thread
//! that is not a worker is about to add work: main has ended, and the thread that waited for it is
//! about to cancel the remaining tasks. Such code takes a [`ClockPause`](crate::ClockPause), which
//! pauses the clock.
//!
//! A pause that begins inside a poll counts from the moment at which the poll's worker becomes
//! idle:
//!
//! ```text
//! the worker of the poll                      the holder of the driver
//! T1 count the pause                          Q1 under the lock of the sleepers: all workers are idle
//! T2 the poll ends                            Q2 a pause is counted: time stands still
//! T3 enter the sleepers, under their lock
//! ```
//!
//! If Q1 sees the worker of T3 as idle, the lock makes Q2 see T1. A pause that begins elsewhere may
//! come a moment too late.

use crate::sync::{AtomicUsize, Ordering};

/// The number of pauses.
pub(crate) struct ClockPauses(AtomicUsize);

impl ClockPauses {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Begins a pause.
    pub(crate) fn begin(&self) {
        // Relaxed: see the module's head.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a pause.
    pub(crate) fn end(&self) {
        // Relaxed: the fence in `recheck`, which follows, orders it.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn any(&self) -> bool {
        // Relaxed: see the module's head.
        self.0.load(Ordering::Relaxed) > 0
    }
}
