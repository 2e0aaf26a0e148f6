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

/// Waits for `delay`, counted from the first poll. `Duration::ZERO` yields once to the other tasks.
/// A delay beyond 584 years, such as `Duration::MAX`, never ends on a real clock; [virtual
/// time](crate::RunnerBuilder::virtual_time) jumps that far, too.
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
/// [`CancelledError`](crate::CancelledError); [`RuntimeError`](crate::RuntimeError) if no event
/// loop is running on this thread; [`InvalidStateError`] if it is awaited again after it has ended.
///
/// # Cancellation
///
/// If the time is up, the sleep returns its value even if a request has come meanwhile. A yield has
/// no result to lose, so there the request comes first.
pub fn sleep(delay: Duration) -> Sleep {
    Sleep {
        when: time::to_ticks(delay),
        stage: Stage::New,
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
    stage: Stage,
    timer: Timer,
    leaf: Leaf,
    value: Option<V>,
}

/// How far a sleep has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not been polled.
    New,
    /// It is a yield, and has let the other tasks run.
    Yielded,
    /// It waits for its deadline.
    Counting,
}

impl<V> Sleep<V> {
    /// Makes the sleep return `value`, like asyncio's `sleep(delay, result)`. A sleep that is
    /// cancelled drops it.
    pub fn returning<W>(self, value: W) -> Sleep<W> {
        let Sleep { when, stage, timer, leaf, value: _ } = self;
        Sleep { when, stage, timer, leaf, value: Some(value) }
    }

    #[inline]
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.when == Moment::ZERO {
            // The other tasks that are queued on this worker run before this one goes on.
            self.stage = Stage::Yielded;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.timer.start_after(self.when, cx) {
            Ok(deadline) => {
                self.when = deadline;
                self.stage = Stage::Counting;
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

    /// At the first poll the time cannot be up yet, so a request is looked for before a timer is
    /// armed. A yield has no result to lose.
    #[inline]
    fn request_comes_first(&self) -> bool {
        self.stage != Stage::Counting
    }

    #[inline]
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.stage {
            Stage::New => self.poll_first(cx),
            Stage::Yielded => Poll::Ready(Ok(())),
            Stage::Counting => self.timer.poll_at(self.when, cx).map_err(|_| no_running_loop()),
        }
    }
}

// The value is moved in and out, never pinned.
impl<V> Unpin for Sleep<V> {}

impl<V> fmt::Debug for Sleep<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("is_counting", &(self.stage != Stage::New)).finish_non_exhaustive()
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
        assert_eq!(size_of::<Sleep>(), 48);
    }
}
