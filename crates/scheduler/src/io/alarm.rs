//! How does a wait for sockets end in time for a timer?

#[cfg(target_os = "linux")]
pub(super) use self::linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use self::other::Alarm;

/// How long a poll may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// Do not wait.
    Glance,
    /// Wait without a limit.
    None,
    /// From `now` until `due`, in nanoseconds of the scheduler's clock.
    Until { due: u64, now: u64 },
}

/// Linux's `epoll_wait` counts in milliseconds, and rounds up, so that a wait of a second may take
/// longer. A timer with its own descriptor is exact.
#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    use super::Limit;

    pub(in super::super) struct Alarm {
        timer: OwnedFd,
        /// When the timer expires; zero: never.
        due: u64,
    }

    const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

    impl Alarm {
        pub(in super::super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { timer, due: 0 })
        }

        /// Sets the timer, and returns the timeout that the poll itself must use.
        ///
        /// The timer is edge-triggered: each setting expires once, and its descriptor need not be
        /// read.
        pub(in super::super) fn set(&mut self, limit: Limit) -> Option<Duration> {
            let (due, wait) = match limit {
                Limit::Glance => return Some(Duration::ZERO),
                // Nothing has to be set if there is no deadline, or the deadline is set already and
                // lies ahead.
                Limit::None if self.due == 0 => return None,
                Limit::Until { due, now } if due == self.due && now < due => return None,
                Limit::None => (0, Duration::ZERO),
                Limit::Until { due, now } => (due, Duration::from_nanos(due.saturating_sub(now).max(1))),
            };
            let value = Timespec::try_from(wait).expect("64 bits of nanoseconds are few seconds");
            let setting = Itimerspec { it_interval: NEVER, it_value: value };
            if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting).is_err() {
                // The poll's own timeout is coarse, but sufficient.
                return (due != 0).then_some(wait);
            }
            self.due = due;
            None
        }
    }
}

/// On other systems the poll's own timeout is exact enough.
#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::time::Duration;

    use mio::{Registry, Token};

    use super::Limit;

    pub(in super::super) struct Alarm;

    impl Alarm {
        pub(in super::super) fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
            Ok(Self)
        }

        pub(in super::super) fn set(&mut self, limit: Limit) -> Option<Duration> {
            match limit {
                Limit::Glance => Some(Duration::ZERO),
                Limit::None => None,
                Limit::Until { due, now } => Some(Duration::from_nanos(due.saturating_sub(now))),
            }
        }
    }
}
