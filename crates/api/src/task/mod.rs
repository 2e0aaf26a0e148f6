//! What is a task, seen from the program that created it?

mod body;
mod builder;
mod completion;
mod held_children;
mod introspect;
mod methods;
mod on_loop;

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::ops::ControlFlow::{self, Break, Continue};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use selvedge_scheduler::{JoinHandle, Scheduler, TaskRef};

pub(crate) use self::body::{Ended, TaskBody};
pub use self::builder::Builder;
pub(crate) use self::completion::{notify, stop_notifying};
#[doc(hidden)]
pub use self::held_children::HeldChildren;
pub use self::introspect::{all_tasks, current_task};
pub use self::methods::Coro;
pub use crate::slot::{CallbackId, TaskHandle, TaskId};

use crate::cancel::{Leaf, Outside, Passed};
use crate::capture::{self, Notes};
use crate::context::OutsideContext;
use crate::context_var::current_bindings;
use crate::coroutine::Coroutine;
use crate::error::{InvalidStateError, Result, RuntimeError, no_running_loop};
use crate::leaf::{LeafFuture, poll_leaf};
use crate::request::Meeting;
use crate::slot::{PassedOn, TaskRefExt, TaskSlot};
use crate::start::start_held;

/// A coroutine that runs on its own, and the right to its result.
///
/// Awaiting it returns what the coroutine returned. `task.await` moves the result out;
/// `(&mut task).await` keeps the handle. Dropping a `Task` detaches: the task lives on, owned by
/// its loop. (asyncio's loop holds tasks weakly, so a forgotten task may vanish there. Not here.)
///
/// A value that was not taken is dropped with the task's last owner: its loop or this handle. If
/// its destructor panics, the panic is caught, because the panic hook has reported it: the code
/// that drops a `Task` goes on. A panic in a destructor of the coroutine is the task's error. Tasks
/// may form a long chain, in which each is the value of another or is captured by it. Such a chain
/// is dropped without recursion.
///
/// # Examples
///
/// ```
/// use selvedge::{create_task, sleep};
///
/// # selvedge::run(async {
/// let mut task = create_task(sleep(std::time::Duration::from_millis(1)).returning(42));
/// assert!(task.result().is_err()); // Not yet.
/// assert_eq!((&mut task).await?, 42);
/// assert!(task.done() && !task.cancelled());
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Cancellation
///
/// A request that reaches the await of a task is passed on to that task, message and all; the await
/// goes on until the task ends and returns what it ended with. [`shield`](crate::shield) stops
/// this. If the task ends by itself without having seen the request, the await returns its result,
/// and the request reaches the next await: neither is lost.
///
/// Tasks that await each other in a circle never end by themselves. A request is passed round such
/// a circle once. The task that awaits the one where the request began takes it.
///
/// # Errors
///
/// What the coroutine returned; [`CancelledError`](crate::CancelledError) if it was cancelled or
/// its loop was closed; [`PanicError`](crate::PanicError) if it panicked; [`RuntimeError`] if a
/// task awaits itself; [`InvalidStateError`] if the result was moved out before.
pub struct Task<T: Send + 'static> {
    /// What its await remembers lies in the task's cell: `leaf()`.
    join: JoinHandle<Ended<T>, Leaf>,
}

/// Starts a coroutine as a task of the running loop.
///
/// The coroutine starts soon, on any worker; it may have ended before this returns (asyncio's
/// starts at the caller's next await). It inherits the caller's [context](crate::ContextVar).
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let task = selvedge::create_task(async { Ok(6 * 7) });
/// assert_eq!(task.await?, 42);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// The compiler cannot infer the result type of an `async` block that ends with a `loop` which only
/// an error ends. End such a block with `#[expect(unreachable_code)] Ok(())`, or make it an
/// `async fn … -> selvedge::Result<()>`.
///
/// # Panics
///
/// If no event loop is running on this thread; [`try_create_task`] returns an error instead.
///
/// # Cancellation
///
/// [`Task::cancel`] before the first step means that the body never runs; what it captured is dropped.
#[track_caller]
pub fn create_task<C: Coroutine>(coro: C) -> Task<C::Item> {
    match try_create_task(coro) {
        Ok(task) => task,
        Err(error) => panic!("{error}"),
    }
}

/// [`create_task`] for code that does not know whether a loop is running. asyncio's `create_task`
/// raises this error.
///
/// # Examples
///
/// ```
/// let error = selvedge::try_create_task(async { Ok(42) }).unwrap_err();
/// assert_eq!(error.to_string(), "no running event loop");
/// ```
///
/// # Errors
///
/// [`RuntimeError`] "no running event loop".
#[track_caller]
pub fn try_create_task<C: Coroutine>(coro: C) -> Result<Task<C::Item>> {
    let created_at = Location::caller();
    Scheduler::with_current(|scheduler| match scheduler {
        Some(scheduler) => Ok(spawn_on(scheduler, coro, new_slot(created_at))),
        None => Err(no_running_loop()),
    })
}

/// Returns `coro_or_task` as a task if it is one, else as the coroutine that it is.
pub(crate) fn given_task<C: Coroutine>(coro_or_task: C) -> std::result::Result<Task<C::Item>, C> {
    // A `Task` is a coroutine too. Which of the two it is, is known at compile time. The `Option`
    // lets the value be moved out of the reference.
    let mut given = Some(coro_or_task);
    if let Some(task) = (&mut given as &mut dyn Any).downcast_mut::<Option<Task<C::Item>>>() {
        return Ok(task.take().expect("it was put there above"));
    }
    Err(given.expect("it was put there above"))
}

/// The slot of a task that is created here.
pub(crate) fn new_slot(created_at: &'static Location<'static>) -> TaskSlot {
    TaskSlot::new(created_at, current_bindings())
}

/// Starts a coroutine on a given scheduler.
pub(crate) fn spawn_on<C: Coroutine>(scheduler: &Scheduler, coro: C, slot: TaskSlot) -> Task<C::Item> {
    start_held();
    Task { join: scheduler.spawn(TaskBody::new(coro), slot) }
}

/// [`create_task`], but the task is held before its first step, until its
/// [`Start`](crate::start::Start) lets it begin.
#[track_caller]
fn create_held<C: Coroutine>(coro: C) -> Task<C::Item> {
    let slot = new_slot(Location::caller());
    slot.requests().hold();
    Scheduler::with_current(|scheduler| match scheduler {
        Some(scheduler) => Task { join: scheduler.spawn_suspended(TaskBody::new(coro), slot) },
        None => panic!("{}", no_running_loop()),
    })
}

thread_local! {
    /// How many first steps of eager tasks are nested on this thread's stack.
    static EAGER: Cell<usize> = const { Cell::new(0) };
}

/// Eager tasks that start eager tasks in their first steps share one stack. A task that would be
/// nested deeper than this is queued instead.
const MOST_EAGER: usize = 50;

/// One nested first step.
struct EagerStep(usize);

impl EagerStep {
    fn enter() -> Option<EagerStep> {
        let depth = EAGER.get();
        (depth < MOST_EAGER).then(|| EagerStep(EAGER.replace(depth + 1)))
    }
}

impl Drop for EagerStep {
    fn drop(&mut self) {
        EAGER.set(self.0);
    }
}

/// [`spawn_on`], but on one of the scheduler's workers the first step happens inside this call.
fn spawn_eager_on<C: Coroutine>(scheduler: &Scheduler, coro: C, slot: TaskSlot) -> Task<C::Item> {
    start_held();
    let Some(_step) = EagerStep::enter() else { return spawn_on(scheduler, coro, slot) };
    // The new task's first poll lies inside its creator's, but in none of the creator's scopes and contexts.
    let _scopes = Outside::step();
    let _context = OutsideContext::step();
    let _no_capture = capture::Paused::step();
    Task { join: scheduler.spawn_eager(TaskBody::new(coro), slot) }
}

impl<T: Send + 'static> From<&Task<T>> for TaskHandle {
    fn from(task: &Task<T>) -> TaskHandle {
        task.handle()
    }
}

impl<T: Send + 'static> Task<T> {
    /// Gives the task a name, for messages and listings. asyncio's `create_task(coro, name=…)`.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// let task = selvedge::create_task(async { Ok(42) }).named("answer");
    /// assert_eq!(task.get_name(), "answer");
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    #[expect(clippy::return_self_not_must_use, reason = "a named task may be left to itself like any other")]
    pub fn named(self, name: impl Into<String>) -> Task<T> {
        self.set_name(name);
        self
    }

    /// What the task returned, without waiting and without moving the value out.
    ///
    /// # Errors
    ///
    /// The task's own error, which counts as retrieved then;
    /// [`CancelledError`](crate::CancelledError) if it was cancelled; [`InvalidStateError`] if it
    /// is not done, or the result was moved out by awaiting it. (asyncio's result can be taken any
    /// number of times.)
    pub fn result(&self) -> Result<&T> {
        match self.join.peek() {
            Some(Ended(Ok(value))) => Ok(value),
            Some(Ended(Err(error))) => {
                self.task_ref().task_slot().mark_retrieved();
                Err(error.clone())
            }
            None if !self.done() => Err(InvalidStateError::new("Result is not set.").into()),
            None => Err(result_was_taken()),
        }
    }

    pub(crate) fn task_ref(&self) -> &TaskRef {
        self.join.task()
    }

    /// Waits for the task's end without passing requests on.
    pub(crate) fn poll_join(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.join
            .poll_join(cx)
            .map(|ended| ended.map_or_else(|| Err(result_was_taken()), |Ended(result)| result))
    }

    /// Takes the result if the task is done and it was not taken before.
    pub(crate) fn try_take(&mut self) -> Option<Result<T>> {
        self.join.try_take().map(|Ended(result)| result)
    }

    /// Called when the task is done. If it ended without having seen the request that was passed on
    /// to it, that request is given back, for the next await.
    fn settle_passed_on(&mut self, result: &Result<T>) {
        if let Some(passed) = self.leaf().take_passed_on() {
            if passed.held.route().is_of_shutdown() {
                set_waits_for_request(false);
            }
            let is_unseen = self.task_ref().task_slot().requests().load().is_pending();
            let is_cancelled = result.as_ref().is_err_and(crate::Error::is_cancelled);
            if is_unseen && !is_cancelled {
                self.leaf().give_back(passed.to);
            }
        }
    }
}

/// Notes whether the current task waits for tasks to which it has passed a shutdown's request on.
pub(crate) fn set_waits_for_request(waits: bool) {
    TaskRef::with_current(|task| {
        if let Some(slot) = task.and_then(TaskRef::slot::<TaskSlot>) {
            slot.set_waits_for_request(waits);
        }
    });
}

pub(crate) fn result_was_taken() -> crate::Error {
    InvalidStateError::new("the task's result was moved out before").into()
}

impl<T: Send + 'static> Future for Task<T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<T: Send + 'static> LeafFuture for Task<T> {
    type Value = T;
    const NAME: &'static str = "selvedge::Task";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        self.join.data()
    }

    fn awaits(&self, notes: &mut Notes) {
        notes.task(self.task_ref());
    }

    #[inline]
    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if let Poll::Ready(result) = self.poll_join(cx) {
            self.settle_passed_on(&result);
            return Poll::Ready(result);
        }
        if TaskRef::with_current(|current| current == Some(self.task_ref())) {
            let name = self.get_name();
            return Poll::Ready(
                Err(RuntimeError::new(format!("Task cannot await on itself: {name}")).into()),
            );
        }
        Poll::Pending
    }

    /// Passes a request on to the task, and goes on waiting.
    #[inline]
    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<T>>> {
        // The request is taken before it is passed on. If two tasks pass requests to each other at
        // the same time, each then meets the other's request as a new one. If each only looked at
        // its request first, both could join a request that is about to be delivered, and no await
        // would take it.
        let Some(taken) = self.leaf().take(cx) else { return Break(Poll::Pending) };
        if let Some(passed) = self.leaf().passed_on() {
            match taken.meet(&passed.held) {
                Meeting::Late => {}
                Meeting::Circle => return Break(Poll::Ready(Err(taken.error.into()))),
                Meeting::Joined => {
                    passed.to.add(taken.to);
                    taken.route.join();
                    self.leaf().suspend(cx);
                    return Break(Poll::Pending);
                }
            }
        }
        match self.task_ref().pass_on(taken.route.route(), &taken.error) {
            PassedOn::Delivered => {
                if taken.route.route().is_of_shutdown() {
                    set_waits_for_request(true);
                }
                let passed = Passed { to: taken.to, held: taken.route.keep() };
                self.leaf().set_passed_on(passed);
                self.leaf().suspend(cx);
                Break(Poll::Pending)
            }
            PassedOn::TooLate => {
                self.leaf().give_back(taken.to);
                Continue(())
            }
            PassedOn::Circle => Break(Poll::Ready(Err(taken.error.into()))),
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task_ref().describe(f)
    }
}
