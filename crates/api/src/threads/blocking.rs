//! How does a coroutine call a blocking function?

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow::{self, Break};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use selvedge_scheduler::Scheduler;

use crate::cancel::Leaf;
use crate::contain::{self, Contained, drop_flat};
use crate::context_var::copy_context;
use crate::error::{EVENT_LOOP_IS_CLOSED, Error, InvalidStateError, Result, RuntimeError, no_running_loop};
use crate::event_loop::counted;
use crate::leaf::{LeafFuture, poll_leaf};
use crate::sync::{Mutex, lock_to_wait};

/// Calls a function that blocks, or computes for long, on a thread of the pool, in a copy of the
/// caller's context.
///
/// The call is queued at the first poll. The function's return value is the value of the await, so
/// a function that returns a `Result` takes two `?`. The number of functions that run at the same
/// time is limited: [`max_blocking_threads`](crate::RunnerBuilder::max_blocking_threads). A
/// function that computes for long can also be called in a task: other threads then take over the
/// other tasks of its worker.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let sum: u64 = selvedge::to_thread(|| (1..=1000).sum()).await?;
/// assert_eq!(sum, 500_500);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`PanicError`](crate::PanicError) if the function panicked; [`RuntimeError`] outside of a loop,
/// on a closed one, or if the system refuses a thread; [`InvalidStateError`] if it is awaited again
/// after it has ended.
///
/// # Cancellation
///
/// Ends the await at once. A function that has not started is not called. A running function cannot
/// be stopped: it continues, and its value is dropped.
///
/// While a function runs, a loop in [virtual time](crate::RunnerBuilder::virtual_time) does not
/// move its clock, so such a function must not wait for a sleep of that loop.
///
/// Closing the loop waits for running functions, but no longer than the [shutdown
/// timeout](crate::RunnerBuilder::shutdown_timeout). After that the exception handler gets the
/// number of functions that still run, and their threads are left behind: they end with the
/// program.
pub fn to_thread<F, T>(f: F) -> ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    ToThread { state: State::New(Some(f)) }
}

/// The future of [`to_thread`].
#[must_use = "futures do nothing unless awaited"]
pub struct ToThread<F, T: Send + 'static> {
    state: State<F, T>,
}

enum State<F, T: Send + 'static> {
    New(Option<F>),
    Started(BlockingTask<T>),
}

// Neither the function nor its value is ever pinned.
impl<F, T: Send + 'static> Unpin for ToThread<F, T> {}

impl<F, T> Future for ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        if let State::New(function) = &mut this.state {
            let function = function.take().expect("`ToThread` was polled after it had panicked");
            let context = copy_context();
            let in_context = move || context.run(function);
            let started = Scheduler::with_current(|scheduler| {
                if let Some(scheduler) = scheduler {
                    return BlockingTask::start(scheduler, in_context);
                }
                // The function's captured values are the program's: their drop may panic.
                drop_flat(in_context);
                BlockingTask::failed(no_running_loop())
            });
            this.state = State::Started(started);
        }
        match &mut this.state {
            State::Started(blocking) => Pin::new(blocking).poll(cx),
            State::New(_) => unreachable!("it was started above"),
        }
    }
}

impl<F, T: Send + 'static> fmt::Debug for ToThread<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToThread").finish_non_exhaustive()
    }
}

/// A function that was given to the pool: the future of
/// [`run_in_executor`](crate::EventLoop::run_in_executor).
///
/// Awaiting it returns the function's value. If it is dropped, or the await is cancelled, before
/// the function has started, the function is not called. Errors and cancellation are those of
/// [`to_thread`].
///
/// A value that was never taken is dropped with this, or, if this was dropped earlier, when the
/// function returns. If its destructor panics, the panic ends there, as with [`Task`](crate::Task).
#[must_use = "the function is not called if this is dropped before its turn comes"]
pub struct BlockingTask<T: Send + 'static> {
    job: Arc<Job<T>>,
    leaf: Leaf,
}

/// What the awaiter and the pool thread share. The lock is held only briefly; the function runs
/// without it.
struct Job<T>(Mutex<JobState<T>>);

struct JobState<T> {
    progress: Progress<T>,
    waker: Option<Waker>,
}

enum Progress<T> {
    Queued,
    Running,
    Done(Result<T>),
    /// No awaiter is left.
    Abandoned,
}

impl<T: Send + 'static> BlockingTask<T> {
    pub(crate) fn start(
        scheduler: &Scheduler,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> BlockingTask<T> {
        let (blocking, run) = BlockingTask::prepare(scheduler, function);
        if let Err(refused) = scheduler.spawn_blocking(counted(scheduler, run)) {
            // Dropping the job has completed the wait with an error already; this error says what
            // the scheduler or the system answered.
            let message = if refused.is_closed {
                EVENT_LOOP_IS_CLOSED.to_owned()
            } else {
                format!("{NO_THREAD}: {}", refused.error)
            };
            blocking.job.finish(Err(RuntimeError::new(message).into()));
        }
        blocking
    }

    /// The two ends of one call: the future that awaits it, and the closure that performs it.
    pub(super) fn prepare(
        scheduler: &Scheduler,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> (BlockingTask<T>, impl FnOnce() + Send + 'static) {
        let job = Arc::new(Job(Mutex::new(JobState { progress: Progress::Queued, waker: None })));
        let ours = BlockingTask { job: Arc::clone(&job), leaf: Leaf::new() };
        // A closed pool drops its queue. The drop of `Run` then ends the wait of the awaiter.
        let run = Run { job, function: Some(Contained::new(function)), scheduler: scheduler.clone() };
        (ours, move || run.call())
    }

    pub(super) fn failed(error: Error) -> BlockingTask<T> {
        let job = Job(Mutex::new(JobState { progress: Progress::Done(Err(error)), waker: None }));
        BlockingTask { job: Arc::new(job), leaf: Leaf::new() }
    }
}

/// The pool's end. If it is dropped without being called, the awaiter gets an error.
struct Run<T: Send + 'static, F: 'static> {
    job: Arc<Job<T>>,
    function: Option<Contained<F>>,
    scheduler: Scheduler,
}

const NO_THREAD: &str = "no thread can be had";

impl<T: Send + 'static, F: FnOnce() -> T + 'static> Run<T, F> {
    fn call(mut self) {
        let Some(function) = self.function.take() else { return };
        if self.job.begin() {
            let outcome = contain::call(|| function.into_inner()());
            self.job.finish(outcome.map_err(Error::from));
        }
    }
}

impl<T: Send + 'static, F: 'static> Drop for Run<T, F> {
    fn drop(&mut self) {
        if self.function.is_some() {
            let why = if self.scheduler.refuses() || self.scheduler.is_closed() {
                EVENT_LOOP_IS_CLOSED
            } else {
                NO_THREAD
            };
            self.job.finish(Err(RuntimeError::new(why).into()));
        }
    }
}

impl<T: Send + 'static> Job<T> {
    /// False if the call is no longer wanted.
    fn begin(&self) -> bool {
        let mut state = self.0.lock();
        let is_wanted = matches!(state.progress, Progress::Queued);
        if is_wanted {
            state.progress = Progress::Running;
        }
        is_wanted
    }

    fn finish(&self, result: Result<T>) {
        let mut state = self.0.lock();
        if matches!(state.progress, Progress::Abandoned) {
            drop(state);
            // The value has no awaiter: it is dropped here, outside the lock.
            return drop_flat(result);
        }
        state.progress = Progress::Done(result);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            contain::wake_quietly(waker);
        }
    }

    fn abandon(&self) {
        let (progress, waker) = {
            let mut state = self.0.lock();
            let former_waker = state.waker.take();
            (std::mem::replace(&mut state.progress, Progress::Abandoned), former_waker)
        };
        drop_flat(progress);
        drop_flat(waker);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let (fresh, mut state) = lock_to_wait(&self.0, cx.waker(), |state| state.waker.as_ref());
        if matches!(state.progress, Progress::Done(_)) {
            if let Progress::Done(result) = std::mem::replace(&mut state.progress, Progress::Abandoned) {
                return Poll::Ready(result);
            }
        }
        if matches!(state.progress, Progress::Abandoned) {
            return Poll::Ready(Err(
                InvalidStateError::new("the function's value was moved out before").into()
            ));
        }
        let former = fresh.and_then(|fresh| state.waker.replace(fresh));
        drop(state);
        drop(former);
        Poll::Pending
    }
}

impl<T: Send + 'static> Future for BlockingTask<T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<T: Send + 'static> LeafFuture for BlockingTask<T> {
    type Value = T;
    const NAME: &'static str = "selvedge::to_thread";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.job.poll(cx)
    }

    /// The function is not called any more.
    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<T>>> {
        let Some(error) = self.leaf.cancelled(cx) else { return Break(Poll::Pending) };
        self.job.abandon();
        Break(Poll::Ready(Err(error)))
    }
}

impl<T: Send + 'static> Drop for BlockingTask<T> {
    fn drop(&mut self) {
        self.job.abandon();
    }
}

impl<T: Send + 'static> fmt::Debug for BlockingTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTask").finish_non_exhaustive()
    }
}
