//! What happens when an await of this library is polled?
//!
//! A future of this library that waits for something itself (for time, for a task, for a socket) is
//! a **leaf**. It implements [`LeafFuture`], and its `poll` is one call:
//!
//! ```text
//! #[track_caller]
//! fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
//!     poll_leaf(self.get_mut(), cx)
//! }
//! ```
//!
//! [`poll_leaf`] takes these steps:
//!
//! 1. **Capture.** A poll for a call graph (see `callgraph`) ends here. The leaf notes what it
//!    waits for, and is pending. Nothing is armed, delivered or consumed.
//! 2. **A request to stop, before the wait begins**, if
//!    [`request_comes_first`](LeafFuture::request_comes_first). Nothing belongs to the leaf yet, so
//!    nothing is lost; and a loop over something that is always ready can be cancelled.
//! 3. **The value** ([`poll_value`](LeafFuture::poll_value)). A leaf that waits returns a value
//!    that has come even if a request has come too: a ready result is never lost. The next leaf
//!    takes the request.
//! 4. **A request to stop** ([`meet_request`](LeafFuture::meet_request)). Most leaves take it, and
//!    end with it as their error. The await of a task passes it on and waits further. If step 2 has
//!    looked for a request, this step is left out: a request that has come since wakes the task.
//!
//! A leaf without a request is suspended: [`Leaf`] has left its waker where a request finds it.
//!
//! To add a leaf: a struct with a [`Leaf`] in the folder of its subject, `impl LeafFuture`, the `poll`
//! above, and names in its `mod.rs` and in `lib.rs`. `waiting/sleep.rs` is a short example. If it
//! stands in a wait list, its `Drop` leaves the list and drops the waker outside the lock
//! (`sync::lock_to_wait`). Tests that go over all leaves: `tests/tests/callgraph/harmless.rs`,
//! `tests/tests/cancellation/combinators.rs`.
//!
//! A **frame** polls something that may hold leaves. In a capture it is noted after them ([`frame_polled`]).

use std::ops::ControlFlow;
use std::panic::Location;
use std::task::{Context, Poll};

use crate::cancel::Leaf;
use crate::capture::{self, Notes};
use crate::error::Result;

/// An await of this library, for [`poll_leaf`].
pub(crate) trait LeafFuture {
    type Value;

    /// Its name in call graphs.
    const NAME: &'static str;

    /// What it remembers of the requests around it.
    fn leaf(&mut self) -> &mut Leaf;

    /// Notes the tasks and futures that it waits for, for call graphs.
    fn awaits(&self, _notes: &mut Notes) {}

    /// Whether nothing belongs to this leaf yet, so that this poll looks for a request before it looks
    /// for the value: a first try of an io operation, a timer that is not armed. False where a value
    /// may have come for this leaf alone: a task's result, a wait that has begun.
    #[inline]
    fn request_comes_first(&self) -> bool {
        false
    }

    /// The value, or the error with which the wait ends; else the task is woken when one of them has come.
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Value>>;

    /// Called when there is no value. Takes a request, if there is one, and says how the poll ends;
    /// `Continue`: the value is looked for again.
    #[inline]
    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<Self::Value>>> {
        ControlFlow::Break(self.leaf().cancelled(cx).map_or(Poll::Pending, |error| Poll::Ready(Err(error))))
    }
}

/// Polls an await of this library: every leaf goes through this. Each `poll` on the way to it is
/// `#[track_caller]`, so that a capture has the location of the await.
#[inline]
#[track_caller]
pub(crate) fn poll_leaf<L: LeafFuture>(this: &mut L, cx: &mut Context<'_>) -> Poll<Result<L::Value>> {
    if capture::is_on() {
        note_leaf(this, Location::caller());
        return Poll::Pending;
    }
    let request_comes_first = this.request_comes_first();
    let request = if request_comes_first { this.leaf().cancelled(cx) } else { None };
    if let Some(error) = request {
        return Poll::Ready(Err(error));
    }
    loop {
        let polled = this.poll_value(cx);
        if polled.is_ready() || request_comes_first {
            return polled;
        }
        if let ControlFlow::Break(polled) = this.meet_request(cx) {
            return polled;
        }
    }
}

#[cold]
#[inline(never)]
fn note_leaf<L: LeafFuture>(this: &mut L, at: &'static Location<'static>) {
    capture::note(L::NAME, at, |notes| this.awaits(notes));
    if !this.leaf().was_polled_here() {
        capture::poll_for_real();
    }
}

/// Ends the poll of a frame, which in a capture is noted after what it polls.
#[inline]
#[track_caller]
pub(crate) fn frame_polled<R>(
    polled: Poll<R>,
    name: &'static str,
    awaits: impl FnOnce(&mut Notes),
) -> Poll<R> {
    if polled.is_pending() && capture::is_on() {
        capture::note(name, Location::caller(), awaits);
    }
    polled
}
