//! How do several tasks run as a group that ends together and whose errors come out together?

mod members;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::ops::ControlFlow::{self, Break};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use self::members::Members;
use crate::cancel::{FramePoll, Leaf, ScopedFrame};
use crate::capture::Notes;
use crate::contain;
use crate::coroutine::Coroutine;
use crate::error::{CancelledError, Error, ExceptionGroup, Result};
use crate::event_loop::get_running_loop;
use crate::leaf::{LeafFuture, frame_polled, poll_leaf};
use crate::slot::TaskRefExt;
use crate::task::{Builder, Task, set_waits_for_request};

/// The name in call graphs.
const NAME: &str = "selvedge::task_group";

/// Runs `body` with a group of tasks, and waits until all of them have ended. asyncio's
/// `async with TaskGroup() as tg`.
///
/// The first task that fails cancels the other tasks and the body, and so does a body that fails.
/// When all have ended, their errors are returned together. A task that was only cancelled does not
/// count as failed. Tasks that hold a clone of the group may add tasks. The body runs in the
/// caller's task and may borrow.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let sum = selvedge::task_group(async |tg| {
///     let one = tg.create_task(async { Ok(1) });
///     let two = tg.create_task(async { Ok(2) });
///     Ok(one.await? + two.await?)
/// });
/// assert_eq!(sum.await?, 3);
///
/// let failed = selvedge::task_group(async |tg| {
///     tg.create_task(async { Err::<(), _>(selvedge::Error::msg("no")) });
///     selvedge::sleep(std::time::Duration::from_secs(60)).await
/// });
/// let error = failed.await.unwrap_err();
/// let group = error.downcast_ref::<selvedge::ExceptionGroup>().unwrap();
/// assert_eq!(group.single().unwrap().to_string(), "no");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`ExceptionGroup`] of what the tasks failed with, in the order in which they ended, and of the
/// body's error, last; a panic counts as the error [`PanicError`](crate::PanicError), the body's
/// too. Else the [`CancelledError`] of a request from further out.
///
/// After [`TaskGroup::cancel`] the block ends without an error if the body returns `Ok`, or if the
/// body's type is `()`. A body that passes the cancellation on and should have returned another
/// value has none, so the block ends with that cancellation.
///
/// # Cancellation
///
/// A request from further out cancels the body and all tasks, and is passed on when they have
/// ended. If a task fails meanwhile, the block returns the errors, and the request meets the next
/// await. If the block is dropped before it has ended, its tasks are cancelled but not waited for.
pub fn task_group<B, F, T>(body: B) -> TaskGroupBlock<B, F, T>
where
    B: FnOnce(TaskGroup) -> F,
    F: Future<Output = Result<T>>,
    T: 'static,
{
    TaskGroupBlock {
        start: Some(body),
        content: None,
        frame: ScopedFrame::new(),
        group: TaskGroup { members: Arc::new(Members::new()) },
        leaf: Leaf::new(),
        outcome: None,
        cancelled: None,
    }
}

/// A group, for its body and its tasks. Clones refer to the same group.
#[derive(Clone)]
pub struct TaskGroup {
    members: Arc<Members>,
}

impl TaskGroup {
    /// Starts a task in the group.
    ///
    /// Tasks own their data: they run on other threads, and the compiler does not know that the
    /// group outlives them, so a task cannot borrow from the body. Clone what several tasks need,
    /// or share it in an [`Arc`], and write `async move`.
    ///
    /// If the group is shutting down or has ended, the coroutine is dropped, and the task's result
    /// is a [`RuntimeError`](crate::RuntimeError) that says so.
    ///
    /// # Panics
    ///
    /// If no event loop is running on this thread.
    #[track_caller]
    pub fn create_task<C: Coroutine>(&self, coro: C) -> Task<C::Item> {
        self.create_task_with(Builder::new(), coro)
    }

    /// [`create_task`](Self::create_task) with a name, a context or an eager start.
    ///
    /// # Panics
    ///
    /// If no event loop is running on this thread.
    #[track_caller]
    pub fn create_task_with<C: Coroutine>(&self, builder: Builder, coro: C) -> Task<C::Item> {
        let created_at = Location::caller();
        let event_loop = get_running_loop().unwrap_or_else(|error| panic!("{error}"));
        let scheduler = event_loop.scheduler();
        let joining = match Members::join(&self.members) {
            Ok(joining) => joining,
            Err(error) => {
                contain::drop_flat(coro);
                let refused = builder.spawn_on(scheduler, async move { Err(error) }, created_at);
                refused.task_ref().task_slot().mark_retrieved();
                return refused;
            }
        };
        let task = builder.spawn_on(scheduler, coro, created_at);
        joining.admit(task.task_ref());
        task
    }

    /// Ends the group early: cancels the body and all tasks. The block ends without an error if
    /// nothing else fails. A second call, or a call after the group has ended, does nothing.
    /// asyncio has this since 3.15.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// selvedge::task_group(async |tg| {
    ///     tg.create_task(selvedge::sleep(std::time::Duration::MAX));
    ///     tg.cancel();
    ///     Ok(())
    /// })
    /// .await?;
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn cancel(&self) {
        self.members.shut_down();
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.members.fmt(f)
    }
}

pin_project! {
    /// The future of [`task_group`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct TaskGroupBlock<B, F, T> {
        // Until the first poll.
        start: Option<B>,
        // The body, until it has ended.
        #[pin]
        content: Option<F>,
        frame: ScopedFrame,
        group: TaskGroup,
        // The leaf of the wait for the tasks, once the body has ended.
        leaf: Leaf,
        outcome: Option<Result<T>>,
        // The cancellation to pass on when all have ended.
        cancelled: Option<Error>,
    }

    impl<B, F, T> PinnedDrop for TaskGroupBlock<B, F, T> {
        fn drop(this: Pin<&mut Self>) {
            // The block no longer waits, but its tasks must not go on uncancelled without it.
            this.group.members.shut_down();
        }
    }
}

impl<B, F, T> Future for TaskGroupBlock<B, F, T>
where
    B: FnOnce(TaskGroup) -> F,
    F: Future<Output = Result<T>>,
    T: 'static,
{
    type Output = Result<T>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.as_mut().enter(cx);
        if self.outcome.is_none() && self.as_mut().poll_body(cx).is_pending() {
            return frame_polled(Poll::Pending, NAME, |notes| self.group.members.note(notes));
        }
        let this = self.project();
        let (frame, group, leaf) = (this.frame, &*this.group, this.leaf);
        poll_leaf(
            &mut WaitForTasks { frame, group, leaf, outcome: this.outcome, cancelled: this.cancelled },
            cx,
        )
    }
}

impl<B, F, T> TaskGroupBlock<B, F, T>
where
    B: FnOnce(TaskGroup) -> F,
    F: Future<Output = Result<T>>,
    T: 'static,
{
    /// The members must have the waker and the scope of this poll before their state is read.
    fn enter(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.as_mut().project();
        let scope = this.frame.enter();
        if this.group.members.attach(scope, cx.waker()) {
            this.frame.note_request();
        }
        if let Some(body) = this.start.take() {
            let group = this.group.clone();
            match contain::call(|| body(group)) {
                Ok(content) => this.content.set(Some(content)),
                Err(panic) => self.end_body(Err(panic.into())),
            }
        }
    }

    fn poll_body(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.as_mut().project();
        let mut content =
            this.content.as_mut().as_pin_mut().expect("a task group was polled after it had ended");
        let result = match contain::call(|| this.frame.poll(cx, |cx| content.as_mut().poll(cx))) {
            Ok(FramePoll::Ready(result)) => result,
            Ok(FramePoll::GiveUp(error)) => Err(error.into()),
            Ok(FramePoll::Pending) => return Poll::Pending,
            // The tasks must be waited for even after a panic.
            Err(panic) => Err(panic.into()),
        };
        let dropped = contain::call(|| this.content.set(None));
        self.end_body(dropped.map_err(Error::from).and(result));
        Poll::Ready(())
    }

    fn end_body(self: Pin<&mut Self>, result: Result<T>) {
        let this = self.project();
        if this.group.members.is_shutting_down() {
            this.frame.note_request();
        }
        if let Err(error) = &result {
            let is_ours = error.is_cancelled() && this.frame.owns_cancellation();
            if error.is_cancelled() && !is_ours {
                *this.cancelled = Some(error.clone());
            }
            this.group.members.shut_down();
        }
        this.group.members.body_ended();
        *this.outcome = Some(result);
    }
}

/// The wait for the tasks, once the body has ended.
struct WaitForTasks<'a, T> {
    frame: &'a mut ScopedFrame,
    group: &'a TaskGroup,
    leaf: &'a mut Leaf,
    outcome: &'a mut Option<Result<T>>,
    cancelled: &'a mut Option<Error>,
}

impl<T: 'static> LeafFuture for WaitForTasks<'_, T> {
    type Value = T;
    const NAME: &'static str = NAME;

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        self.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        self.group.members.note(notes);
    }

    fn poll_value(&mut self, _cx: &mut Context<'_>) -> Poll<Result<T>> {
        if self.group.members.try_finish() { Poll::Ready(self.finish()) } else { Poll::Pending }
    }

    /// Cancels the tasks with the request, and goes on waiting for them.
    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<T>>> {
        if let Some(taken) = self.leaf.take(cx) {
            let message = taken.error.clone().into_message();
            self.cancelled.get_or_insert_with(|| taken.error.into());
            self.group.members.shut_down_with(message);
        }
        if self.group.members.try_finish() {
            return Break(Poll::Ready(self.finish()));
        }
        self.leaf.suspend(cx);
        set_waits_for_request(self.group.members.is_shutting_down());
        Break(Poll::Pending)
    }
}

impl<T: 'static> WaitForTasks<'_, T> {
    /// All tasks have ended.
    fn finish(&mut self) -> Result<T> {
        set_waits_for_request(false);
        let outcome = self.outcome.take().expect("the body has ended");
        let mut errors = self.group.members.take_errors();
        let body = match outcome {
            Err(error) if !error.is_cancelled() => {
                // A body that passes on a task's error adds no error of its own.
                if !errors.iter().any(|known: &Error| known.is_same(&error)) {
                    errors.push(error);
                }
                None
            }
            Err(_) => None,
            Ok(value) => Some(value),
        };
        if !errors.is_empty() {
            // The errors are returned instead of the body's value.
            contain::drop_flat(body);
            if self.cancelled.is_some() {
                self.frame.give_back_what_came_from_outside();
            }
            return Err(ExceptionGroup::new("unhandled errors in a TaskGroup", errors).into());
        }
        match (self.cancelled.take(), body) {
            (Some(error), _) => Err(error),
            (None, Some(value)) => Ok(value),
            (None, None) => {
                nothing().ok_or_else(|| CancelledError::with_message("the task group was cancelled").into())
            }
        }
    }
}

/// The value of a body that was cut short: there is one only if its type is `()`.
fn nothing<T: 'static>() -> Option<T> {
    let mut nothing = Some(());
    (&mut nothing as &mut dyn Any).downcast_mut::<Option<T>>()?.take()
}

impl<B, F, T> fmt::Debug for TaskGroupBlock<B, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroupBlock").field("group", &self.group).finish_non_exhaustive()
    }
}
