//! How does a coroutine learn that an attempt would not block, without making one?
//!
//! The operating system is asked (`poll`, with no time to wait), and asked again after each change that it tells. What attempts have found
//! is not used where it says that there is something, or room: a write may find room where this does not call it enough (a Unix socket is writable when three quarters of its room are free).
//!
//! An error or an end alone is another matter. It may be something that no attempt fetches (an entry on the socket's error queue, a packet socket that was shut down), and then the
//! operating system says so for ever, and a loop of waits and attempts would never rest. So it counts until an attempt was in vain, and again after the
//! next change: an error that attempts do fetch is a change, and is told.

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

/// Waits until an attempt would not block. A leaf.
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
            // Before the question: a change that comes after it is another one.
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

/// What the operating system says of an attempt.
enum Answer {
    WouldBlock,
    /// There is an error, or an end. An attempt may have to wait all the same.
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
    // A packet socket that was shut down is called readable for ever.
    let is_sure = told.contains(wanted) && !told.intersects(end | PollFlags::HUP);
    Ok(if is_sure { Answer::Ready } else { Answer::Perhaps })
}

/// The peer has ended its side, or the socket's own reading side has been ended.
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
        ControlFlow::Break(polled)
    }
}

impl<S: Source> Drop for Readiness<'_, S> {
    fn drop(&mut self) {
        self.io.end(self.socket, self.direction);
    }
}

/// The method `readable` for a type with `socket(&self) -> &Socket<_>`. What is added to its documentation shows the attempt.
macro_rules! readable {
    ($(#[$example:meta])*) => {
        /// Waits until there is something to read: then an attempt without waiting is worth while. So it is at the end, and when there is an error to be
        /// fetched. What is there stays there, and as long as it does this returns at once. An error that no attempt fetches (on the socket's error queue) counts until an
        /// attempt has found nothing: by one of the methods here, as the descriptor's own attempts are not seen.
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
