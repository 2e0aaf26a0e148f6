//! How do durations become points on the loop's clock?

use std::time::{Duration, Instant};

use selvedge_scheduler::Scheduler;

/// A deadline that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

/// A point of the loop's time, as its timers count it. What lies beyond the clock's end never comes.
pub(crate) fn to_ticks(when: Duration) -> u64 {
    u64::try_from(when.as_nanos()).unwrap_or(NEVER)
}

/// The loop's clock now; `None` outside of a loop.
pub(crate) fn now() -> Option<u64> {
    Scheduler::with_current(|scheduler| scheduler.map(Scheduler::now))
}

/// The loop's clock when `wait` will have passed; `None` outside of a loop.
pub(crate) fn after(wait: Duration) -> Option<u64> {
    now().map(|now| now.saturating_add(to_ticks(wait)))
}

/// The loop's clock at a moment of the machine's clock; `None` outside of a loop.
pub(crate) fn at(instant: Instant) -> Option<u64> {
    Scheduler::with_current(|scheduler| scheduler.map(|scheduler| scheduler.time_at(instant)))
}

/// A moment, given as the loop's [time](crate::EventLoop::time) or as an [`Instant`]; `None` never comes.
///
/// An `Instant` is read on the machine's clock, so it means little to a loop that runs in virtual time. One that is past has come.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use selvedge::When;
///
/// assert_ne!(When::from(Duration::from_secs(1)), When::from(Instant::now()));
/// assert_eq!(When::from(None::<Duration>), When::from(None::<Instant>));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(Moment);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Never,
    Loop(Duration),
    Machine(Instant),
}

impl When {
    /// As the loop's timers count it; `None` if that takes the loop's clock and there is none here.
    pub(crate) fn ticks(self) -> Option<u64> {
        match self.0 {
            Moment::Never => Some(NEVER),
            Moment::Loop(when) => Some(to_ticks(when)),
            Moment::Machine(instant) => at(instant),
        }
    }
}

impl From<Duration> for When {
    fn from(when: Duration) -> When {
        When(Moment::Loop(when))
    }
}

impl From<Instant> for When {
    fn from(when: Instant) -> When {
        When(Moment::Machine(when))
    }
}

impl<T: Into<When>> From<Option<T>> for When {
    fn from(when: Option<T>) -> When {
        when.map_or(When(Moment::Never), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_clock_cannot_show_never_comes() {
        assert_eq!(to_ticks(Duration::MAX), NEVER);
        assert_eq!(When::from(Duration::MAX).ticks(), Some(NEVER));
        assert_eq!(When::from(None::<Duration>).ticks(), Some(NEVER));
    }

    #[test]
    fn only_an_instant_takes_a_clock() {
        assert_eq!(When::from(Duration::from_nanos(5)).ticks(), Some(5));
        assert_eq!(When::from(Instant::now()).ticks(), None);
    }
}
