//! How do durations become points on the loop's clock?

use std::time::{Duration, Instant};

use selvedge_scheduler::{Moment as Ticks, Scheduler};

/// A deadline that never comes.
pub(crate) const NEVER: Ticks = Ticks::NEVER;

/// A point of the loop's time, as its timers count it. What lies beyond a real clock's end never
/// comes; virtual time comes to every [`Duration`].
pub(crate) fn to_ticks(when: Duration) -> Ticks {
    when.into()
}

/// The loop's clock now; `None` outside of a loop.
pub(crate) fn now() -> Option<Ticks> {
    Scheduler::with_current(|scheduler| scheduler.map(Scheduler::moment))
}

/// The loop's clock when `wait` will have passed; `None` outside of a loop.
pub(crate) fn after(wait: Duration) -> Option<Ticks> {
    now().map(|now| now.saturating_add(to_ticks(wait)))
}

/// The loop's clock at a moment of the machine's clock; `None` outside of a loop.
pub(crate) fn at(instant: Instant) -> Option<Ticks> {
    Scheduler::with_current(|scheduler| scheduler.map(|scheduler| scheduler.time_at(instant)))
}

/// A moment, given as the loop's [time](crate::EventLoop::time) or as an [`Instant`]; `None` never
/// comes.
///
/// An `Instant` is read on the machine's clock, so it means little to a loop that runs in virtual
/// time. One that is past has come.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct When(Moment);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Moment {
    Never,
    Loop(Duration),
    Machine(Instant),
}

impl When {
    /// As the loop's timers count it; `None` if that takes the loop's clock and there is none here.
    pub(crate) fn ticks(self) -> Option<Ticks> {
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
    fn only_no_time_at_all_never_comes() {
        assert_ne!(to_ticks(Duration::MAX), NEVER);
        assert_eq!(When::from(Duration::MAX).ticks(), Some(to_ticks(Duration::MAX)));
        assert_eq!(When::from(None::<Duration>).ticks(), Some(NEVER));
    }

    #[test]
    fn only_an_instant_takes_a_clock() {
        assert_eq!(When::from(Duration::from_nanos(5)).ticks(), Some(Ticks::from_nanos(5)));
        assert_eq!(When::from(Instant::now()).ticks(), None);
    }
}
