//! Which settings does a loop have?

use std::sync::Arc;
use std::time::Duration;

use selvedge_scheduler::{ClockKind, Config, MAX_NICENESS, MAX_WORKERS, Scheduler, cores};

use super::clock_pause::MainsPause;
use super::{Runner, refuse_inside_loop};
use crate::coroutine::Coroutine;
use crate::error::{Result, RuntimeError};
use crate::event_loop::{EventLoop, LoopShared};

/// Long enough for clean-up that communicates with other machines; short enough for a person to
/// wait. (asyncio waits for ever.)
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Sets up a [`Runner`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let answer = selvedge::Runner::builder()
///     .workers(2)
///     .thread_name("answers")
///     .shutdown_timeout(Duration::from_secs(1))
///     .run(async { Ok(42) })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` or `run` is called"]
pub struct RunnerBuilder {
    workers: Option<usize>,
    thread_name: Option<String>,
    debug: bool,
    slow_poll: Option<Duration>,
    shutdown_timeout: Option<Duration>,
    virtual_time: bool,
    no_watchdog: bool,
    max_blocking_threads: Option<usize>,
    computing_niceness: Option<u8>,
}

impl RunnerBuilder {
    /// The greatest number of workers that is accepted.
    pub const MAX_WORKERS: usize = MAX_WORKERS;

    pub(super) fn new() -> RunnerBuilder {
        RunnerBuilder::default()
    }

    /// How many threads run tasks, from 1 to [`MAX_WORKERS`](Self::MAX_WORKERS). Default: one for
    /// each core that this process may use, by its affinity mask and the CPU quotas of its control groups
    /// (Linux's, both versions; a container's limit is one). A part of a core counts as one.
    pub fn workers(mut self, workers: usize) -> RunnerBuilder {
        self.workers = Some(workers);
        self
    }

    /// The beginning of the threads' names, in listings of the system and in panics. Default:
    /// `selvedge`.
    pub fn thread_name(mut self, prefix: impl Into<String>) -> RunnerBuilder {
        self.thread_name = Some(prefix.into());
        self
    }

    /// Reports polls that take longer than [`slow_poll`](Self::slow_poll).
    pub fn debug(mut self, enabled: bool) -> RunnerBuilder {
        self.debug = enabled;
        self
    }

    /// The duration from which a poll counts as slow. asyncio's `slow_callback_duration`, with its
    /// default of 100 ms.
    pub fn slow_poll(mut self, least: Duration) -> RunnerBuilder {
        self.slow_poll = Some(least);
        self
    }

    /// When the loop is closed, how long to wait for cancelled tasks and for functions that run in
    /// [`to_thread`](crate::to_thread) or an executor. Default: ten seconds. After that they are
    /// reported to the exception handler and left.
    pub fn shutdown_timeout(mut self, most: Duration) -> RunnerBuilder {
        self.shutdown_timeout = Some(most);
        self
    }

    /// Whether other threads take over from a worker that is stuck in a long poll. Default: true. With
    /// `false` the program has no watchdog thread and no computing threads, and the tasks and timers of a
    /// stuck worker wait until its poll ends.
    pub fn watchdog(mut self, enabled: bool) -> RunnerBuilder {
        self.no_watchdog = !enabled;
        self
    }

    /// The former name of [`watchdog`](Self::watchdog).
    #[doc(hidden)]
    #[deprecated(note = "it is called `watchdog` now")]
    pub fn rescue(self, enabled: bool) -> RunnerBuilder {
        self.watchdog(enabled)
    }

    /// By how many steps of Unix's niceness the priority of *computing threads* is lower than that of the
    /// others, 0 to 19. Default: 10. Linux only; other systems ignore it.
    ///
    /// A thread on which a poll has computed for about a millisecond or longer runs only tasks with long
    /// polls from then on, at this lower priority, and a fresh thread runs all others. So light tasks,
    /// timers and sockets get a core at once, and tasks that compute get all that is left. Where light
    /// tasks leave them less than an eighth of the cores for a tenth of a second, or other programs less
    /// than three quarters, some get the usual priority. There are at most nine computing threads for each
    /// worker, and they end when they have had nothing to do for ten seconds.
    ///
    /// With 0 they compete with the others as equals from the start. A light task that waits for a lock
    /// (one of the standard library, say) waits until the computing thread that holds it gets a core. A
    /// thread or process that a task starts, and so a function in [`to_thread`](crate::to_thread), may
    /// inherit the lower priority if the task computes.
    ///
    /// # Examples
    ///
    /// ```
    /// let runner = selvedge::Runner::builder().workers(2).computing_niceness(19);
    /// assert_eq!(runner.run(async { Ok(42) })?, 42);
    /// assert!(selvedge::Runner::builder().computing_niceness(20).build().is_err());
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn computing_niceness(mut self, steps: u8) -> RunnerBuilder {
        self.computing_niceness = Some(steps);
        self
    }

    /// How many threads run blocking jobs (`to_thread`, the default executor) at the same time: at
    /// least 1. Default: asyncio's rule, cores + 4, at most 32.
    pub fn max_blocking_threads(mut self, most: usize) -> RunnerBuilder {
        self.max_blocking_threads = Some(most);
        self
    }

    /// Lets the loop's clock jump to the next deadline whenever there is nothing else to do: an
    /// hour's sleep takes no time, and things happen in the order of their deadlines. It jumps over
    /// any [`Duration`], including a thousand years and `Duration::MAX`. Meant for tests. Functions
    /// in [`to_thread`](crate::to_thread) pause the clock; other threads of the program do not.
    pub fn virtual_time(mut self, enabled: bool) -> RunnerBuilder {
        self.virtual_time = enabled;
        self
    }

    /// Starts the loop's threads.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the number of workers or of blocking threads, or the niceness, is out of range;
    /// [`std::io::Error`] if the system refuses a thread.
    pub fn build(self) -> Result<Runner> {
        let workers = self.workers.unwrap_or_else(cores);
        if !(1..=MAX_WORKERS).contains(&workers) {
            return Err(RuntimeError::new(format!(
                "the number of workers must be from 1 to {MAX_WORKERS}, not {workers}"
            ))
            .into());
        }
        if self.max_blocking_threads == Some(0) {
            return Err(RuntimeError::new("the number of blocking threads must be at least 1, not 0").into());
        }
        let niceness = self.computing_niceness.unwrap_or(Config::default().computing_niceness);
        if niceness > MAX_NICENESS {
            return Err(RuntimeError::new(format!(
                "the niceness of computing threads must be from 0 to {MAX_NICENESS}, not {niceness}"
            ))
            .into());
        }
        let mut config =
            Config { workers, hooks: Arc::new(LoopShared::new(self.debug)), ..Config::default() };
        if let Some(slow_poll) = self.slow_poll {
            config.slow_poll = slow_poll;
        }
        if let Some(prefix) = self.thread_name {
            config.thread_name = prefix.into();
        }
        config.computing_niceness = niceness;
        config.max_blocking_threads = self.max_blocking_threads;
        if self.no_watchdog {
            config.max_standbys = Some(0);
        }
        if self.virtual_time {
            config.clock = ClockKind::Virtual;
        }
        let event_loop = EventLoop::of(Scheduler::start(config)?).expect("the hooks are our own");
        Ok(Runner::over(event_loop, self.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT)))
    }

    /// [`run`](crate::run) with these settings: builds, runs and closes.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build) and [`run`](crate::run).
    #[track_caller]
    pub fn run<C: Coroutine>(self, main: C) -> Result<C::Item> {
        refuse_inside_loop("run()")?;
        let runner = self.build()?;
        let pause = MainsPause::default();
        let result = runner.run_until_pause(main, &pause);
        runner.close_and_end(&pause);
        result
    }
}
