//! How does a thread outside the loop start a coroutine and wait for it?

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use selvedge_scheduler::{Scheduler, TaskRef};

use super::spin;
use crate::contain::drop_flat;
use crate::coroutine::Coroutine;
use crate::error::{EVENT_LOOP_IS_CLOSED, Error, InvalidStateError, Result, RuntimeError, TimeoutError};
use crate::event_loop::EventLoop;
use crate::slot::{CallbackId, TaskHandle, TaskRefExt};
use crate::sync::{Instant, Mutex, MutexGuard, Thread, park, thread, thread_locals};
use crate::task::{self, Task};

/// Starts a coroutine on a loop, from any thread. The loop must be running: pass the thread the
/// result of [`get_running_loop`](crate::get_running_loop), or use
/// [`Runner::get_loop`](crate::Runner::get_loop).
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let event_loop = selvedge::get_running_loop()?;
/// let there = std::thread::spawn(move || {
///     selvedge::run_coroutine_threadsafe(async { Ok(42) }, &event_loop).result(None)
/// });
/// assert_eq!(selvedge::to_thread(|| there.join()).await?.unwrap()?, 42);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// If the loop is closed, or is being closed and the caller is not one of its threads, the
/// coroutine never starts, and the future's result is a [`RuntimeError`] "Event loop is closed".
#[track_caller]
pub fn run_coroutine_threadsafe<C: Coroutine>(coro: C, event_loop: &EventLoop) -> ConcurrentFuture<C::Item> {
    if event_loop.refuses() {
        return ConcurrentFuture::failed(RuntimeError::new(EVENT_LOOP_IS_CLOSED).into());
    }
    let slot = task::new_slot(Location::caller());
    ConcurrentFuture::of(task::spawn_on(event_loop.scheduler(), coro, slot))
}

/// A coroutine that runs on a loop, held by a thread that can wait for it: Python's
/// `concurrent.futures.Future`.
///
/// The coroutine continues when this is dropped.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runner = selvedge::Runner::builder().workers(1).build()?;
/// let slow = selvedge::run_coroutine_threadsafe(selvedge::sleep(Duration::MAX), &runner.get_loop());
/// assert!(slow.result(Duration::from_millis(1)).unwrap_err().is_timeout());
/// assert!(slow.cancel());
/// assert!(slow.result(None).unwrap_err().is_cancelled());
/// # Ok::<(), selvedge::Error>(())
/// ```
///
/// A value that was never taken is dropped with the last of this and the task. If its destructor
/// panics, the panic ends there, as with [`Task`].
#[must_use = "dropping this loses the coroutine's result; say `drop(future)` if that is meant"]
pub struct ConcurrentFuture<T: Send + 'static> {
    /// `None` if the loop was closed before the coroutine could start.
    task: Option<TaskRef>,
    /// Locked by the waiting thread for the whole wait: a task has space for only one waker.
    state: Mutex<State<T>>,
}

struct State<T: Send + 'static> {
    task: Option<Task<T>>,
    /// The result, moved out of the task and not taken yet.
    result: Option<Result<T>>,
}

impl<T: Send + 'static> Drop for State<T> {
    fn drop(&mut self) {
        // As in a task, a panic of the value's destructor ends here.
        drop_flat(self.result.take());
    }
}

impl<T: Send + 'static> ConcurrentFuture<T> {
    fn of(task: Task<T>) -> ConcurrentFuture<T> {
        let reference = task.task_ref().clone();
        ConcurrentFuture {
            task: Some(reference),
            state: Mutex::new(State { task: Some(task), result: None }),
        }
    }

    fn failed(error: Error) -> ConcurrentFuture<T> {
        ConcurrentFuture { task: None, state: Mutex::new(State { task: None, result: Some(Err(error)) }) }
    }

    /// Blocks until the coroutine ends, for at most `timeout`, and returns its result. The result
    /// is moved out. `None` waits without a limit; zero does not wait. The timeout is real time,
    /// also where the loop's time is virtual.
    ///
    /// # Errors
    ///
    /// [`TimeoutError`] if it takes longer (the coroutine continues); the error with which the
    /// coroutine failed; [`InvalidStateError`] if the result was moved out before; [`RuntimeError`]
    /// if called on a worker thread of a loop before the result is there: blocking a worker on a
    /// task is a deadlock, which asyncio does not detect. Await the task there instead.
    pub fn result(&self, timeout: impl Into<Option<Duration>>) -> Result<T> {
        self.wait(timeout.into())?.result.take().unwrap_or_else(|| Err(task::result_was_taken()))
    }

    /// Waits as [`result`](Self::result) does, and returns only the error; `None` if the coroutine
    /// succeeded. The result stays.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError) if it was cancelled; else as for
    /// [`result`](Self::result).
    pub fn exception(&self, timeout: impl Into<Option<Duration>>) -> Result<Option<Error>> {
        let state = self.wait(timeout.into())?;
        match (&state.result, &self.task) {
            (Some(Err(error)), _) if error.is_cancelled() => Err(error.clone()),
            (Some(result), _) => Ok(result.as_ref().err().cloned()),
            (None, Some(task)) => task.exception(),
            (None, None) => Ok(None),
        }
    }

    /// Requests the cancellation of the coroutine; false if it has ended. Unlike Python's, the
    /// future counts as cancelled only when the coroutine has ended with that error.
    pub fn cancel(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.cancel(None))
    }

    /// Whether the coroutine has ended, in any way.
    pub fn done(&self) -> bool {
        self.task.as_ref().is_none_or(TaskRef::is_done)
    }

    /// Whether the coroutine was cancelled.
    pub fn cancelled(&self) -> bool {
        self.task.as_ref().is_some_and(TaskRefExt::ended_cancelled)
    }

    /// Whether it is too late to cancel although the coroutine has not ended: never, as in asyncio.
    pub fn running(&self) -> bool {
        false
    }

    /// Calls `f` in the loop once the coroutine has ended; see [`Task::add_done_callback`].
    ///
    /// # Errors
    ///
    /// [`InvalidStateError`] if the loop was closed before the coroutine could start: no loop could
    /// call `f`.
    pub fn add_done_callback(&self, f: impl FnOnce(&TaskHandle) + Send + 'static) -> Result<CallbackId> {
        match &self.task {
            Some(task) => Ok(TaskHandle::new(task.clone()).add_done_callback(f)),
            None => Err(InvalidStateError::new(EVENT_LOOP_IS_CLOSED).into()),
        }
    }

    /// Waits until the result is in the state, or has been taken from it.
    fn wait(&self, timeout: Option<Duration>) -> Result<MutexGuard<'_, State<T>>> {
        // A timeout that the clock cannot represent counts as no timeout.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if !self.done() {
            if Scheduler::current_worker().is_some() {
                let message =
                    "ConcurrentFuture.result() was called on a worker thread; await the task instead";
                return Err(RuntimeError::new(message).into());
            }
            spin::until(|| self.done());
        }
        let mut state = match deadline {
            None => self.state.lock(),
            Some(deadline) => self.state.try_lock_until(deadline).ok_or_else(TimeoutError::new)?,
        };
        if let Some(task) = &mut state.task {
            let result = block_on(task, deadline)?;
            state.task = None;
            state.result = Some(result);
        }
        Ok(state)
    }
}

impl<T: Send + 'static> fmt::Debug for ConcurrentFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrentFuture").field("done", &self.done()).finish_non_exhaustive()
    }
}

/// Blocks this thread until the task ends.
pub(crate) fn block_on<T: Send + 'static>(
    task: &mut Task<T>,
    deadline: Option<Instant>,
) -> Result<Result<T>> {
    let waker = thread_waker();
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = task.poll_join(&mut cx) {
            return Ok(result);
        }
        // If a wake comes between the poll and the parking, the parking returns at once. Other
        // wakes of this thread only cause another poll.
        match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            Some(left) if left.is_zero() => return Err(TimeoutError::new().into()),
            limit => park(limit),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns this thread's waker, which serves all its waits. A thread that is ending has none any
/// more and gets a new waker for each wait.
fn thread_waker() -> Waker {
    thread_locals! {
        static WAKER: Waker = new_waker();
    }
    WAKER.try_with(Waker::clone).unwrap_or_else(|_| new_waker())
}

fn new_waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}
