//! How is one await given a deadline?

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::deadline::{Deadline, DeadlineFrame};

use selvedge_scheduler::Moment;

use crate::coroutine::CoroutineOutput;
use crate::error::{Result, no_running_loop};
use crate::leaf::frame_polled;
use crate::time;

/// Awaits something for at most `timeout`, counted from the first poll; `None` waits for as long as
/// it takes.
///
/// What is awaited runs in the caller's task, so it may borrow, and what it sets in context
/// variables stays set. To wait for a task and keep it, pass `&mut task`, and
/// [`shield`](crate::shield) it if it should outlive the deadline. A future that does not return
/// [`selvedge::Result`](crate::Result) is passed as `async { Ok(other.await) }`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # selvedge::run(async {
/// let late = selvedge::wait_for(selvedge::sleep(Duration::from_secs(60)), Duration::from_millis(1)).await;
/// assert!(late.unwrap_err().is_timeout());
/// assert_eq!(selvedge::wait_for(async { Ok(1) }, None).await?, 1);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`TimeoutError`](crate::TimeoutError) when the time is up; [`RuntimeError`](crate::RuntimeError)
/// outside of a loop, if there is a `timeout`; else what was awaited returned.
///
/// # Cancellation
///
/// When the time is up, what is awaited is cancelled and awaited to its end, so the whole may last
/// longer than `timeout`. A result that is ready by then wins over the deadline (asyncio drops it),
/// and so does a value that is returned in spite of the request. A request from further out wins
/// over the deadline and is passed on as a [`CancelledError`](crate::CancelledError).
///
/// With a deadline of zero, what is awaited is polled once, and succeeds if it needs no waiting.
/// (asyncio does not even start a coroutine then.)
pub fn wait_for<A, T>(aw: A, timeout: impl Into<Option<Duration>>) -> WaitFor<A::IntoFuture>
where
    A: IntoFuture<Output = Result<T>>,
    A::Output: CoroutineOutput,
{
    WaitFor { frame: DeadlineFrame::new(aw.into_future()), timeout: timeout.into(), deadline: Fixed(None) }
}

pin_project! {
    /// The future of [`wait_for`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct WaitFor<F> {
        #[pin]
        frame: DeadlineFrame<F>,
        timeout: Option<Duration>,
        deadline: Fixed,
    }
}

/// A deadline that is computed at the first poll.
struct Fixed(Option<Moment>);

impl Deadline for Fixed {
    fn ticks(&self, _waker: &Waker) -> Moment {
        self.0.unwrap_or(time::NEVER)
    }

    fn expired(&self) {}
}

impl<F, T> Future for WaitFor<F>
where
    F: Future<Output = Result<T>>,
{
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.project();
        if let Some(timeout) = this.timeout.take() {
            // Without a clock the deadline would never come.
            let Some(deadline) = time::after(timeout) else {
                return Poll::Ready(Err(no_running_loop()));
            };
            this.deadline.0 = Some(deadline);
        }
        frame_polled(this.frame.poll(cx, this.deadline), "selvedge::wait_for", |_| {})
    }
}
