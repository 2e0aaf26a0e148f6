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

    /// What `now` tells at a moment of the machine's clock, see [`Scheduler::time_at`](crate::Scheduler::time_at).
    pub(crate) fn at(&self, instant: std::time::Instant) -> u64 {
        #[cfg(not(selvedge_loom))]
        if let Self::Real(origin) = self {
            return nanos(instant.saturating_duration_since(*origin));
        }
        let ahead = instant.saturating_duration_since(std::time::Instant::now());
        self.now().saturating_add(nanos(ahead))
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

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_machines_clock_has_its_place_on_ours() {
        let real = Clock::new(ClockKind::Real);
        let Clock::Real(origin) = real else { panic!("it was made so") };
        assert_eq!(real.at(origin + Duration::from_nanos(5)), 5);
        assert_eq!(origin.checked_sub(Duration::from_nanos(5)).map_or(0, |before| real.at(before)), 0);
        let before = real.now();
        let now = real.at(Instant::now());
        assert!((before..=real.now()).contains(&now));

        let stands_still = Clock::new(ClockKind::Virtual);
        stands_still.advance_to(1000);
        assert_eq!(stands_still.at(origin), 1000);
        let hour = Duration::from_hours(1);
        let ahead = stands_still.at(Instant::now() + hour);
        assert!((1001..=1000 + nanos(hour)).contains(&ahead), "{ahead}");
    }
}
