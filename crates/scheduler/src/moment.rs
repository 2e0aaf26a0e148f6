//! How is a point in a scheduler's time represented?
//!
//! By 96 bits of nanoseconds: all deadlines of virtual time fit, and a sleep stays small. Rejected:
//! wheels whose start moves (the deadlines inside sleeps and timeouts would have to move with
//! them); 64 bits that are coarser towards the end (time would not be exact).

use std::fmt;
use std::time::Duration;

/// The first far deadline of virtual time, in nanoseconds. `Armed::deadline` holds a near deadline
/// (below this), or the number of a timer in `far.rs`.
pub(crate) const FAR: u64 = u64::MAX - (1 << 40);

/// Nanoseconds since the scheduler's start, with the range of a [`Duration`].
///
/// It has 12 bytes: with 16 a sleep would be larger by 8.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(4))]
pub struct Moment {
    // Compared first.
    high: u32,
    low: u64,
}

impl Moment {
    /// The scheduler's start.
    pub const ZERO: Moment = Moment { high: 0, low: 0 };
    /// A point that never comes.
    pub const NEVER: Moment = Moment { high: u32::MAX, low: u64::MAX };

    /// The point `low` nanoseconds after the start.
    #[inline]
    pub const fn from_nanos(low: u64) -> Moment {
        Moment { high: 0, low }
    }

    /// Nanoseconds since the start; `None` from [`FAR`] on.
    #[inline]
    pub(crate) fn near_nanos(self) -> Option<u64> {
        (self.high == 0 && self.low < FAR).then_some(self.low)
    }

    /// Nanoseconds since the start; `None` if they do not fit a wheel.
    pub(crate) fn wheel_nanos(self) -> Option<u64> {
        (self.high == 0 && self.low < u64::MAX).then_some(self.low)
    }

    /// The point `delay` later, at most the latest that a [`Duration`] can express. `NEVER` stays
    /// `NEVER`.
    #[inline]
    #[must_use]
    pub fn saturating_add(self, delay: Moment) -> Moment {
        let (low, carries) = self.low.overflowing_add(delay.low);
        // The common case takes one comparison.
        if self.high | delay.high == 0 && !carries {
            return Moment { high: 0, low };
        }
        if self == Moment::NEVER || delay == Moment::NEVER {
            return Moment::NEVER;
        }
        let high = self.high.saturating_add(delay.high).saturating_add(carries.into());
        Moment { high, low }.min(Moment::from(Duration::MAX))
    }
}

impl From<Duration> for Moment {
    #[inline]
    fn from(since: Duration) -> Moment {
        let nanos = since.as_nanos();
        // The nanoseconds of a duration have 94 bits.
        Moment { high: (nanos >> 64) as u32, low: nanos as u64 }
    }
}

impl From<Moment> for Duration {
    fn from(moment: Moment) -> Duration {
        const A_SECOND: u128 = 1_000_000_000;
        let nanos = u128::from(moment.high) << 64 | u128::from(moment.low);
        match u64::try_from(nanos / A_SECOND) {
            Ok(seconds) => Duration::new(seconds, (nanos % A_SECOND) as u32),
            Err(_) => Duration::MAX,
        }
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Moment::NEVER { f.write_str("never") } else { Duration::from(*self).fmt(f) }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_duration_comes_back() {
        for nanos in [0, 1, u64::MAX.into(), u128::from(u64::MAX) + 1, Duration::MAX.as_nanos() - 1] {
            let duration = Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32);
            assert_eq!(Duration::from(Moment::from(duration)), duration);
        }
        assert_eq!(Duration::from(Moment::from(Duration::MAX)), Duration::MAX);
        assert_eq!(Duration::from(Moment::NEVER), Duration::MAX);
        assert_eq!(size_of::<Moment>(), 12);
    }

    #[test]
    fn a_sum_is_exact_or_the_end() {
        let all = [0, 1, u64::MAX - 1, u64::MAX].map(Duration::from_nanos);
        let far = [
            Duration::from_secs(1 << 40),
            Duration::MAX.saturating_sub(Duration::from_nanos(1)),
            Duration::MAX,
        ];
        for one in all.into_iter().chain(far) {
            for other in all.into_iter().chain(far) {
                let sum = Moment::from(one).saturating_add(Moment::from(other));
                assert_eq!(Duration::from(sum), one.saturating_add(other), "{one:?} + {other:?}");
                assert_eq!(Moment::from(one) < Moment::from(other), one < other);
            }
            assert_eq!(Moment::from(one).saturating_add(Moment::NEVER), Moment::NEVER);
        }
    }
}
