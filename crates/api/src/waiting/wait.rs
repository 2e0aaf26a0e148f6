//! How does a coroutine wait for some of several tasks, without taking their results?

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use selvedge_scheduler::{Moment, TaskRef, Timer};

use crate::cancel::Leaf;
use crate::capture::Notes;
use crate::contain::wake_quietly;
use crate::error::{Result, RuntimeError, no_running_loop};
use crate::leaf::{LeafFuture, poll_leaf};
use crate::slot::{Notify, TaskHandle, TaskRefExt, WatcherId};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, lock_to_wait};
use crate::task::{Task, notify, stop_notifying};
use crate::time;

/// When [`wait`] returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReturnWhen {
    /// When a task ends, in whatever way.
    FirstCompleted,
    /// When a task fails, or all have ended. A cancelled task has not failed.
    FirstException,
    /// When all have ended.
    #[default]
    AllCompleted,
}

/// asyncio's name for [`ReturnWhen::FirstCompleted`].
pub const FIRST_COMPLETED: ReturnWhen = ReturnWhen::FirstCompleted;
/// asyncio's name for [`ReturnWhen::FirstException`].
pub const FIRST_EXCEPTION: ReturnWhen = ReturnWhen::FirstException;
/// asyncio's name for [`ReturnWhen::AllCompleted`].
pub const ALL_COMPLETED: ReturnWhen = ReturnWhen::AllCompleted;

/// What can be waited for: tasks, references to them, and [`TaskHandle`]s, for tasks of different
/// types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be waited for",
    note = "`wait` takes `Task`s, `&Task`s or `TaskHandle`s; make a coroutine a task with `create_task`"
)]
pub trait Waitable {
    /// The task.
    #[doc(hidden)]
    fn waitable(&self) -> Watched<'_>;
}

/// Keeps the scheduler's type out of the public trait.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "nobody outside holds one")]
pub struct Watched<'a>(&'a TaskRef);

impl<T: Send + 'static> Waitable for Task<T> {
    fn waitable(&self) -> Watched<'_> {
        Watched(self.task_ref())
    }
}

impl Waitable for TaskHandle {
    fn waitable(&self) -> Watched<'_> {
        Watched(self.task_ref())
    }
}

impl<W: Waitable> Waitable for &W {
    fn waitable(&self) -> Watched<'_> {
        (**self).waitable()
    }
}

/// Waits for tasks, and returns those that are done and those that are not, each in the order of
/// the input. A task that is given twice counts once.
///
/// Nothing is cancelled, and no result is taken: the tasks are returned as they are. Their errors
/// do not count as retrieved. (asyncio returns sets, which have no order.)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use selvedge::{FIRST_COMPLETED, create_task, sleep, wait};
///
/// # selvedge::run(async {
/// let quick = create_task(async { Ok(1) });
/// let slow = create_task(sleep(Duration::from_secs(60)).returning(2));
/// let (mut done, pending) = wait([quick, slow]).return_when(FIRST_COMPLETED).await?;
/// assert_eq!(done.remove(0).await?, 1);
/// assert_eq!(pending.len(), 1);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`RuntimeError`] if there is nothing to wait for, or if there is a timeout and no event loop;
/// [`CancelledError`](crate::CancelledError).
///
/// # Cancellation
///
/// A request ends the await; the tasks are not touched. To keep them, wait for references or
/// handles.
pub fn wait<W: Waitable>(tasks: impl IntoIterator<Item = W>) -> Wait<W> {
    Wait {
        tasks: tasks.into_iter().collect(),
        return_when: ReturnWhen::default(),
        timeout: None,
        deadline: None,
        timer: Timer::new(),
        shared: None,
        known_as: Vec::new(),
        leaf: Leaf::new(),
    }
}

/// The future of [`wait`].
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<W: Waitable> {
    tasks: Vec<W>,
    return_when: ReturnWhen,
    timeout: Option<Duration>,
    deadline: Option<Moment>,
    timer: Timer,
    /// From the first poll on.
    shared: Option<Arc<Shared>>,
    /// For each task: its registration of this wait.
    known_as: Vec<WatcherId>,
    leaf: Leaf,
}

struct Shared {
    return_when: ReturnWhen,
    unfinished: AtomicUsize,
    is_over: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Notify for Shared {
    fn notify(&self, _index: usize, task: &TaskRef) {
        // Ordering: AcqRel: the last task to count passes on what the others published.
        let is_last = self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1;
        let ends_it = match self.return_when {
            ReturnWhen::FirstCompleted => true,
            ReturnWhen::FirstException => task.failure().is_some_and(|error| !error.is_cancelled()),
            ReturnWhen::AllCompleted => false,
        };
        if is_last || ends_it {
            // Ordering: Release, with `is_over`.
            self.is_over.store(true, Ordering::Release);
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                wake_quietly(waker);
            }
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        // Ordering: Acquire, with `notify`.
        self.is_over.load(Ordering::Acquire)
    }

    fn register(&self, waker: &Waker) {
        let (fresh, mut known) = lock_to_wait(&self.waker, waker, Option::as_ref);
        let former = fresh.and_then(|fresh| known.replace(fresh));
        drop(known);
        drop(former);
    }
}

impl<W: Waitable> Wait<W> {
    /// Sets a time limit, counted from the first poll. When it has passed, the wait returns with
    /// what is done by then, and no error; `None` waits for as long as it takes. Zero lets other
    /// tasks run once.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Wait<W> {
        self.timeout = timeout.into();
        self
    }

    /// When to return. Default: when all have ended.
    pub fn return_when(mut self, return_when: ReturnWhen) -> Wait<W> {
        self.return_when = return_when;
        self
    }

    /// Registers this wait with each task.
    fn start(&mut self) -> Result<&Arc<Shared>> {
        let mut seen = HashSet::new();
        self.tasks.retain(|task| seen.insert(task.waitable().0.clone()));
        if self.tasks.is_empty() {
            return Err(RuntimeError::new("Set of Tasks/Futures is empty.").into());
        }
        if let Some(timeout) = self.timeout {
            self.deadline = Some(time::after(timeout).ok_or_else(no_running_loop)?);
        }
        let shared = Arc::new(Shared {
            return_when: self.return_when,
            unfinished: AtomicUsize::new(self.tasks.len()),
            is_over: AtomicBool::new(false),
            waker: Mutex::new(None),
        });
        let tell = |task: &W| notify(task.waitable().0, Arc::clone(&shared) as Arc<dyn Notify>, 0);
        self.known_as = self.tasks.iter().map(tell).collect();
        Ok(self.shared.insert(shared))
    }

    fn split(&mut self) -> (Vec<W>, Vec<W>) {
        self.stop();
        std::mem::take(&mut self.tasks).into_iter().partition(|task| task.waitable().0.is_done())
    }

    /// A task that outlives many waits must not keep a registration of each of them.
    fn stop(&mut self) {
        self.shared = None;
        for (task, known_as) in self.tasks.iter().zip(std::mem::take(&mut self.known_as)) {
            if !task.waitable().0.is_done() {
                stop_notifying(task.waitable().0, known_as);
            }
        }
    }
}

// The tasks are never pinned.
impl<W: Waitable> Unpin for Wait<W> {}

impl<W: Waitable> Future for Wait<W> {
    type Output = Result<(Vec<W>, Vec<W>)>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<W: Waitable> LeafFuture for Wait<W> {
    type Value = (Vec<W>, Vec<W>);
    const NAME: &'static str = "selvedge::wait";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        self.tasks.iter().for_each(|task| notes.task(task.waitable().0));
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::Value>> {
        let is_first = self.shared.is_none();
        let shared = match &self.shared {
            Some(shared) => shared,
            None => match self.start() {
                Ok(shared) => shared,
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        shared.register(cx.waker());
        if shared.is_over() {
            return Poll::Ready(Ok(self.split()));
        }
        let timer = self.deadline.map(|deadline| self.timer.poll_at(deadline, cx));
        if let Some(Poll::Ready(Ok(()))) = timer {
            if !is_first {
                return Poll::Ready(Ok(self.split()));
            }
            // A timeout of zero still lets the other tasks run once.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<W: Waitable> Drop for Wait<W> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<W: Waitable> fmt::Debug for Wait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Runner, create_task, sleep};

    #[test]
    fn a_task_forgets_the_waits_that_are_over() {
        let outcome = Runner::builder().workers(1).virtual_time(true).run(async {
            let task = create_task(sleep(Duration::MAX));
            for _ in 0..10 {
                let (_, pending) = wait([&task]).timeout(Duration::from_millis(1)).await?;
                assert_eq!(pending.len(), 1);
                drop(wait([&task]));
            }
            let dropped = crate::wait_for(wait([&task]), Duration::from_millis(1)).await;
            assert!(dropped.unwrap_err().is_timeout());
            Ok(task.task_ref().task_slot().extra().watcher_count())
        });
        assert_eq!(outcome.unwrap(), 0);
    }
}
