//! What connects an operating system's socket to the loop that watches it?

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::ops::Deref;
use std::task::{Context, Poll, ready};

use mio::event::Source;
#[cfg(unix)]
use selvedge_scheduler::Changes;
use selvedge_scheduler::{Direction, Registration, Scheduler, Waiter};

use crate::error::{Result, no_running_loop};

/// A non-blocking socket and its registration with the loop.
pub struct Socket<S: Source> {
    registration: Registration,
    /// `None` only after `into_source`.
    source: Option<S>,
}

/// The result of an io operation.
#[derive(Debug, Clone, Copy)]
pub struct Done<T> {
    pub(crate) value: T,
    /// The operation got less than it asked for, so the next one would find nothing: the caller can
    /// wait at once.
    pub(crate) is_drained: bool,
}

impl<T> Done<T> {
    pub(crate) fn whole(value: T) -> Done<T> {
        Done { value, is_drained: false }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Done<U> {
        Done { value: f(self.value), is_drained: self.is_drained }
    }
}

impl Done<usize> {
    /// `value` of `asked` bytes were read or written. Zero bytes mean the end of the stream, which
    /// is final.
    pub(crate) fn bytes(value: usize, asked: usize) -> Done<usize> {
        Done { value, is_drained: 0 < value && value < asked }
    }
}

impl<S: Source> Socket<S> {
    /// Registers a non-blocking socket with the running loop.
    pub(super) fn watch(source: S) -> Result<Socket<S>> {
        Scheduler::with_current(|scheduler| match scheduler {
            Some(scheduler) => Ok(Socket::watch_on(scheduler, source)?),
            None => Err(no_running_loop()),
        })
    }

    /// As [`watch`](Self::watch), with a loop that need not be the running one.
    pub(crate) fn watch_on(scheduler: &Scheduler, mut source: S) -> io::Result<Socket<S>> {
        let registration = scheduler.register(&mut source)?;
        Ok(Socket { registration, source: Some(source) })
    }

    /// Moves the socket from its loop to the running loop. Tasks that wait for it are not woken.
    pub(super) fn move_here(self) -> Result<Socket<S>> {
        Socket::watch(self.into_source())
    }

    /// Repeats the io operation until it succeeds or would block. In the latter case `waiter` is
    /// woken when another operation may succeed.
    pub(super) fn poll<T>(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<io::Result<T>> {
        loop {
            let ready = ready!(self.registration.poll_ready(direction, waiter, cx))?;
            match attempt(self) {
                Ok(Done { value, is_drained }) => {
                    if is_drained {
                        self.registration.drained(ready);
                    }
                    return Poll::Ready(Ok(value));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.registration.clear(ready),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Performs one io operation, whatever the registration knows of readiness.
    pub(super) fn poll_attempt<T>(
        &self,
        mut attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<io::Result<T>> {
        match attempt(self) {
            Ok(Done { value, .. }) => Poll::Ready(Ok(value)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Performs one io operation for a caller that does not wait. An unsuccessful operation is
    /// recorded: as long as the system reports only an error that the operation did not return,
    /// [`readiness`](Self::readiness) must not say that another operation may succeed.
    pub(super) fn try_once<T>(
        &self,
        direction: Direction,
        attempt: impl FnOnce(&S) -> io::Result<T>,
    ) -> io::Result<T> {
        let ready = self.registration.unasked(direction);
        attempt(self).inspect_err(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                self.registration.clear(ready);
            }
        })
    }

    /// Records that this program has ended these directions of the socket, and wakes the tasks that
    /// wait for them.
    pub(super) fn note_end(&self, how: Shutdown) {
        let (read, write) = match how {
            Shutdown::Read => (true, false),
            Shutdown::Write => (false, true),
            Shutdown::Both => (true, true),
        };
        self.registration.note_end(read, write);
    }

    /// See [`Registration::changes`].
    #[cfg(unix)]
    pub(super) fn changes(&self, direction: Direction) -> Changes {
        self.registration.changes(direction)
    }

    /// See [`Registration::poll_changed`].
    #[cfg(unix)]
    pub(super) fn poll_changed(
        &self,
        since: Changes,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.registration.poll_changed(since, waiter, cx)
    }

    /// `waiter` no longer waits.
    pub(super) fn forget(&self, direction: Direction, waiter: &mut Waiter) {
        self.registration.forget(direction, waiter);
    }

    /// Ends the registration and returns the socket.
    pub(super) fn into_source(mut self) -> S {
        let mut source = self.source.take().expect("it is taken out once, here");
        self.registration.deregister(&mut source);
        source
    }
}

impl<S: Source> Drop for Socket<S> {
    fn drop(&mut self) {
        if let Some(source) = &mut self.source {
            self.registration.deregister(source);
        }
    }
}

impl<S: Source> Deref for Socket<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.source.as_ref().expect("it is there until `into_source`")
    }
}

impl<S: Source + fmt::Debug> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Implements access to the operating system's descriptor, for options that have no method here.
macro_rules! descriptor {
    ($($type:ty),*) => {
        $(
            #[cfg(unix)]
            impl std::os::fd::AsFd for $type {
                fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                    self.socket.as_fd()
                }
            }

            #[cfg(unix)]
            impl std::os::fd::AsRawFd for $type {
                fn as_raw_fd(&self) -> std::os::fd::RawFd {
                    self.socket.as_raw_fd()
                }
            }
        )*
    };
}

pub(super) use descriptor;
