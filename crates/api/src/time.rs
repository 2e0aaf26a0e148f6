//! How do durations and instants become points on the loop's clock?

use std::time::{Duration, Instant};

use selvedge_scheduler::{Moment as Ticks, Scheduler};

/// A deadline that never comes.
pub(crate) const NEVER: Ticks = Ticks::NEVER;

/// A point of the loop's time, as its timers represent it. A point beyond the end of a real clock
/// is never reached; virtual time reaches every [`Duration`].
pub(crate) fn to_ticks(when: Duration) -> Ticks {
    when.into()
}

/// The current time of the loop's clock; `None` outside of a loop.
pub(crate) fn now() -> Option<Ticks> {
    Scheduler::with_current(|scheduler| scheduler.map(Scheduler::moment))
}

/// The time of the loop's clock after `wait`; `None` outside of a loop.
pub(crate) fn after(wait: Duration) -> Option<Ticks> {
    now().map(|now| now.saturating_add(to_ticks(wait)))
}

/// The time of the loop's clock at a point of the machine's clock; `None` outside of a loop.
pub(crate) fn at(instant: Instant) -> Option<Ticks> {
    Scheduler::with_current(|scheduler| scheduler.map(|scheduler| scheduler.time_at(instant)))
}

/// A point in time, given as the loop's [time](crate::EventLoop::time) or as an [`Instant`]; `None`
/// is never reached.
///
/// An `Instant` is read on the machine's clock, so it is of little use for a loop in virtual time.
/// An `Instant` in the past counts as reached.
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
    /// The time as the loop's timers represent it; `None` if that needs the loop's clock and no
    /// loop runs on this thread.
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
