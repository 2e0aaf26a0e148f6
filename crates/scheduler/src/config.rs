//! Which settings does a scheduler have?

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::ClockKind;
use crate::cores::cores;
use crate::task::TaskRef;

/// More than any machine has cores; a larger number is a mistake.
pub const MAX_WORKERS: usize = 4096;

/// The standbys per worker. One stuck worker needs one; a burst of new tasks that all block needs
/// more.
const STANDBYS_PER_WORKER: usize = 4;
/// Enough for the greatest number of workers.
const MAX_STANDBYS: usize = STANDBYS_PER_WORKER * MAX_WORKERS;
/// The standbys of a scheduler with few workers.
const MIN_STANDBYS: usize = 16;
const COMPUTING_PER_WORKER: usize = 8;
const MAX_COMPUTING: usize = COMPUTING_PER_WORKER * MAX_WORKERS;
/// Light threads get nearly ten times the share of a core that a computing one gets. More would let other
/// programs on the machine push the computing threads aside.
const NICENESS: u8 = 10;
/// The highest niceness that there is.
pub const MAX_NICENESS: u8 = 19;
/// asyncio's default executor has this many threads more than the machine has cores …
const EXTRA_BLOCKING_THREADS: usize = 4;
/// … up to this number.
const MAX_BLOCKING_THREADS: usize = 32;
/// Long enough for a burst to use the threads of the last one, short enough to end them during a
/// rest.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// asyncio's `slow_callback_duration`.
const SLOW_POLL: Duration = Duration::from_millis(100);

/// Calls from the scheduler to the layer above. No lock is held during a call; a panic is caught
/// and dropped.
pub trait Hooks: AsAny + Send + Sync {
    /// A poll of `task` took `lasted`, which is [`Config::slow_poll`] or longer. Called on the
    /// worker, after the poll.
    fn slow_poll(&self, task: &TaskRef, lasted: Duration) {
        let _ = (task, lasted);
    }
}

impl dyn Hooks {
    /// The hooks, if they have type `H`.
    pub fn downcast_ref<H: Hooks>(&self) -> Option<&H> {
        self.as_any().downcast_ref()
    }
}

/// Before Rust 1.86 a `dyn Hooks` does not become a `dyn Any` by itself. Implemented for every type.
pub trait AsAny: Any {
    /// The value, for a downcast.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any> AsAny for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Hooks that do nothing.
#[derive(Debug, Clone, Copy)]
pub struct NoHooks;

impl Hooks for NoHooks {}

/// A scheduler's settings. Start from `default()`.
#[derive(Clone)]
pub struct Config {
    /// The number of threads that run tasks, 1 to [`MAX_WORKERS`]. Default: 1; the layer above
    /// knows the machine.
    pub workers: usize,
    /// The number of standbys that may replace stuck workers at the same time, at most four times
    /// [`MAX_WORKERS`]; 0 switches the watchdog off. `None`: four per worker, at least 16.
    pub max_standbys: Option<usize>,
    /// The number of threads that compute at the same time beside the workers: those that run the tasks
    /// with long polls. At most eight times [`MAX_WORKERS`]; 0: such tasks run on the workers, and each of
    /// their polls takes a standby. `None`: eight per worker.
    pub max_computing_threads: Option<usize>,
    /// How much lower the priority of the threads is that compute, in steps of Unix's niceness, 0 to 19.
    /// Linux only. Default: 10.
    pub computing_niceness: u8,
    /// The number of threads that run blocking jobs at the same time, at least 1. `None`: asyncio's
    /// rule, cores + 4, at most 32.
    pub max_blocking_threads: Option<usize>,
    /// How long an idle thread of the pool waits for a job. Default: 10 s.
    pub blocking_keep_alive: Duration,
    /// The beginning of the threads' names. Default: `selvedge`, which gives `selvedge-worker-0`,
    /// `selvedge-pool-0` (blocking jobs and standbys) and `selvedge-watch`.
    pub thread_name: Arc<str>,
    /// A poll of this length is counted and reported as slow. Default: 100 ms. Without the watchdog
    /// no poll is reported.
    pub slow_poll: Duration,
    /// Real or virtual time. Default: real.
    pub clock: ClockKind,
    /// Seeds the choice of victims for stealing. Default: 0.
    pub seed: u64,
    /// Default: [`NoHooks`].
    pub hooks: Arc<dyn Hooks>,
}

impl Config {
    /// An error if a setting is out of range.
    pub(crate) fn check(&self) -> io::Result<()> {
        let mistake = if !(1..=MAX_WORKERS).contains(&self.workers) {
            format!("{} workers asked for; choose 1 to {MAX_WORKERS}", self.workers)
        } else if self.max_standbys.is_some_and(|standbys| standbys > MAX_STANDBYS) {
            format!("{} standbys asked for; choose at most {MAX_STANDBYS}", self.standbys())
        } else if self.max_computing_threads.is_some_and(|threads| threads > MAX_COMPUTING) {
            format!(
                "{} computing threads asked for; choose at most {MAX_COMPUTING}",
                self.computing_threads()
            )
        } else if self.computing_niceness > MAX_NICENESS {
            format!("a niceness of {} asked for; choose 0 to {MAX_NICENESS}", self.computing_niceness)
        } else if self.thread_name.contains('\0') {
            format!("a thread cannot be named {:?}; leave out the zero byte", self.thread_name)
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, mistake))
    }

    pub(crate) fn standbys(&self) -> usize {
        self.max_standbys.unwrap_or_else(|| (STANDBYS_PER_WORKER * self.workers).max(MIN_STANDBYS))
    }

    /// Zero without a watchdog: nothing finds long polls.
    pub(crate) fn computing_threads(&self) -> usize {
        let asked = self.max_computing_threads.unwrap_or(COMPUTING_PER_WORKER * self.workers);
        if self.standbys() == 0 { 0 } else { asked }
    }

    pub(crate) fn blocking_threads(&self) -> usize {
        let default = || (cores() + EXTRA_BLOCKING_THREADS).min(MAX_BLOCKING_THREADS);
        self.max_blocking_threads.unwrap_or_else(default).max(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            max_standbys: None,
            max_computing_threads: None,
            computing_niceness: NICENESS,
            max_blocking_threads: None,
            blocking_keep_alive: KEEP_ALIVE,
            thread_name: "selvedge".into(),
            slow_poll: SLOW_POLL,
            clock: ClockKind::Real,
            seed: 0,
            hooks: Arc::new(NoHooks),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("workers", &self.workers)
            .field("standbys", &self.standbys())
            .field("computing_threads", &self.computing_threads())
            .field("computing_niceness", &self.computing_niceness)
            .field("blocking_threads", &self.blocking_threads())
            .field("blocking_keep_alive", &self.blocking_keep_alive)
            .field("slow_poll", &self.slow_poll)
            .field("clock", &self.clock)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
