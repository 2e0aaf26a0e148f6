//! How does a coroutine wait for a socket, and how does a cancellation request end that wait?

use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mio::event::Source;
use selvedge_scheduler::{Direction, Waiter};

use super::socket::{Done, Socket};
use crate::callgraph::capture;
use crate::cancel::Leaf;
use crate::error::{Error, Result};

/// The state of one direction of a socket for the task that waits for it. A leaf.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(super) leaf: Leaf,
    pub(super) waiter: Waiter,
}

/// Where a request is delivered while a trait's `poll_` method waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Teller {
    /// To the wait itself: its error travels to code that can handle it.
    Leaf,
    /// To the frame around the wait. hyper takes an error of the socket for the end of the
    /// connection and would report success, so the request would be used up without effect.
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "hyper's traits use it"))]
    Frame,
}

impl Side {
    pub(crate) const fn new() -> Side {
        Side { leaf: Leaf::new(), waiter: Waiter::new() }
    }

    /// Repeats the io operation until it succeeds or would block. A request is delivered before the
    /// first operation, so that a loop over a socket that is always ready can be cancelled. Once a
    /// wait has begun, a request is delivered only if the operation still finds nothing.
    #[track_caller]
    pub(crate) fn poll<S: Source, T>(
        &mut self,
        socket: &Socket<S>,
        direction: Direction,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<Result<T>> {
        if capture::is_on() {
            return capture::leaf(&self.leaf, "selvedge::net", Location::caller(), |_| {});
        }
        if let Some(error) = self.told_before(cx) {
            return Poll::Ready(Err(error));
        }
        let polled = socket.poll(direction, &mut self.waiter, cx, &mut attempt);
        let polled = self.or_told(cx, polled, || socket.poll_attempt(attempt));
        if polled.is_ready() {
            self.end(socket, direction);
        }
        polled
    }

    /// The error of a request that came before the wait began.
    pub(super) fn told_before(&mut self, cx: &Context<'_>) -> Option<Error> {
        // The last poll ended `Pending` if there is a waiter.
        if self.waiter.is_waiting() { None } else { self.leaf.cancelled(cx) }
    }

    /// The result of a poll during which a request may have come.
    pub(super) fn or_told<T>(
        &mut self,
        cx: &Context<'_>,
        mut polled: Poll<io::Result<T>>,
        once_more: impl FnOnce() -> Poll<io::Result<T>>,
    ) -> Poll<Result<T>> {
        let has_unseen_or_suspends = polled.is_pending() && self.leaf.has_unseen_or_suspends(cx);
        if has_unseen_or_suspends {
            // Data may have arrived just now, since the last operation: a result wins over a
            // request.
            polled = once_more();
        }
        match polled {
            Poll::Ready(result) => Poll::Ready(result.map_err(Into::into)),
            Poll::Pending if has_unseen_or_suspends => match self.leaf.cancelled(cx) {
                Some(error) => Poll::Ready(Err(error)),
                // The request has been rescinded.
                None => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }

    /// As `poll`, for traits whose errors are those of the operating system.
    #[track_caller]
    pub(super) fn poll_io<S: Source, T>(
        &mut self,
        teller: Teller,
        socket: &Socket<S>,
        direction: Direction,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<io::Result<T>> {
        match teller {
            Teller::Leaf => self.poll(socket, direction, cx, attempt).map_err(io::Error::from),
            Teller::Frame => self.poll_untold(socket, direction, cx, attempt),
        }
    }

    #[track_caller]
    fn poll_untold<S: Source, T>(
        &mut self,
        socket: &Socket<S>,
        direction: Direction,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<io::Result<T>> {
        if capture::is_on() {
            return capture::leaf(&self.leaf, "selvedge::net", Location::caller(), |_| {});
        }
        let polled = socket.poll(direction, &mut self.waiter, cx, attempt);
        if polled.is_ready() {
            self.end(socket, direction);
        }
        polled
    }

    /// Ends the wait. The next poll begins a new one.
    pub(super) fn end<S: Source>(&mut self, socket: &Socket<S>, direction: Direction) {
        socket.forget(direction, &mut self.waiter);
        *self = Side::new();
    }
}

/// Repeats an io operation on a socket until it succeeds or fails.
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct Attempt<'a, S: Source, F> {
    socket: &'a Socket<S>,
    direction: Direction,
    side: Side,
    make: F,
}

impl<S: Source> Socket<S> {
    /// A leaf that repeats the io operation `attempt` in `direction`.
    pub(crate) fn attempt<T, F>(&self, direction: Direction, attempt: F) -> Attempt<'_, S, F>
    where
        F: FnMut(&S) -> io::Result<Done<T>>,
    {
        Attempt { socket: self, direction, side: Side::new(), make: attempt }
    }
}

// The closure is called, never pinned.
impl<S: Source, F> Unpin for Attempt<'_, S, F> {}

impl<S: Source, F, T> Future for Attempt<'_, S, F>
where
    F: FnMut(&S) -> io::Result<Done<T>>,
{
    type Output = Result<T>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        this.side.poll(this.socket, this.direction, cx, &mut this.make)
    }
}

impl<S: Source, F> Drop for Attempt<'_, S, F> {
    fn drop(&mut self) {
        self.side.end(self.socket, self.direction);
    }
}

/// Repeats io operations until one of them reports that it was the last. Equivalent to as many
/// [`Attempt`]s, one after the other.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Attempts<'a, S: Source, F> {
    socket: &'a Socket<S>,
    direction: Direction,
    side: Side,
    is_over: bool,
    make: F,
}

impl<S: Source> Socket<S> {
    /// Repeats `attempt` in `direction`. Does nothing if it `is_over` from the start.
    pub(super) fn attempts<F>(&self, direction: Direction, is_over: bool, attempt: F) -> Attempts<'_, S, F>
    where
        F: FnMut(&S) -> io::Result<Done<bool>>,
    {
        Attempts { socket: self, direction, side: Side::new(), is_over, make: attempt }
    }
}

// As for `Attempt`: the closure is called, never pinned.
impl<S: Source, F> Unpin for Attempts<'_, S, F> {}

impl<S: Source, F> Future for Attempts<'_, S, F>
where
    F: FnMut(&S) -> io::Result<Done<bool>>,
{
    type Output = Result<()>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        while !this.is_over {
            this.is_over = ready!(this.side.poll(this.socket, this.direction, cx, &mut this.make))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Source, F> Drop for Attempts<'_, S, F> {
    fn drop(&mut self) {
        self.side.end(self.socket, self.direction);
    }
}
