//! How does a coroutine learn that an attempt would not block, without making one?
//!
//! The operating system is asked (`poll`, with no time to wait), and asked again after each change that it tells. What attempts have found
//! is neither used nor altered: a write may find room where this does not call it enough (a Unix socket is writable when three quarters of its room are free).

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mio::event::Source;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use selvedge_scheduler::{Direction, Waiter};

use super::attempt::Side;
use super::socket::{Done, Socket};
use crate::callgraph::capture;
use crate::error::Result;

/// Waits until an attempt would not block. A leaf.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Readiness<'a, S: Source> {
    socket: &'a Socket<S>,
    direction: Direction,
    side: Side,
}

impl<S: Source + AsFd> Socket<S> {
    pub(super) fn readiness(&self, direction: Direction) -> Readiness<'_, S> {
        Readiness { socket: self, direction, side: Side::new() }
    }

    fn poll_readiness(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // Before the question: a change that comes after it is another one.
            let since = self.changes(direction);
            if let Poll::Ready(asked) = self.poll_attempt(|source| ask(source, direction)) {
                return Poll::Ready(asked);
            }
            ready!(self.poll_changed(since, waiter, cx))?;
        }
    }
}

/// `WouldBlock` if an attempt would. An error that waits to be fetched, and the end, are told by the operating system unasked.
fn ask(socket: &impl AsFd, direction: Direction) -> io::Result<Done<()>> {
    let wanted = match direction {
        Direction::Read => PollFlags::IN,
        Direction::Write => PollFlags::OUT,
    };
    let ready = retry_on_intr(|| poll(&mut [PollFd::new(socket, wanted)], Some(&Timespec::default())))?;
    match ready {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(Done::whole(())),
    }
}

impl<S: Source + AsFd> Future for Readiness<'_, S> {
    type Output = Result<()>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Readiness { socket, direction, side } = self.get_mut();
        if capture::is_on() {
            return capture::leaf(&side.leaf, "selvedge::net", Location::caller(), |_| {});
        }
        if let Some(error) = side.told_before(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = socket.poll_readiness(*direction, &mut side.waiter, cx);
        let polled = side.or_told(cx, polled, || socket.poll_attempt(|source| ask(source, *direction)));
        if polled.is_ready() {
            side.end(socket, *direction);
        }
        polled
    }
}

impl<S: Source> Drop for Readiness<'_, S> {
    fn drop(&mut self) {
        self.side.end(self.socket, self.direction);
    }
}

/// The method `readable` for a type with `socket(&self) -> &Socket<_>`. What is added to its documentation shows the attempt.
macro_rules! readable {
    ($(#[$example:meta])*) => {
        /// Waits until there is something to read: then an attempt without waiting is worth while. So it is at the end, and when there is an error to be
        /// fetched. What is there stays there, and as long as it does this returns at once.
        ///
        /// Somebody else may read it first, so that the attempt is in vain all the same: go on in a loop. Only on Unix.
        ///
        /// # Errors
        ///
        /// [`CancelledError`](crate::CancelledError); [`std::io::Error`] if the loop that watches the socket is closed. An error of the socket itself is left to the attempt.
        ///
        /// # Cancellation
        ///
        /// Ends the await; nothing has been read.
        $(#[$example])*
        pub fn readable(&self) -> impl Future<Output = $crate::Result<()>> {
            self.socket().readiness(selvedge_scheduler::Direction::Read)
        }
    };
}

/// As `readable!`.
macro_rules! writable {
    ($(#[$example:meta])*) => {
        /// Waits until there is room to write: then an attempt without waiting is worth while. So it is when there is an error to be fetched.
        ///
        /// How much room is worth while the operating system decides: an attempt that is made without asking may find a little. And somebody else
        /// may fill it first: go on in a loop. Only on Unix.
        ///
        /// # Errors
        ///
        /// [`CancelledError`](crate::CancelledError); [`std::io::Error`] if the loop that watches the socket is closed. An error of the socket itself is left to the attempt.
        ///
        /// # Cancellation
        ///
        /// Ends the await; nothing has been written.
        $(#[$example])*
        pub fn writable(&self) -> impl Future<Output = $crate::Result<()>> {
            self.socket().readiness(selvedge_scheduler::Direction::Write)
        }
    };
}

pub(super) use {readable, writable};
