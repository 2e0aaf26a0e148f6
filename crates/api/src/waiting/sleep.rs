//! How does a coroutine wait for time to pass?

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use selvedge_scheduler::{Moment, Timer};

use crate::cancel::Leaf;
use crate::error::{InvalidStateError, Result, no_running_loop};
use crate::leaf::{LeafFuture, poll_leaf};
use crate::time;

/// Waits for `delay`, counted from the first poll. `Duration::ZERO` yields once to the other tasks; `Duration::MAX`, as all
/// beyond 584 years, never ends by itself on a real clock; [virtual time](crate::RunnerBuilder::virtual_time) jumps that far, too.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// use std::time::Duration;
///
/// selvedge::sleep(Duration::from_millis(1)).await?;
/// assert_eq!(selvedge::sleep(Duration::ZERO).returning("slept").await?, "slept");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`CancelledError`](crate::CancelledError); [`RuntimeError`](crate::RuntimeError) if no event loop is running on this thread;
/// [`InvalidStateError`] if it is awaited again after it has ended.
///
/// # Cancellation
///
/// A sleep whose time is up ends well, even if a request came meanwhile. A mere yield has no result to lose, so there the request
/// comes first.
pub fn sleep(delay: Duration) -> Sleep {
    Sleep {
        when: time::to_ticks(delay),
        is_counting: false,
        timer: Timer::new(),
        leaf: Leaf::new(),
        value: Some(()),
    }
}

/// The future of [`sleep`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep<V = ()> {
    /// The delay until the first poll, the deadline from then on. Zero: a yield.
    when: Moment,
    /// It has been polled.
    is_counting: bool,
    timer: Timer,
    leaf: Leaf,
    value: Option<V>,
}

impl<V> Sleep<V> {
    /// Returns `value` in the end; asyncio's `sleep(delay, result)`. Dropped with the sleep if that is cancelled.
    pub fn returning<W>(self, value: W) -> Sleep<W> {
        let Sleep { when, is_counting, timer, leaf, value: _ } = self;
        Sleep { when, is_counting, timer, leaf, value: Some(value) }
    }

    /// Gives way once: whatever is due on this worker runs before this goes on.
    fn poll_yield(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if std::mem::replace(&mut self.is_counting, true) {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.is_counting {
            return self.poll_first(cx);
        }
        self.timer.poll_at(self.when, cx).map_err(|_| no_running_loop())
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.timer.start_after(self.when, cx) {
            Ok(deadline) => {
                self.when = deadline;
                self.is_counting = true;
                Poll::Pending
            }
            Err(_) => Poll::Ready(Err(no_running_loop())),
        }
    }
}

impl<V> LeafFuture for Sleep<V> {
    type Value = ();
    const NAME: &'static str = "selvedge::sleep";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    /// At the first poll the time cannot be up yet, so a request is looked for before a timer is armed for nothing. A yield has
    /// nothing to lose.
    #[inline]
    fn request_comes_first(&self) -> bool {
        !self.is_counting || self.when == Moment::ZERO
    }

    #[inline]
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.when == Moment::ZERO { self.poll_yield(cx) } else { self.poll_timer(cx) }
    }
}

// The value is never pinned: it is moved in and out.
impl<V> Unpin for Sleep<V> {}

impl<V> fmt::Debug for Sleep<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("is_counting", &self.is_counting).finish_non_exhaustive()
    }
}

impl<V> Future for Sleep<V> {
    type Output = Result<V>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<V>> {
        let this = self.get_mut();
        poll_leaf(this, cx).map(|outcome| {
            this.timer.disarm();
            outcome.and_then(|()| {
                this.value.take().ok_or_else(|| InvalidStateError::new("the sleep has ended already").into())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleeping_task_is_small() {
        assert_eq!(size_of::<Sleep>(), 56);
    }
}
