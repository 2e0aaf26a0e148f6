//! How can a program limit the number of blocking calls that run at a time?

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use selvedge_scheduler::Scheduler;

use super::blocking::BlockingTask;
use crate::contain;
use crate::error::{Result, RuntimeError};
use crate::event_loop::{EventLoop, counted};
use crate::sync::Mutex;

type Job = Box<dyn FnOnce() + Send>;

/// Runs at most a fixed number of blocking calls at a time, for
/// [`run_in_executor`](crate::EventLoop::run_in_executor).
///
/// It owns no threads: it is a limit with a queue, and the calls run on the loop's own pool. So
/// there is nothing to join. Clones are the same executor.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let executor = selvedge::ThreadPoolExecutor::new(2)?;
/// let event_loop = selvedge::get_running_loop()?;
/// assert_eq!(event_loop.run_in_executor(Some(&executor), || 40 + 2).await?, 42);
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct ThreadPoolExecutor {
    shared: Arc<Shared>,
}

struct Shared {
    max_workers: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// The threads that work on the queue, or have been requested for it.
    workers: usize,
    is_shut_down: bool,
}

impl ThreadPoolExecutor {
    /// An executor that runs at most `max_workers` calls at a time.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if `max_workers` is zero.
    pub fn new(max_workers: usize) -> Result<ThreadPoolExecutor> {
        if max_workers == 0 {
            return Err(RuntimeError::new("max_workers must be greater than 0").into());
        }
        Ok(ThreadPoolExecutor { shared: Arc::new(Shared { max_workers, queue: Mutex::default() }) })
    }

    /// Accepts no more calls: their futures end with a [`RuntimeError`]. Queued and running calls
    /// continue, and this method does not wait for them. (Python's waits by default.)
    pub fn shutdown(&self) {
        self.shared.queue.lock().is_shut_down = true;
    }

    pub(crate) fn submit_on<F, T>(&self, scheduler: &Scheduler, function: F) -> BlockingTask<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (blocking, job) = BlockingTask::prepare(scheduler, function);
        if scheduler.refuses() {
            // Without this check the job could wait behind other jobs in the queue, which continue,
            // before it is refused.
            drop(job);
            return blocking;
        }
        match self.shared.push(Box::new(job)) {
            Pushed::Queued => {}
            Pushed::NeedsWorker => self.start_worker(scheduler),
            Pushed::Refused(job) => {
                contain::drop_flat(job);
                return BlockingTask::failed(
                    RuntimeError::new("cannot schedule new futures after shutdown").into(),
                );
            }
        }
        blocking
    }

    fn start_worker(&self, scheduler: &Scheduler) {
        let shared = Arc::clone(&self.shared);
        let work = counted(scheduler, move || shared.work());
        if scheduler.spawn_blocking(work).is_err() && self.shared.lose_worker() {
            // No pool thread will ever work on the queue. Dropping a job ends the wait of its
            // awaiter.
            let stranded = std::mem::take(&mut self.shared.queue.lock().jobs);
            stranded.into_iter().for_each(contain::drop_flat);
        }
    }
}

impl EventLoop {
    /// Calls `f` on a thread of the pool, limited by `executor` if one is given. The call is queued
    /// at once, whether the future is awaited or not; dropping the future cancels the call if it
    /// has not begun. As in asyncio, `f` does not run in a copy of the context;
    /// [`to_thread`](crate::to_thread) does that.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// let event_loop = selvedge::get_running_loop()?;
    /// assert_eq!(event_loop.run_in_executor(None, || 6 * 7).await?, 42);
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// From the future: [`PanicError`](crate::PanicError) if the function panicked;
    /// [`RuntimeError`](crate::RuntimeError) if the loop is closed, the executor is shut down, or
    /// the system refuses a thread.
    ///
    /// # Cancellation
    ///
    /// As for [`to_thread`](crate::to_thread).
    pub fn run_in_executor<F, T>(&self, executor: Option<&ThreadPoolExecutor>, f: F) -> BlockingTask<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match executor {
            Some(executor) => executor.submit_on(self.scheduler(), f),
            None => BlockingTask::start(self.scheduler(), f),
        }
    }
}

#[must_use]
enum Pushed {
    Queued,
    NeedsWorker,
    Refused(Job),
}

impl Shared {
    fn push(&self, job: Job) -> Pushed {
        let mut queue = self.queue.lock();
        if queue.is_shut_down {
            return Pushed::Refused(job);
        }
        queue.jobs.push_back(job);
        if queue.workers == self.max_workers {
            return Pushed::Queued;
        }
        queue.workers += 1;
        Pushed::NeedsWorker
    }

    /// Works on the queue, on a thread of the pool.
    fn work(&self) {
        while let Some(job) = self.next_job() {
            // A job catches its function's panic, but the drop of a value may still panic. The rest
            // of the queue must run nevertheless.
            contain::silently(job);
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        let job = queue.jobs.pop_front();
        if job.is_none() {
            queue.workers -= 1;
        }
        job
    }

    /// Removes a worker. True if the queue has none left.
    fn lose_worker(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.workers -= 1;
        queue.workers == 0
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor")
            .field("max_workers", &self.shared.max_workers)
            .finish_non_exhaustive()
    }
}
