//! How does a coroutine await a task without passing cancellations on to it?

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::Leaf;
use crate::capture::Notes;
use crate::coroutine::Coroutine;
use crate::error::Result;
use crate::leaf::{LeafFuture, poll_leaf};
use crate::task::Task;
use crate::task_or_coroutine::ensure_future;

/// Awaits a task without passing cancellations on to it; a coroutine becomes a task first.
///
/// The task goes on when the awaiting task is cancelled. To await it again after that, shield a
/// borrow of it: `task.shielded().await` ([`Task::shielded`]). `shield(task)` takes the task, and
/// with it the only way to its result: an error that comes after the awaiting task has gone is
/// reported as never retrieved.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # selvedge::run(async {
/// let mut task = selvedge::create_task(async {
///     selvedge::sleep(Duration::from_millis(5)).returning("kept").await
/// });
/// let late = selvedge::wait_for(task.shielded(), Duration::from_millis(1)).await;
/// assert!(late.unwrap_err().is_timeout());
/// assert_eq!(task.await?, "kept");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// The error of the task, and [`CancelledError`](crate::CancelledError).
///
/// # Cancellation
///
/// A request ends the await at once; the task is not touched. A result that is ready wins over the
/// request.
///
/// # Panics
///
/// If a coroutine is given and no event loop is running on this thread.
#[track_caller]
pub fn shield<C: Coroutine>(coro_or_task: C) -> Shield<C::Item> {
    Shield { task: ensure_future(coro_or_task), leaf: Leaf::new() }
}

impl<T: Send + 'static> Task<T> {
    /// [`shield`] for a task that is kept. It is a method because `shield(&mut task)` could not be
    /// distinguished from a coroutine by its type.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # selvedge::run(async {
    /// let mut saving = selvedge::create_task(async {
    ///     selvedge::sleep(Duration::from_millis(5)).returning("saved").await
    /// });
    /// if selvedge::wait_for(saving.shielded(), Duration::from_millis(1)).await.is_err() {
    ///     println!("this takes long");
    /// }
    /// assert_eq!(saving.await?, "saved");
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn shielded(&mut self) -> ShieldRef<'_, T> {
        ShieldRef { task: self, leaf: Leaf::new() }
    }
}

/// The future of [`shield`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Shield<T: Send + 'static> {
    task: Task<T>,
    leaf: Leaf,
}

/// The future of [`Task::shielded`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct ShieldRef<'a, T: Send + 'static> {
    task: &'a mut Task<T>,
    leaf: Leaf,
}

impl<T: Send + 'static> Future for Shield<T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        poll_leaf(&mut Shielded { task: &mut this.task, leaf: &mut this.leaf }, cx)
    }
}

impl<T: Send + 'static> Future for ShieldRef<'_, T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        poll_leaf(&mut Shielded { task: this.task, leaf: &mut this.leaf }, cx)
    }
}

/// One poll of a [`Shield`] or a [`ShieldRef`].
struct Shielded<'a, T: Send + 'static> {
    task: &'a mut Task<T>,
    leaf: &'a mut Leaf,
}

impl<T: Send + 'static> LeafFuture for Shielded<'_, T> {
    type Value = T;
    const NAME: &'static str = "selvedge::shield";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        self.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        notes.task(self.task.task_ref());
    }

    #[inline]
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.task.poll_join(cx)
    }
}
