//! How does a coroutine learn that an io operation would not block, without performing one?
//!
//! Selvedge calls the operating system's `poll` with a timeout of zero, and again after each change
//! that the system reports. Results of earlier operations are not used where `poll` reports data or
//! space: a write may find space where `poll` does not yet report any (a Unix socket counts as
//! writable when three quarters of its buffer are free). For the same reason the test is not an
//! operation itself: if it failed, writes that need only a little space would wait with it.
//!
//! An error or an end without data is treated differently. It may be something that no operation
//! fetches (an entry in the socket's error queue, a packet socket that was shut down). The system
//! then reports it for ever, and a loop of waits and operations would spin. So it counts only until
//! an operation was unsuccessful, and again after the next change. An error that operations do
//! fetch is a change, and the system reports it.
//!
//! So the `try_*` methods record unsuccessful operations (`Socket::try_once`). The exception is
//! `UnixDatagram::try_send_to`: there the buffer of another socket is full, and no change would be
//! reported.
//!
//! Rejected: fetching the error (`SO_ERROR`) in the wait and keeping it for the next operation.
//! Code that uses the descriptor directly would miss it.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mio::event::Source;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use selvedge_scheduler::{Direction, Waiter};

use super::io_operation::IoDirection;
use super::socket::Socket;
use crate::cancel::Leaf;
use crate::error::Result;
use crate::leaf::{LeafFuture, poll_leaf};

/// Waits until an io operation would not block. A leaf.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Readiness<'a, S: Source> {
    socket: &'a Socket<S>,
    direction: Direction,
    io: IoDirection,
}

impl<S: Source + AsFd> Socket<S> {
    pub(super) fn readiness(&self, direction: Direction) -> Readiness<'_, S> {
        Readiness { socket: self, direction, io: IoDirection::new() }
    }

    fn poll_readiness(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            // Read before the `poll`: a change that comes after it counts as a new one.
            let since = self.changes(direction);
            match ask(&**self, direction)? {
                Answer::Ready => return Poll::Ready(Ok(())),
                Answer::Perhaps if since.allow_an_attempt() => return Poll::Ready(Ok(())),
                Answer::Perhaps | Answer::WouldBlock => {}
            }
            ready!(self.poll_changed(since, waiter, cx))?;
        }
    }
}

/// What the operating system reports about an io operation.
enum Answer {
    WouldBlock,
    /// There is an error, or an end. An operation may still have to wait.
    Perhaps,
    Ready,
}

fn ask(socket: &impl AsFd, direction: Direction) -> io::Result<Answer> {
    let (wanted, end) = match direction {
        Direction::Read => (PollFlags::IN, END),
        Direction::Write => (PollFlags::OUT, PollFlags::empty()),
    };
    let mut asked = [PollFd::new(socket, wanted | end)];
    if retry_on_intr(|| poll(&mut asked, Some(&Timespec::default())))? == 0 {
        return Ok(Answer::WouldBlock);
    }
    let told = asked[0].revents();
    // Linux reports a packet socket that was shut down as readable for ever.
    let is_sure = told.contains(wanted) && !told.intersects(end | PollFlags::HUP);
    Ok(if is_sure { Answer::Ready } else { Answer::Perhaps })
}

/// The peer has ended its side, or this end's reading direction has been ended.
#[cfg(any(target_os = "linux", target_os = "android"))]
const END: PollFlags = PollFlags::RDHUP;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const END: PollFlags = PollFlags::empty();

impl<S: Source + AsFd> Future for Readiness<'_, S> {
    type Output = Result<()>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<S: Source + AsFd> LeafFuture for Readiness<'_, S> {
    type Value = ();
    const NAME: &'static str = "selvedge::net";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.io.leaf
    }

    #[inline]
    fn request_comes_first(&self) -> bool {
        self.io.request_comes_first()
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = self.socket.poll_readiness(self.direction, &mut self.io.waiter, cx);
        if polled.is_ready() {
            self.io.end(self.socket, self.direction);
        }
        polled.map_err(Into::into)
    }

    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<()>>> {
        let Readiness { socket, direction, io } = self;
        let polled = io.meet_request(cx, || match ask(&***socket, *direction) {
            Ok(Answer::WouldBlock | Answer::Perhaps) => Poll::Pending,
            Ok(Answer::Ready) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
        });
        if polled.is_ready() {
            io.end(socket, *direction);
        }
        ControlFlow::Break(polled.map(|polled| Ok(polled??)))
    }
}

impl<S: Source> Drop for Readiness<'_, S> {
    fn drop(&mut self) {
        self.io.end(self.socket, self.direction);
    }
}

/// The method `readable` for a type with `socket(&self) -> &Socket<_>`. The attributes that are
/// passed in add an example to its documentation.
macro_rules! readable {
    ($(#[$example:meta])*) => {
        /// Waits until there is something to read, so that a non-waiting read is worth trying. The
        /// end of the stream and an error to be fetched count too. Nothing is consumed: as long as
        /// the data are there, this returns at once. An error that no read fetches (in the socket's
        /// error queue) counts only until one of the methods here has found nothing; reads on the
        /// raw descriptor are not seen.
        ///
        /// Another task may read the data first, so a read can still fail with `WouldBlock`: call
        /// both in a loop. Only on Unix.
        ///
        /// # Errors
        ///
        /// [`CancelledError`](crate::CancelledError); [`std::io::Error`] if the loop that watches
        /// the socket is closed. An error of the socket itself is returned by the read.
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

/// As `readable!`, for writing.
macro_rules! writable {
    ($(#[$example:meta])*) => {
        /// Waits until there is space to write, so that a non-waiting write is worth trying. An
        /// error to be fetched counts too.
        ///
        /// The operating system decides how much space is enough: a write without this wait may
        /// find a little. Another task may fill the space first, so a write can still fail with
        /// `WouldBlock`: call both in a loop. Only on Unix.
        ///
        /// # Errors
        ///
        /// [`CancelledError`](crate::CancelledError); [`std::io::Error`] if the loop that watches
        /// the socket is closed. An error of the socket itself is returned by the write.
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
