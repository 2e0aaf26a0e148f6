//! How does a coroutine take the results of several tasks in the order in which the tasks end?

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use selvedge_scheduler::{Moment, TaskRef, Timer};

use crate::cancel::Leaf;
use crate::capture::Notes;
use crate::contain::wake_quietly;
use crate::coroutine::Coroutine;
use crate::error::{Result, TimeoutError, no_running_loop};
use crate::leaf::{LeafFuture, poll_leaf};
use crate::slot::Notify;
use crate::start::{self, Start, start_held};
use crate::sync::{Mutex, lock_to_wait};
use crate::task::{self, HeldChildren, Task, notify};
use crate::time;

/// Runs coroutines side by side, each as a task, and returns their results in the order in which
/// they come. A [`Task`] that is given is used as it is.
///
/// The children are created by the call. They start when the first result is awaited, or else when
/// the poll that created them ends; [`limit`](AsCompleted::limit) bounds how many run at once.
/// [`next`](AsCompleted::next) returns `None` after the last result, so for an empty input it
/// returns `None` at once. The whole is a [`Stream`] too. Dropping it cancels no task.
///
/// asyncio's `async for` yields the tasks; this yields their results. If it matters which coroutine
/// a result comes from, let the coroutine return that too.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # selvedge::Runner::builder().virtual_time(true).run(async {
/// let naps = [3, 1, 2].map(|n| selvedge::sleep(Duration::from_secs(n)).returning(n));
/// let mut results = selvedge::as_completed(naps);
/// let mut order = Vec::new();
/// while let Some(n) = results.next().await {
///     order.push(n?);
/// }
/// assert_eq!(order, [1, 2, 3]);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// Each item is the result of one task. An error is one item like any other; more items follow it.
///
/// # Panics
///
/// If coroutines are given and no event loop is running on this thread.
///
/// # Cancellation
///
/// A request ends the `next` that is awaited; the tasks are not touched. A combinator of streams
/// that goes on after an error (`collect`, `count`) counts this as one more item: use one that
/// stops at an error (`try_collect`), or cancel the tasks.
#[track_caller]
pub fn as_completed<C: Coroutine>(aws: impl IntoIterator<Item = C>) -> AsCompleted<C::Item> {
    start_held();
    let mut start = HeldChildren::default();
    let mut tasks = Vec::new();
    for aw in aws {
        tasks.push(Some(start.add(aw)));
    }
    let shared = Arc::new(Shared { state: Mutex::default(), start: start.hold() });
    for (index, task) in tasks.iter().flatten().enumerate() {
        notify(task.task_ref(), Arc::clone(&shared) as Arc<dyn Notify>, index);
    }
    AsCompleted {
        left: tasks.len(),
        tasks,
        shared,
        deadline: None,
        timer: Timer::new(),
        leaf: Leaf::new(),
        is_started: false,
    }
}

/// The results of [`as_completed`].
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let mut it = selvedge::as_completed([1, 2].map(|n| async move { Ok(n) }));
/// while let Some(r) = it.next().await {
///     println!("{}", r?);
/// }
/// # Ok(())
/// # }).unwrap();
/// ```
#[must_use = "the children have started, but their results are lost unless they are taken"]
pub struct AsCompleted<T: Send + 'static> {
    tasks: Vec<Option<Task<T>>>,
    /// Results that have not been returned yet.
    left: usize,
    shared: Arc<Shared>,
    deadline: Option<Moment>,
    timer: Timer,
    /// The leaf of the `next` that is awaited now.
    leaf: Leaf,
    is_started: bool,
}

struct Shared {
    state: Mutex<State>,
    start: Arc<Start>,
}

#[derive(Default)]
struct State {
    completed: VecDeque<usize>,
    waker: Option<Waker>,
}

impl Notify for Shared {
    fn notify(&self, index: usize, _task: &TaskRef) {
        self.start.child_ended(index);
        let mut state = self.state.lock();
        state.completed.push_back(index);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            wake_quietly(waker);
        }
    }
}

impl Shared {
    /// The next child that is done. If there is none, `waker` is woken when one is.
    fn take(&self, waker: &Waker) -> Option<usize> {
        if let Some(index) = self.state.lock().completed.pop_front() {
            return Some(index);
        }
        let (fresh, mut state) = lock_to_wait(&self.state, waker, |state| state.waker.as_ref());
        // A child may have ended since the first look.
        let next = state.completed.pop_front();
        let former = if next.is_none() { fresh.and_then(|fresh| state.waker.replace(fresh)) } else { fresh };
        drop(state);
        drop(former);
        next
    }
}

impl<T: Send + 'static> AsCompleted<T> {
    /// Sets a time limit, counted from this call. Results that are there by then come first; each
    /// missing one is a [`TimeoutError`]. The tasks are not cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # selvedge::Runner::builder().virtual_time(true).run(async {
    /// let naps = [1, 3600].map(|n| selvedge::sleep(Duration::from_secs(n)));
    /// let mut results = selvedge::as_completed(naps).timeout(Duration::from_secs(2));
    /// assert!(results.next().await.unwrap().is_ok());
    /// assert!(results.next().await.unwrap().unwrap_err().is_timeout());
    /// assert!(results.next().await.is_none());
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> AsCompleted<T> {
        let after = |timeout| time::after(timeout).unwrap_or_else(|| time::to_ticks(timeout));
        self.deadline = timeout.into().map(after);
        self
    }

    /// Lets at most `most` children run at once, and starts the others in order as those end,
    /// whether their results are taken or not. [`Task`]s that were given are running already, and
    /// do not count.
    ///
    /// Call it on what [`as_completed`] has just returned: in the same poll, and before another
    /// task is created. For results in the order of the input:
    /// [`Gather::limit`](crate::Gather::limit).
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// async fn fetch(page: u32) -> selvedge::Result<u32> {
    ///     selvedge::sleep(std::time::Duration::from_millis(1)).await?;
    ///     Ok(page * page)
    /// }
    ///
    /// let mut pages = selvedge::as_completed((0..100).map(fetch)).limit(8);
    /// let mut sum = 0;
    /// while let Some(page) = pages.next().await {
    ///     sum += page?;
    /// }
    /// assert_eq!(sum, 328_350);
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// If `most` is zero, if there is a limit already, or if the children have started, because
    /// another task was created since or the poll has ended.
    ///
    /// # Cancellation
    ///
    /// A request ends the `next` that is awaited. The children go on, also after the drop, still at
    /// most `most` at once.
    #[track_caller]
    pub fn limit(mut self, most: usize) -> AsCompleted<T> {
        start::limit(&self.shared.start, most, self.tasks.len());
        self.is_started = true;
        self
    }

    /// Waits for the next result; `None` when all have been returned.
    #[expect(
        clippy::should_implement_trait,
        reason = "an asynchronous iterator is no iterator; streams call it `next` too"
    )]
    pub fn next(&mut self) -> NextCompleted<'_, T> {
        self.leaf = Leaf::new();
        NextCompleted(self)
    }

    #[track_caller]
    fn poll_result(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        poll_leaf(self, cx).map(|next| next.unwrap_or_else(|error| Some(Err(error))))
    }
}

impl<T: Send + 'static> LeafFuture for AsCompleted<T> {
    type Value = Option<Result<T>>;
    const NAME: &'static str = "selvedge::as_completed";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        self.tasks.iter().flatten().for_each(|task| notes.task(task.task_ref()));
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Value>> {
        if !std::mem::replace(&mut self.is_started, true) {
            self.shared.start.start_all();
        }
        if self.left == 0 {
            return Poll::Ready(Ok(None));
        }
        if let Some(index) = self.shared.take(cx.waker()) {
            self.left -= 1;
            let mut task = self.tasks[index].take().expect("each child ends once");
            return Poll::Ready(Ok(Some(task.try_take().unwrap_or_else(|| Err(task::result_was_taken())))));
        }
        let timer = self.deadline.map(|deadline| self.timer.poll_at(deadline, cx));
        if let Some(Poll::Ready(outcome)) = timer {
            self.left -= 1;
            return Poll::Ready(Err(
                outcome.map_or_else(|_| no_running_loop(), |()| TimeoutError::new().into())
            ));
        }
        Poll::Pending
    }
}

impl<T: Send + 'static> Stream for AsCompleted<T> {
    type Item = Result<T>;

    #[track_caller]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        let polled = this.poll_result(cx);
        if polled.is_ready() {
            this.leaf = Leaf::new();
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A request that ends a `next` is one more item.
        (self.left, None)
    }
}

impl<T: Send + 'static> Drop for AsCompleted<T> {
    fn drop(&mut self) {
        if !self.is_started {
            self.shared.start.start_all();
        }
    }
}

impl<T: Send + 'static> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The future of [`AsCompleted::next`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct NextCompleted<'a, T: Send + 'static>(&'a mut AsCompleted<T>);

impl<T: Send + 'static> Future for NextCompleted<'_, T> {
    type Output = Option<Result<T>>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().0.poll_result(cx)
    }
}
