//! How does a coroutine wait until a shared value satisfies a condition?

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use selvedge_scheduler::WaitList;

use crate::cancel::Leaf;
use crate::contain::wake_quietly;
use crate::error::Result;
use crate::leaf::{LeafFuture, poll_leaf};

/// A value under a lock, and the tasks that wait for it to change. Their wakers are cloned, woken
/// and dropped outside the lock; the closures of `with` and `change` run under it.
pub(super) struct Watched<S>(Mutex<Inner<S>>);

struct Inner<S> {
    state: S,
    waiting: WaitList<Waker>,
    next: u64,
}

/// Identifies one waiter among the others.
#[derive(Default)]
pub(super) struct Place(Option<u64>);

impl<S> Watched<S> {
    pub(super) fn new(state: S) -> Watched<S> {
        Watched(Mutex::new(Inner { state, waiting: WaitList::new(), next: 0 }))
    }

    /// Reads the value, or changes a part of it that no task waits for.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        f(&mut self.0.lock().state)
    }

    /// Changes the value, and wakes all waiters so that they check it again.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        let mut inner = self.0.lock();
        let result = f(&mut inner.state);
        let waiting = inner.waiting.take();
        drop(inner);
        waiting.into_iter().for_each(wake_quietly);
        result
    }

    /// Waits until `look` returns a value. A leaf.
    pub(super) fn until<T, F>(&self, look: F) -> Until<'_, S, F>
    where
        F: FnMut(&mut S) -> Option<T>,
    {
        Until { watched: self, place: Place::default(), leaf: Leaf::new(), has_begun: false, look }
    }

    /// Ready if `look` returns a value; else the task is woken after the next change.
    pub(super) fn poll_look<T>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&mut S) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = self.with(&mut look) {
            self.leave(place);
            return Poll::Ready(found);
        }
        let waker = cx.waker().clone();
        let mut inner = self.0.lock();
        // The value may have changed since the first check.
        if let Some(found) = look(&mut inner.state) {
            drop(inner);
            self.leave(place);
            return Poll::Ready(found);
        }
        let number = *place.0.get_or_insert(inner.next);
        inner.next = inner.next.max(number + 1);
        let former = inner.waiting.put(number, waker);
        drop(inner);
        drop(former);
        Poll::Pending
    }

    /// Ends the wait.
    pub(super) fn leave(&self, place: &mut Place) {
        let Some(number) = place.0.take() else { return };
        let gone = self.0.lock().waiting.remove(number);
        drop(gone);
    }
}

/// See [`Watched::until`].
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Until<'a, S, F> {
    watched: &'a Watched<S>,
    place: Place,
    leaf: Leaf,
    has_begun: bool,
    look: F,
}

// The closure is called, never pinned.
impl<S, F> Unpin for Until<'_, S, F> {}

impl<S, F, T> Future for Until<'_, S, F>
where
    F: FnMut(&mut S) -> Option<T>,
{
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<S, F, T> LeafFuture for Until<'_, S, F>
where
    F: FnMut(&mut S) -> Option<T>,
{
    type Value = T;
    const NAME: &'static str = "selvedge::streams";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    /// In the first poll, so that a loop over a condition that always holds can be cancelled.
    /// Later a satisfied condition wins over a request.
    #[inline]
    fn request_comes_first(&self) -> bool {
        !self.has_begun
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.has_begun = true;
        self.watched.poll_look(&mut self.place, cx, &mut self.look).map(Ok)
    }
}

impl<S, F> Drop for Until<'_, S, F> {
    fn drop(&mut self) {
        self.watched.leave(&mut self.place);
    }
}
