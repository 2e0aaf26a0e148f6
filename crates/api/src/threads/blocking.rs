//! How does a coroutine have a blocking function run?

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
use crate::sync::{Mutex, lock_to_wait, mutation};

/// Calls a function that blocks, or computes for long, on a thread of the pool, in a copy of the caller's context.
///
/// It is queued at the first poll. What the function returns is the value, so one that returns a `Result` takes two `?`. How many run at the same time is
/// bounded: [`max_blocking_threads`](crate::RunnerBuilder::max_blocking_threads). A function that computes for long may as well be called in a
/// task: what its worker holds is taken over by others.
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
/// [`PanicError`](crate::PanicError) if the function panicked; [`RuntimeError`] outside of a loop, on a closed one, or if the system refuses a thread;
/// [`InvalidStateError`] if it is awaited again after it has ended.
///
/// # Cancellation
///
/// Ends the await at once. The function is not called if it has not been; a running one cannot be stopped: it runs on, and its value
/// is dropped.
///
/// While a function runs, a loop in [virtual time](crate::RunnerBuilder::virtual_time) does not move its clock, so such a function must not wait for a
/// sleep of that loop.
///
/// The loop is not closed before a running function has returned, but waits for it no longer than the
/// [shutdown timeout](crate::RunnerBuilder::shutdown_timeout). After that the exception handler is told how many still run, and their
/// threads are left behind: they end with the program.
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
                // What the function has captured is the program's.
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

/// A function that was given to the pool: the future of [`run_in_executor`](crate::EventLoop::run_in_executor).
///
/// Awaiting it returns what the function returned. Dropping it, or cancelling the await, keeps the function from being called if it
/// has not been. Errors and cancellation are those of [`to_thread`].
///
/// A value that nobody took is dropped with this, and where this is gone already when the function returns. Should its destructor panic, the panic ends there, as with
/// [`Task`](crate::Task).
#[must_use = "the function is not called if this is dropped before its turn comes"]
pub struct BlockingTask<T: Send + 'static> {
    job: Arc<Job<T>>,
    leaf: Leaf,
}

/// What the awaiter and the pool thread share. The lock is held for moments; the function runs without it.
struct Job<T>(Mutex<JobState<T>>);

struct JobState<T> {
    progress: Progress<T>,
    waker: Option<Waker>,
}

enum Progress<T> {
    Queued,
    Running,
    Done(Result<T>),
    /// Nobody waits any more.
    Abandoned,
}

impl<T: Send + 'static> BlockingTask<T> {
    pub(crate) fn start(
        scheduler: &Scheduler,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> BlockingTask<T> {
        let (blocking, run) = BlockingTask::prepare(scheduler, function);
        if let Err(refused) = scheduler.spawn_blocking(counted(scheduler, run)) {
            // The job was dropped, which told the awaiter; this says what the scheduler or the system answered.
            let message = if refused.is_closed {
                EVENT_LOOP_IS_CLOSED.to_owned()
            } else {
                format!("{NO_THREAD}: {}", refused.error)
            };
            blocking.job.finish(Err(RuntimeError::new(message).into()));
        }
        blocking
    }

    /// The two ends of one call: what awaits it, and what makes it.
    pub(super) fn prepare(
        scheduler: &Scheduler,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> (BlockingTask<T>, impl FnOnce() + Send + 'static) {
        let job = Arc::new(Job(Mutex::new(JobState { progress: Progress::Queued, waker: None })));
        let ours = BlockingTask { job: Arc::clone(&job), leaf: Leaf::new() };
        // A closed pool drops its queue: whoever waits must not wait for ever.
        let run = Run { job, function: Some(Contained::new(function)), scheduler: scheduler.clone() };
        (ours, move || run.call())
    }

    pub(super) fn failed(error: Error) -> BlockingTask<T> {
        let job = Job(Mutex::new(JobState { progress: Progress::Done(Err(error)), waker: None }));
        BlockingTask { job: Arc::new(job), leaf: Leaf::new() }
    }
}

/// The pool's end. Dropped uncalled, it says so to the awaiter.
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
    /// False if nobody wants the call any more.
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
            // The value nobody waits for is dropped here, after the lock.
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
        let is_done = |state: &JobState<T>| matches!(state.progress, Progress::Done(_));
        let was_done = mutation("job-looks-before-its-lock").then(|| is_done(&self.0.lock()));
        let (fresh, mut state) = lock_to_wait(&self.0, cx.waker(), |state| state.waker.as_ref());
        if was_done.unwrap_or_else(|| is_done(&state))
            && let Progress::Done(result) = std::mem::replace(&mut state.progress, Progress::Abandoned)
        {
            return Poll::Ready(result);
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
