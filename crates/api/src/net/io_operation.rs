//! How does a coroutine wait for an io operation on a socket, and what does a cancellation do to
//! the wait?
//!
//! A wait that receives a request tries its operation once more before it ends: data that has come
//! meanwhile wins.
//!
//! The traits of other crates do not know `CancelledError`. It passes through them inside an
//! `io::Error`, and `?` takes it out again. Their `poll_` methods do not say when a wait is given
//! up, so a stream remembers its wait until the next poll. A reader that was dropped inside a
//! `select!` may therefore report a request that another arm has taken. The streams' own methods do
//! not have this weakness.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mio::event::Source;
use selvedge_scheduler::{Direction, Waiter};

use super::socket::{Done, Socket};
use crate::cancel::Leaf;
use crate::error::Result;
use crate::leaf::{LeafFuture, poll_leaf};

/// The wait of a socket in one direction: the requests that it has seen, and its waker.
#[derive(Debug, Default)]
pub(crate) struct IoDirection {
    pub(super) leaf: Leaf,
    pub(super) waiter: Waiter,
}

/// Which await receives a request while a trait's `poll_` method waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receiver {
    /// The wait itself: its error reaches a caller that handles it.
    Leaf,
    /// The frame around it. hyper takes an error of the socket for the end of the connection, which
    /// it treats as a success: the request would have no effect.
    #[cfg_attr(not(feature = "hyper"), expect(dead_code, reason = "hyper's traits use it"))]
    Frame,
}

impl IoDirection {
    pub(crate) const fn new() -> IoDirection {
        IoDirection { leaf: Leaf::new(), waiter: Waiter::new() }
    }

    /// Performs the operation until it succeeds. A request comes before the first try, so that a
    /// loop over a socket that is always ready can be cancelled. A wait that has begun takes a
    /// request only if the operation would still block.
    #[inline]
    #[track_caller]
    pub(crate) fn poll<S: Source, T>(
        &mut self,
        socket: &Socket<S>,
        direction: Direction,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<Result<T>> {
        let mut poll = PollOf { io: self, receiver: Receiver::Leaf, socket, direction, attempt };
        poll_leaf(&mut poll, cx).map(|polled| Ok(polled??))
    }

    /// Whether a request comes before the operation in this poll: the wait has not begun.
    #[inline]
    pub(super) fn request_comes_first(&self) -> bool {
        // The last poll ended `Pending` if there is a waiter.
        !self.waiter.is_waiting()
    }

    /// The result of a poll in which the operation would block, if a request has come meanwhile.
    pub(super) fn meet_request<T>(
        &mut self,
        cx: &Context<'_>,
        once_more: impl FnOnce() -> Poll<io::Result<T>>,
    ) -> Poll<Result<io::Result<T>>> {
        if !self.leaf.has_unseen_or_suspends(cx) {
            return Poll::Pending;
        }
        // The socket may have become ready after the last try.
        match once_more() {
            Poll::Ready(result) => Poll::Ready(Ok(result)),
            // There is no error if the request has been rescinded.
            Poll::Pending => self.leaf.cancelled(cx).map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }

    /// As `poll`, for traits whose only error is `io::Error`.
    #[track_caller]
    pub(super) fn poll_io<S: Source, T>(
        &mut self,
        receiver: Receiver,
        socket: &Socket<S>,
        direction: Direction,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&S) -> io::Result<Done<T>>,
    ) -> Poll<io::Result<T>> {
        let mut poll = PollOf { io: self, receiver, socket, direction, attempt };
        poll_leaf(&mut poll, cx).map(|polled| polled?)
    }

    /// Ends the wait. The next poll begins a new one.
    pub(super) fn end<S: Source>(&mut self, socket: &Socket<S>, direction: Direction) {
        socket.forget(direction, &mut self.waiter);
        *self = IoDirection::new();
    }
}

/// One poll of an io operation, as a leaf.
struct PollOf<'a, S: Source, F> {
    io: &'a mut IoDirection,
    receiver: Receiver,
    socket: &'a Socket<S>,
    direction: Direction,
    attempt: F,
}

impl<S: Source, F, T> LeafFuture for PollOf<'_, S, F>
where
    F: FnMut(&S) -> io::Result<Done<T>>,
{
    /// The operating system's result.
    type Value = io::Result<T>;
    const NAME: &'static str = "selvedge::net";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.io.leaf
    }

    #[inline]
    fn request_comes_first(&self) -> bool {
        matches!(self.receiver, Receiver::Leaf) && self.io.request_comes_first()
    }

    #[inline]
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<io::Result<T>>> {
        let polled = self.socket.poll(self.direction, &mut self.io.waiter, cx, &mut self.attempt);
        if polled.is_ready() {
            self.io.end(self.socket, self.direction);
        }
        polled.map(Ok)
    }

    #[inline]
    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<io::Result<T>>>> {
        let PollOf { io, receiver, socket, direction, attempt } = self;
        if matches!(receiver, Receiver::Frame) {
            return ControlFlow::Break(Poll::Pending);
        }
        let polled = io.meet_request(cx, || socket.poll_attempt(attempt));
        if polled.is_ready() {
            io.end(socket, *direction);
        }
        ControlFlow::Break(polled)
    }
}

/// A leaf that performs an io operation until it succeeds.
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct IoOperation<'a, S: Source, F> {
    socket: &'a Socket<S>,
    direction: Direction,
    io: IoDirection,
    make: F,
}

impl<S: Source> Socket<S> {
    /// A leaf that performs `attempt` in `direction` until it succeeds.
    pub(crate) fn operation<T, F>(&self, direction: Direction, attempt: F) -> IoOperation<'_, S, F>
    where
        F: FnMut(&S) -> io::Result<Done<T>>,
    {
        IoOperation { socket: self, direction, io: IoDirection::new(), make: attempt }
    }
}

// The operation is called, never pinned.
impl<S: Source, F> Unpin for IoOperation<'_, S, F> {}

impl<S: Source, F, T> Future for IoOperation<'_, S, F>
where
    F: FnMut(&S) -> io::Result<Done<T>>,
{
    type Output = Result<T>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        this.io.poll(this.socket, this.direction, cx, &mut this.make)
    }
}

impl<S: Source, F> Drop for IoOperation<'_, S, F> {
    fn drop(&mut self) {
        self.io.end(self.socket, self.direction);
    }
}

/// Performs io operations until one of them returns that it was the last. Equivalent to as many
/// [`IoOperation`]s in a row.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct IoOperations<'a, S: Source, F> {
    socket: &'a Socket<S>,
    direction: Direction,
    io: IoDirection,
    is_over: bool,
    make: F,
}

impl<S: Source> Socket<S> {
    /// [`IoOperations`] in `direction`; none are performed if `is_over`.
    pub(super) fn operations<F>(
        &self,
        direction: Direction,
        is_over: bool,
        attempt: F,
    ) -> IoOperations<'_, S, F>
    where
        F: FnMut(&S) -> io::Result<Done<bool>>,
    {
        IoOperations { socket: self, direction, io: IoDirection::new(), is_over, make: attempt }
    }
}

// As for `IoOperation`.
impl<S: Source, F> Unpin for IoOperations<'_, S, F> {}

impl<S: Source, F> Future for IoOperations<'_, S, F>
where
    F: FnMut(&S) -> io::Result<Done<bool>>,
{
    type Output = Result<()>;

    #[inline]
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        while !this.is_over {
            this.is_over = ready!(this.io.poll(this.socket, this.direction, cx, &mut this.make))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Source, F> Drop for IoOperations<'_, S, F> {
    fn drop(&mut self) {
        self.io.end(self.socket, self.direction);
    }
}
