//! How does a wait for sockets end in time for a timer?

#[cfg(target_os = "linux")]
pub(super) use self::linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use self::other::Alarm;

/// Linux's `epoll_wait` counts in milliseconds, and rounds a wait of a second to one more; a timer
/// with a descriptor of its own is exact.
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

    use super::super::poller::Limit;

    pub(in super::super) struct Alarm {
        timer: OwnedFd,
        /// When it rings; zero: not at all.
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

        /// Sets itself, and returns the limit that the poll itself must keep.
        ///
        /// It is edge-triggered: each setting rings once, and nobody has to read it.
        pub(in super::super) fn set(&mut self, limit: Limit) -> Option<Duration> {
            let (due, wait) = match limit {
                Limit::Glance => return Some(Duration::ZERO),
                // Neither has to be set again: none, and one that still lies ahead.
                Limit::None if self.due == 0 => return None,
                Limit::Until { due, now } if due == self.due && now < due => return None,
                Limit::None => (0, Duration::ZERO),
                Limit::Until { due, now } => (due, Duration::from_nanos(due.saturating_sub(now).max(1))),
            };
            let value = Timespec::try_from(wait).expect("64 bits of nanoseconds are few seconds");
            let setting = Itimerspec { it_interval: NEVER, it_value: value };
            if timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting).is_err() {
                // The poll's own limit is coarse, and does.
                return (due != 0).then_some(wait);
            }
            self.due = due;
            None
        }
    }
}

/// Elsewhere the poll's own limit is exact enough.
#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::time::Duration;

    use mio::{Registry, Token};

    use super::super::poller::Limit;

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
