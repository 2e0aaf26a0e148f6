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

/// A moment, given as the loop's [time](crate::EventLoop::time) or as an [`Instant`]; `None` never comes.
///
/// An `Instant` is read on the machine's clock, so it means little to a loop that runs in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(Moment);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Never,
    Loop(Duration),
    Machine(Instant),
}

impl When {
    /// As the loop's timers count it.
    pub(crate) fn ticks(self, now: u64) -> u64 {
        match self.0 {
            Moment::Never => NEVER,
            Moment::Loop(when) => to_ticks(when),
            Moment::Machine(instant) => {
                now.saturating_add(to_ticks(instant.saturating_duration_since(Instant::now())))
            }
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
        assert_eq!(When::from(Duration::MAX).ticks(0), NEVER);
        assert_eq!(When::from(None::<Duration>).ticks(7), NEVER);
        assert_eq!(When::from(Duration::from_nanos(5)).ticks(7), 5);
    }
}
