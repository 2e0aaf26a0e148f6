//! What time is it for the timers?

use std::time::Duration;

use crate::sync::{AtomicU64, Instant, Ordering};

/// Where a scheduler's time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// The operating system's monotonic clock. It does not advance while the machine is suspended (on Linux), so a suspend
    /// lengthens a sleep; it never jumps.
    Real,
    /// A clock that stands still while anything runs and jumps to the next deadline when all workers are idle.
    Virtual,
}

/// Nanoseconds since the scheduler's start.
pub(crate) enum Clock {
    Real(Instant),
    Virtual(AtomicU64),
}

impl Clock {
    pub(crate) fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => Self::Real(Instant::now()),
            ClockKind::Virtual => Self::Virtual(AtomicU64::new(0)),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Real(origin) => nanos(origin.elapsed()),
            // Ordering: Acquire pairs with the Release of `advance_to`.
            Self::Virtual(now) => now.load(Ordering::Acquire),
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    /// Moves a virtual clock forward; nothing happens to a real one, nor backwards.
    pub(crate) fn advance_to(&self, time: u64) {
        if let Self::Virtual(now) = self {
            now.fetch_max(time, Ordering::Release);
        }
    }
}

/// Nanoseconds, or the largest number if there are more.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
