//! How is a scheduler started and used? How it is closed is in `close.rs`.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::config::{Config, Hooks};
use crate::io::Registration;
use crate::metrics::Metrics;
use crate::moment::Moment;
use crate::pool::{BlockingJob, BlockingRefused};
use crate::shared::{Scheduler, Shared};
use crate::sync::{Instant, Ordering, fence};
use crate::task::{JoinHandle, Outcome, Slot, TaskRef};
use crate::watchdog_thread;
use crate::worker::{self, Local};

impl Scheduler {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the number of workers is zero or above
    /// [`MAX_WORKERS`](crate::MAX_WORKERS), if the number of standbys is above four times
    /// `MAX_WORKERS`, or if the name contains a zero byte. Otherwise the error with which the
    /// operating system refuses a thread. After an error no thread keeps running.
    pub fn start(config: Config) -> io::Result<Self> {
        config.check()?;
        let scheduler = Scheduler::handle_to(&Shared::new(config, worker::schedule_here));
        match scheduler.start_threads() {
            Ok(()) => Ok(scheduler),
            Err(error) => {
                scheduler.close(Duration::MAX);
                Err(error)
            }
        }
    }

    fn start_threads(&self) -> io::Result<()> {
        let shared = &self.0;
        for index in 0..shared.workers() {
            worker::start(shared, index)?;
        }
        watchdog_thread::start(shared)
    }

    /// Creates a task and queues it. After [`close`](Self::close) it is never polled, and its
    /// handle resolves to [`Outcome::closed`].
    #[inline]
    pub fn spawn<F, S>(&self, future: F, slot: S) -> JoinHandle<F::Output, S::ForHandle>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        worker::with(|local| self.0.spawn(local.filter(|local| self.is_of(local)), future, slot))
    }

    fn is_of(&self, local: &Local) -> bool {
        Arc::ptr_eq(&local.shared, &self.0)
    }

    /// Calls `f` with the scheduler whose worker the calling thread is. No reference is counted.
    #[inline]
    pub fn with_current<R>(f: impl FnOnce(Option<&Scheduler>) -> R) -> R {
        worker::with(|local| f(local.map(|local| &local.scheduler)))
    }

    /// The scheduler whose worker the calling thread is.
    pub fn current() -> Option<Scheduler> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is not general enough over lifetimes"
        )]
        Self::with_current(|scheduler| scheduler.cloned())
    }

    /// The index of the worker that the calling thread is, as in [`Metrics::workers`].
    pub fn current_worker() -> Option<usize> {
        worker::with(|local| local.map(|local| local.index))
    }

    /// The tasks that are not done, in portions: a caller with little time may stop between two
    /// portions.
    pub fn tasks_by_portions(&self) -> impl Iterator<Item = Vec<TaskRef>> {
        self.0.owned.by_portions()
    }

    /// The tasks that are not done.
    pub fn tasks(&self) -> Vec<TaskRef> {
        self.0.owned.tasks()
    }

    /// The number of tasks that are not done.
    pub fn live_tasks(&self) -> usize {
        self.0.owned.len()
    }

    /// Queues a closure that may block for the pool of threads. A panic in it is caught and dropped.
    ///
    /// # Errors
    ///
    /// The scheduler is closed, or it refuses the calling thread, or no thread is free to run the
    /// job and the operating system refuses a new one. The job is dropped.
    pub fn spawn_blocking(&self, job: BlockingJob) -> Result<(), BlockingRefused> {
        self.0.pool.submit(&self.0, job)
    }

    /// Waits until no blocking job is queued or running, for at most `patience`. Jobs that arrive
    /// meanwhile count too. Tasks continue to run. Returns whether there were any jobs.
    ///
    /// On a thread of the same scheduler it does not wait.
    pub fn wait_for_blocking(&self, patience: Duration) -> bool {
        !self.0.pool.is_own_thread() && self.0.pool.wait_for_jobs(Instant::now().checked_add(patience))
    }

    /// Nanoseconds on the clock that the timers follow. It starts near zero and never goes back.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.clock.now()
    }

    /// As [`now`](Self::now), but exact to the nanosecond even after virtual time has passed 584
    /// years, where `now` stands still.
    #[inline]
    pub fn moment(&self) -> Moment {
        self.0.clock.moment()
    }

    /// What [`moment`](Self::moment) returns at `instant` of the machine's clock: zero for an
    /// instant before the scheduler's start. A virtual clock is assumed to advance with the
    /// machine's clock from now on, and the result is at least what it shows now.
    pub fn time_at(&self, instant: std::time::Instant) -> Moment {
        self.0.clock.at(instant)
    }

    /// The value that was given as [`Config::hooks`]; the layer above finds its own type there
    /// again.
    pub fn hooks(&self) -> &Arc<dyn Hooks> {
        &self.0.config.hooks
    }

    /// As [`spawn`](Self::spawn), but on a worker of this scheduler the first poll happens at once,
    /// inside the call.
    pub fn spawn_eager<F, S>(&self, future: F, slot: S) -> JoinHandle<F::Output, S::ForHandle>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        worker::with(|local| match local.filter(|local| self.is_of(local)) {
            Some(local) => self.0.spawn_eager(local, future, slot),
            None => self.0.spawn(None, future, slot),
        })
    }

    /// As [`spawn`](Self::spawn), but the task is suspended: it is polled once it is
    /// [started](TaskRef::start) or woken.
    pub fn spawn_suspended<F, S>(&self, future: F, slot: S) -> JoinHandle<F::Output, S::ForHandle>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        worker::with(|local| self.0.spawn_suspended(local.filter(|local| self.is_of(local)), future, slot))
    }

    /// Watches a socket. The socket stays with this scheduler, whichever task waits for it.
    ///
    /// # Errors
    ///
    /// The error of the operating system, most often that too many files are open; or an error
    /// because the scheduler is closed.
    pub fn register(&self, socket: &mut (impl mio::event::Source + ?Sized)) -> io::Result<Registration> {
        let reactor = self.0.driver.open(&*self.0)?;
        // Ordering: partner of the fence in `Driver::close`.
        fence(Ordering::SeqCst);
        if self.is_closed() {
            reactor.close();
        }
        reactor.register(socket)
    }

    /// A snapshot of the metrics.
    pub fn metrics(&self) -> Metrics {
        self.0.metrics()
    }

    /// [`close`](Self::close) has been called.
    pub fn is_closed(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    /// Both are the same scheduler.
    pub fn ptr_eq(&self, other: &Scheduler) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// While this value lives, the virtual time of its scheduler stands still. Real time is not
/// affected.
#[must_use = "time moves on when this is dropped"]
pub struct ClockPause(Scheduler);

impl Scheduler {
    /// Pauses virtual time. A pause that begins inside a task takes effect before that task's
    /// worker can rest.
    pub fn pause_clock(&self) -> ClockPause {
        self.shared().clock_pauses.begin();
        ClockPause(self.clone())
    }
}

impl Drop for ClockPause {
    fn drop(&mut self) {
        let shared = self.0.shared();
        shared.clock_pauses.end();
        shared.recheck_quiescence();
    }
}

impl fmt::Debug for ClockPause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockPause").finish_non_exhaustive()
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("workers", &self.0.workers())
            .field("tasks", &self.live_tasks())
            .field("time", &self.moment())
            .field(
                "clock",
                &if self.0.clock.is_virtual() { clock::ClockKind::Virtual } else { clock::ClockKind::Real },
            )
            .finish_non_exhaustive()
    }
}
