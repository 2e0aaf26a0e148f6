//! How is a future of another crate, which takes no requests, cancelled?

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::cancel::{Frame, FramePoll};
use crate::error::Result;
use crate::leaf::frame_polled;

/// Awaits a future that knows nothing of this library (another crate's channel, a request to a
/// server), so that a cancellation ends this await and not the whole task.
///
/// It is also for a foreign future beside other awaits in a combinator (`join_all`,
/// `FuturesUnordered`). There an await of this library takes the request, and a bare foreign future
/// would wait on.
///
/// # Examples
///
/// ```
/// use selvedge::{CancelledError, cancellable};
///
/// # selvedge::run(async {
/// let task = selvedge::create_task(async {
///     let waited = cancellable(std::future::pending::<()>()).await;
///     // Clean-up may await here; without `cancellable` the task would have been dropped at the await.
///     selvedge::sleep(std::time::Duration::ZERO).await?;
///     waited
/// });
/// selvedge::sleep(std::time::Duration::from_millis(1)).await?;
/// task.cancel();
/// assert!(task.await.unwrap_err().is::<CancelledError>());
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`CancelledError`](crate::CancelledError).
///
/// # Cancellation
///
/// The future is polled once more after the request. If it is ready then, its value is returned;
/// otherwise it is dropped.
pub fn cancellable<F: IntoFuture>(future: F) -> Cancellable<F::IntoFuture> {
    Cancellable { content: Some(future.into_future()), frame: Frame::new() }
}

pin_project! {
    /// The future of [`cancellable`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct Cancellable<F> {
        #[pin]
        content: Option<F>,
        frame: Frame,
    }
}

impl<F: Future> Future for Cancellable<F> {
    type Output = Result<F::Output>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut content =
            this.content.as_mut().as_pin_mut().expect("`Cancellable` was polled after it had ended");
        let polled = match this.frame.poll(cx, |cx| content.as_mut().poll(cx)) {
            FramePoll::Ready(value) => Poll::Ready(Ok(value)),
            FramePoll::Pending => Poll::Pending,
            FramePoll::GiveUp(error) => {
                this.content.set(None);
                Poll::Ready(Err(error.into()))
            }
        };
        frame_polled(polled, "selvedge::cancellable", |_| {})
    }
}
