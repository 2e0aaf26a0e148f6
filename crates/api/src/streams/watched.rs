//! How does a coroutine wait until something that is shared has come to pass?

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use selvedge_scheduler::WaitList;

use crate::cancel::Leaf;
use crate::contain::wake_quietly;
use crate::error::Result;
use crate::leaf::{LeafFuture, poll_leaf};

/// A value under a lock, and who waits for it to change. Their wakers are cloned, woken and dropped after the lock; what `with` and `change` are given runs under
/// it.
pub(super) struct Watched<S>(Mutex<Inner<S>>);

struct Inner<S> {
    state: S,
    waiting: WaitList<Waker>,
    next: u64,
}

/// Tells one who waits from the others.
#[derive(Default)]
pub(super) struct Place(Option<u64>);

impl<S> Watched<S> {
    pub(super) fn new(state: S) -> Watched<S> {
        Watched(Mutex::new(Inner { state, waiting: WaitList::new(), next: 0 }))
    }

    /// Looks at it, or changes what nobody waits for.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        f(&mut self.0.lock().state)
    }

    /// Changes it, and lets all who wait look again.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        let mut inner = self.0.lock();
        let result = f(&mut inner.state);
        let waiting = inner.waiting.take();
        drop(inner);
        waiting.into_iter().for_each(wake_quietly);
        result
    }

    /// Waits until `look` finds what it looks for. A leaf.
    pub(super) fn until<T, F>(&self, look: F) -> Until<'_, S, F>
    where
        F: FnMut(&mut S) -> Option<T>,
    {
        Until { watched: self, place: Place::default(), leaf: Leaf::new(), has_begun: false, look }
    }

    /// Ready if `look` finds something; else the task is woken after the next change.
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
        // It may have changed since.
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

    /// Waits no longer.
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

// What looks is called, never pinned.
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

    /// So that a loop over what is always so can be cancelled.
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
