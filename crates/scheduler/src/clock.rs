//! What time do the timers use?

use std::time::Duration;

use self::origin::Origin;
use crate::moment::{FAR, Moment};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// The source of a scheduler's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClockKind {
    /// The operating system's monotonic clock. It never jumps. On Linux it does not advance while
    /// the machine is suspended, so a suspend makes a sleep longer.
    Real,
    /// A clock that stands still while any task runs, and jumps to the next deadline when all
    /// workers are idle.
    Virtual,
}

/// Nanoseconds since the scheduler's start.
pub(crate) enum Clock {
    Real(Origin),
    Virtual(Virtual),
}

/// The current virtual time.
pub(crate) struct Virtual {
    /// The time as far as the wheels count; then it stays at [`FAR`].
    near: AtomicU64,
    /// The time once it is beyond [`FAR`].
    far: Mutex<Moment>,
}

impl Clock {
    pub(crate) fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => Self::Real(Origin::now()),
            ClockKind::Virtual => {
                Self::Virtual(Virtual { near: AtomicU64::new(0), far: Mutex::new(Moment::ZERO) })
            }
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Real(origin) => origin.elapsed(),
            // Ordering: Acquire pairs with the Release of `advance_to`.
            Self::Virtual(now) => now.near.load(Ordering::Acquire),
        }
    }

    /// The time to the nanosecond, however far a virtual clock has gone. [`now`](Self::now) is the
    /// time for the wheels, which count no further than [`FAR`].
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        match self {
            Self::Virtual(virtual_now) if self.now() >= FAR => *virtual_now.far.lock(),
            _ => Moment::from_nanos(self.now()),
        }
    }

    /// The value of `now` at a point of the machine's clock, see
    /// [`Scheduler::time_at`](crate::Scheduler::time_at).
    pub(crate) fn at(&self, instant: std::time::Instant) -> Moment {
        #[cfg(not(selvedge_loom))]
        if let Self::Real(origin) = self {
            return instant.saturating_duration_since(origin.instant()).into();
        }
        let ahead = instant.saturating_duration_since(std::time::Instant::now());
        self.moment().saturating_add(ahead.into())
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    /// Moves a virtual clock forward. A real clock does not change, and no clock moves backwards.
    pub(crate) fn advance_to(&self, time: u64) {
        if let Self::Virtual(now) = self {
            now.near.fetch_max(time, Ordering::Release);
        }
    }

    /// As [`advance_to`](Self::advance_to), for a time beyond the wheels.
    pub(crate) fn advance_far(&self, moment: Moment) {
        if let Self::Virtual(now) = self {
            let mut far = now.far.lock();
            *far = moment.max(*far);
            drop(far);
            self.advance_to(FAR);
        }
    }
}

/// Reads Linux's monotonic clock, which [`Instant`](std::time::Instant) uses too, directly: through
/// `Instant` it costs some nanoseconds more, and each timer reads the clock.
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
mod origin {
    use std::time::Instant;

    use nix::sys::time::TimeValLike;
    use nix::time::{ClockId, clock_gettime};

    /// The point from which a real clock counts.
    pub(crate) struct Origin {
        instant: Instant,
        nanos: u64,
    }

    impl Origin {
        pub(crate) fn now() -> Self {
            /// If two readings differ by less than this, the thread was not interrupted between
            /// them.
            const CLOSE_NANOS: u64 = 1_000;
            const TRIES: usize = 100;
            for _ in 1..TRIES {
                let (origin, width) = Self::look();
                if width < CLOSE_NANOS {
                    return origin;
                }
            }
            Self::look().0
        }

        /// Reads both clocks. `nanos` is read after `instant`; the second result is the greatest
        /// possible distance. If `nanos` were read first, a timer for an `Instant` could fire too
        /// early.
        fn look() -> (Self, u64) {
            let before = monotonic();
            let instant = Instant::now();
            let nanos = monotonic();
            (Self { instant, nanos }, nanos.saturating_sub(before))
        }

        #[inline]
        pub(crate) fn elapsed(&self) -> u64 {
            monotonic().saturating_sub(self.nanos)
        }

        pub(crate) fn instant(&self) -> Instant {
            self.instant
        }
    }

    #[inline]
    fn monotonic() -> u64 {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux always has this clock");
        now.num_nanoseconds().unsigned_abs()
    }
}

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
mod origin {
    use super::nanos;
    use crate::sync::Instant;

    /// The point from which a real clock counts.
    pub(crate) struct Origin(Instant);

    impl Origin {
        pub(crate) fn now() -> Self {
            Self(Instant::now())
        }

        pub(crate) fn elapsed(&self) -> u64 {
            nanos(self.0.elapsed())
        }

        #[cfg(not(selvedge_loom))]
        pub(crate) fn instant(&self) -> Instant {
            self.0
        }
    }
}

/// The duration in nanoseconds, or the largest number if there are more.
pub(crate) fn nanos(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_moment_of_the_machines_clock_has_its_place_on_ours() {
        let real = Clock::new(ClockKind::Real);
        let Clock::Real(origin) = &real else { panic!("it was made so") };
        let origin = origin.instant();
        let real_at = |instant| real.at(instant).near_nanos().expect("it is near");
        assert_eq!(real_at(origin + Duration::from_nanos(5)), 5);
        assert_eq!(origin.checked_sub(Duration::from_nanos(5)).map_or(0, real_at), 0);
        // A wait for an `Instant` ends when the machine's clock has reached it, and hardly later.
        let before = real.now();
        let now = real_at(Instant::now());
        assert!(before <= now);
        while real.now() < now {}
        let after = real_at(Instant::now());
        let ahead = after.saturating_sub(real.now());
        assert!(now <= after && ahead < 2_000, "{ahead} ns apart");

        let stands_still = Clock::new(ClockKind::Virtual);
        stands_still.advance_to(1000);
        let still_at = |instant| stands_still.at(instant).near_nanos().expect("it is near");
        assert_eq!(still_at(origin), 1000);
        let hour = Duration::from_secs(3600);
        let ahead = still_at(Instant::now() + hour);
        assert!((1001..=1000 + nanos(hour)).contains(&ahead), "{ahead}");
    }
}
