//! The scheduler as its owner sees it: start, spawn, look, close.

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
use crate::queue::Steal;
use crate::shared::Shared;
use crate::sync::{Instant, Ordering, fence, mutation, spin_loop, thread};
use crate::task::{JoinHandle, Outcome, Slot, TaskRef};
use crate::worker::{self, Local};

/// Between two rounds of `close` that wake and drop what is left.
const CLOSE_ROUND: Duration = Duration::from_millis(1);
/// The longest pause between two rounds.
const CLOSE_ROUND_MAX: Duration = Duration::from_millis(50);
/// Rounds that `close` makes without waiting: nearly always everything has ended by then.
const CLOSE_SPINS: u32 = 50;

/// A running scheduler. Cheap to clone, usable from any thread.
///
/// It runs until [`close`](Self::close) is called: its threads keep it alive.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

impl Scheduler {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a number of workers that is zero or above [`MAX_WORKERS`](crate::MAX_WORKERS), for four times more spares than
    /// that, and for a name with a zero byte; else what the operating system answers that refuses a thread. Nothing keeps running then.
    pub fn start(config: Config) -> io::Result<Self> {
        config.check()?;
        let scheduler = Self(Shared::new(config));
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
            shared.pool.start_worker(shared, index)?;
        }
        shared.rescue.start(shared)
    }

    /// Creates a task and queues it. After [`close`](Self::close) it is never polled, and its handle resolves to [`Outcome::closed`].
    #[inline]
    pub fn spawn<F, S>(&self, future: F, slot: S) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        worker::with(|local| self.0.spawn(local.filter(|local| self.is_of(local)), future, slot))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
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

    /// The tasks that are not done.
    pub fn tasks(&self) -> Vec<TaskRef> {
        self.0.registry.tasks()
    }

    /// The number of tasks that are not done.
    pub fn live_tasks(&self) -> usize {
        self.0.registry.len()
    }

    /// Queues a closure that may block for the pool of threads. A panic in it is caught and dropped.
    ///
    /// # Errors
    ///
    /// The scheduler is closed, or there is no thread to run the job and the operating system refuses one. The job is dropped.
    pub fn spawn_blocking(&self, job: BlockingJob) -> Result<(), BlockingRefused> {
        self.0.pool.submit(&self.0, job)
    }

    /// Waits for the blocking jobs to end, those that are queued and those that come meanwhile too, for at most `patience`. Tasks run on.
    ///
    /// On a thread of the same scheduler nothing is waited for.
    pub fn wait_for_blocking(&self, patience: Duration) {
        if !self.0.pool.is_own_thread() {
            self.0.pool.wait_for_jobs(Instant::now().checked_add(patience));
        }
    }

    /// Nanoseconds on the clock that the timers follow. It starts near zero and never goes back.
    #[inline]
    pub fn now(&self) -> u64 {
        self.0.clock.now()
    }

    /// As [`now`](Self::now), to the nanosecond also where virtual time has gone further than 584 years; there `now` stands still.
    #[inline]
    pub fn moment(&self) -> Moment {
        self.0.clock.moment()
    }

    /// What [`moment`](Self::moment) tells at a moment of the machine's clock: zero for one before the scheduler's start. A virtual clock is taken to run beside
    /// the machine's from now on, and shows at least what it shows now.
    pub fn time_at(&self, instant: std::time::Instant) -> Moment {
        self.0.clock.at(instant)
    }

    /// What was given as [`Config::hooks`]; the layer above finds its own type there again.
    pub fn hooks(&self) -> &Arc<dyn Hooks> {
        &self.0.config.hooks
    }

    /// As [`spawn`](Self::spawn), but on a worker of this scheduler the first poll happens at once, inside the call.
    pub fn spawn_eager<F, S>(&self, future: F, slot: S) -> JoinHandle<F::Output>
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

    /// Watches a socket. It stays with this scheduler, whoever waits for it.
    ///
    /// # Errors
    ///
    /// What the operating system answers, first of all that there are too many open files; the scheduler is closed.
    pub fn register(&self, socket: &mut (impl mio::event::Source + ?Sized)) -> io::Result<Registration> {
        let reactor = self.0.driver.open(&self.0)?;
        // Ordering: partner of the fence in `Driver::close`.
        fence(Ordering::SeqCst);
        if self.is_closed() {
            reactor.close();
        }
        reactor.register(socket)
    }

    /// A look at the numbers.
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

    /// Ends everything: refuses new tasks, drops the suspended ones (their handles resolve to [`Outcome::closed`]), and joins
    /// the threads. What is inside a poll or a blocking job after `patience` is left behind; the tasks among it are returned. They end when their
    /// poll does.
    ///
    /// One thread drops the suspended tasks, one after the other: destructors that wait for each other are left behind likewise.
    ///
    /// On a thread of the same scheduler (in a task, a blocking job, or a destructor that `close` runs) nothing is waited for, and the
    /// result is empty.
    pub fn close(&self, patience: Duration) -> Vec<TaskRef> {
        let shared = &self.0;
        shared.registry.close();
        shared.pool.close();
        shared.dismiss_all();
        let is_own = shared.pool.is_own_thread();
        let deadline = Instant::now().checked_add(if is_own { Duration::ZERO } else { patience });
        let left = self.cancel_all(deadline);
        self.0.driver.close();
        if is_own {
            return Vec::new();
        }
        shared.rescue.join();
        shared.pool.join(deadline);
        crate::task::trim_rooms();
        left
    }

    /// Cancels what is suspended or queued until nothing is left, or time is up.
    fn cancel_all(&self, deadline: Option<Instant>) -> Vec<TaskRef> {
        // Ordering: none needed: whoever is first starts the thread.
        if self.live_tasks() > 0 && !self.0.has_closer.swap(true, Ordering::Relaxed) {
            // The destructors of futures are foreign code and may block: they run on a thread of their own.
            let scheduler = self.clone();
            // It stays as long as a task lives, beyond the deadline too: a poll that ends late finds nobody else.
            if self.0.pool.start_aside(&self.0, "close", move || scheduler.cancel_until(None)).is_err() {
                self.0.has_closer.store(false, Ordering::Relaxed);
                self.cancel_until(deadline);
            }
        }
        let mut round = 0;
        while self.live_tasks() > 0 && !is_over(deadline) {
            pause(round);
            round += 1;
        }
        self.tasks()
    }

    fn cancel_until(&self, deadline: Option<Instant>) {
        let mut round = 0;
        while self.live_tasks() > 0 {
            if !mutation("close-looks-nowhere") {
                self.cancel_queued();
            }
            if is_over(deadline) || mutation("close-looks-once") {
                break;
            }
            pause(round);
            round += 1;
        }
    }

    /// Wakes whatever is suspended, so that it comes through a queue, and drops what is queued.
    fn cancel_queued(&self) {
        let shared = &self.0;
        for task in self.tasks() {
            task.wake();
        }
        let steals =
            [|shared: &Shared| shared.injector.steal_one(), |shared: &Shared| shared.heavy.steal_one()];
        for steal in steals {
            loop {
                match steal(shared) {
                    Steal::Success(task) => drop(task),
                    Steal::Retry => spin_loop(),
                    Steal::Empty => break,
                }
            }
        }
        for slot in shared.places() {
            drop(slot.next.take());
            while let Steal::Success(task) = slot.stealer.steal_one() {
                drop(task);
            }
        }
    }
}

fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// Nearly always everything ends within a few rounds; what does not takes its time.
fn pause(round: u32) {
    if round < CLOSE_SPINS {
        thread::yield_now();
    } else {
        thread::sleep((CLOSE_ROUND * (round - CLOSE_SPINS + 1)).min(CLOSE_ROUND_MAX));
    }
}

impl Local {
    /// The handle that `Scheduler::with_current` lends.
    pub(crate) fn scheduler(shared: &Arc<Shared>) -> Scheduler {
        Scheduler(Arc::clone(shared))
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
