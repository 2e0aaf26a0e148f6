//! When is a future dropped that does not take requests?
//!
//! When a poll that began with a request has left the request untaken, unless a combinator inside
//! may still poll children that were called for it: a combinator may yield after a few of them
//! (`request/foreign.rs`).

use std::sync::Arc;
use std::task::{Context, Poll};

use super::leaf::{Leaf, poll_again};
use super::scope::Scope;
use super::scope_stack::{self, Entered, OutsideScopes, ScopeStack, TakenWatch};
use crate::capture;
use crate::error::CancelledError;

/// Polls content that may hold foreign futures (another crate's channel, say), and takes requests
/// in their place: if a poll began with a request and ended without a result, and nothing inside
/// took the request, then the content takes none and must be dropped.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    leaf: Leaf,
    patience: Patience,
}

/// How many polls in a row a frame has waited for leaves that were called and have not been polled
/// yet.
#[derive(Debug, Default)]
pub(crate) struct Patience(u32);

/// A combinator that yields polls at least two children each time, so this is enough for twice as
/// many children. The bound is needed for a combinator that never polls some of its children while
/// others wake themselves for ever.
const MOST_POLLS: u32 = 100_000;

impl Patience {
    /// Whether the frame should be polled once more before it gives up. If so, this wakes it.
    pub(crate) fn is_left_for_called(&mut self, cx: &Context<'_>) -> bool {
        let is_left = self.0 < MOST_POLLS && scope_stack::awaits_called();
        self.0 = if is_left { self.0 + 1 } else { 0 };
        if is_left {
            cx.waker().wake_by_ref();
        }
        is_left
    }
}

/// How a poll through a frame ended.
#[must_use]
pub(crate) enum FramePoll<R> {
    Ready(R),
    Pending,
    /// The caller drops the content and returns this error.
    GiveUp(CancelledError),
}

impl Frame {
    pub(crate) const fn new() -> Frame {
        Frame { leaf: Leaf::new(), patience: Patience(0) }
    }

    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        content: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> FramePoll<R> {
        let is_capture = capture::is_on();
        let (had_request, began) = (self.leaf.has_unseen_request(), scope_stack::root());
        if had_request && !is_capture {
            scope_stack::call_innermost();
        }
        let watch = TakenWatch::start();
        let polled = content(cx);
        let was_taken = watch.was_taken();
        if was_taken {
            // A request that came during the poll may have been taken, too. It must not look unseen
            // next time.
            self.leaf.catch_up();
        }
        match polled {
            Poll::Ready(result) => FramePoll::Ready(result),
            // In a capture the content had no chance to take the request.
            Poll::Pending if had_request && !was_taken && !is_capture => {
                if began.zip(scope_stack::root()).is_some_and(|(began, now)| began.was_rescinded_by(now)) {
                    return self.look_again(cx);
                }
                if self.patience.is_left_for_called(cx) {
                    return FramePoll::Pending;
                }
                self.leaf.take(cx).map_or(FramePoll::Pending, |taken| FramePoll::GiveUp(taken.error))
            }
            Poll::Pending => {
                if !is_capture {
                    self.leaf.suspend(cx);
                }
                FramePoll::Pending
            }
        }
    }

    /// A request was taken back during the poll, perhaps by the content itself. If there is one
    /// now, it may have come after the content looked for one, so the content gets another chance.
    #[cold]
    fn look_again<R>(&mut self, cx: &Context<'_>) -> FramePoll<R> {
        if self.leaf.has_unseen_request() {
            cx.waker().wake_by_ref();
        }
        self.leaf.suspend(cx);
        FramePoll::Pending
    }
}

/// A frame with a scope of its own: what it polls can be cancelled without the task around it.
#[derive(Debug, Default)]
pub(crate) struct ScopedFrame {
    frame: Frame,
    /// `None` before the first poll, and while the content is polled: then the thread has the
    /// scope.
    scope: Option<Arc<Scope>>,
    /// The place where the scope was opened.
    around: u64,
    entry: Option<OutsideScopes>,
    /// The state of the scopes around the frame when it made its own request.
    request: Option<OutsideScopes>,
}

impl ScopedFrame {
    pub(crate) const fn new() -> ScopedFrame {
        ScopedFrame { frame: Frame::new(), scope: None, around: 0, entry: None, request: None }
    }

    /// Opens the scope at the first poll, and opens another one when the frame was moved to a place
    /// with other scopes around it. Called outside the content's poll, at the start of every poll
    /// of the frame.
    pub(crate) fn enter(&mut self) -> &Arc<Scope> {
        let around = scope_stack::place().unwrap_or(0);
        let is_moved = around != self.around;
        if is_moved {
            self.around = around;
            self.entry = scope_stack::outside();
        }
        match &mut self.scope {
            Some(scope) if is_moved => *scope = scope.reopen(),
            Some(_) => {}
            none @ None => *none = Some(Scope::open()),
        }
        self.scope.as_ref().expect("a scope was opened above")
    }

    /// The frame's own request to its content.
    pub(crate) fn request(&mut self) {
        self.note_request();
        if let Some(scope) = &self.scope {
            // The frame is being polled and goes on to poll its content: no wake is needed.
            let _ = scope.request();
        }
    }

    /// Remembers the state of the scopes around the frame when its request is made.
    pub(crate) fn note_request(&mut self) {
        if self.request.is_none() {
            self.request = scope_stack::outside();
        }
    }

    pub(crate) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        content: impl FnOnce(&mut Context<'_>) -> Poll<R>,
    ) -> FramePoll<R> {
        self.enter();
        let entered = Entered::enter(&mut self.scope);
        let polled = self.frame.poll(cx, content);
        drop(entered);
        polled
    }

    /// Whether a cancellation with which the content ends comes from this frame's own request, and
    /// no scope further out got a request. Called outside the content's poll.
    pub(crate) fn owns_cancellation(&self) -> bool {
        let (Some(entry), Some(request)) = (&self.entry, &self.request) else { return false };
        ScopeStack::with(|stack| !stack.outside().requested_since(entry, request)).unwrap_or(true)
    }

    /// For a frame that ends with another error than a cancellation, although its content took a
    /// request to a scope further out: the next leaf outside gets that request again, or it would
    /// be lost. Called outside the content's poll.
    pub(crate) fn give_back_what_came_from_outside(&self) {
        let Some(entry) = &self.entry else { return };
        let _ = ScopeStack::with(|stack| stack.give_back(stack.outside().requests_since(entry)));
        poll_again();
    }
}
