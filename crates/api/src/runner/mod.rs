//! How does a program enter the loop, and leave it?

mod builder;
mod clock_pause;
mod interrupt;
mod shutdown;
mod waiter;

use std::fmt;
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as PollContext, Poll};
use std::time::Duration;

use selvedge_scheduler::Scheduler;

pub use self::builder::RunnerBuilder;
use self::clock_pause::MainsPause;
use self::shutdown::Shutdown;
use self::waiter::Waiter;
use crate::context::Context;
use crate::context_var::copy_context;
use crate::coroutine::Coroutine;
use crate::error::{KeyboardInterrupt, Result, RuntimeError};
use crate::event_loop::EventLoop;
use crate::task::{Builder, Task};

/// Runs a coroutine on a new event loop, and closes the loop. asyncio's `run`.
///
/// The loop has as many workers as the machine has cores; [`Runner::builder`] offers more settings.
/// The calling thread only waits.
///
/// When the coroutine ends, every other task is cancelled once and waited for, up to the [shutdown
/// timeout](RunnerBuilder::shutdown_timeout), and so are functions that run in
/// [`to_thread`](crate::to_thread) or an executor. Tasks that still live after that are named in a
/// report to the exception handler and dropped; for functions the report gives the number that are
/// left behind. So `run` always returns, even if workers are stuck.
///
/// # Examples
///
/// ```
/// let answer = selvedge::run(async { Ok(6 * 7) })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), selvedge::Error>(())
/// ```
///
/// # Errors
///
/// The error that the coroutine returned; [`RuntimeError`] if called from a running event loop;
/// [`std::io::Error`] if the system refuses a thread; [`KeyboardInterrupt`] if the user pressed
/// Ctrl-C once and the coroutine ended because of it, or pressed it twice.
///
/// # Cancellation
///
/// Ctrl-C cancels the coroutine at the await at which it is suspended: a coroutine that computes
/// and never awaits does not notice it. A second Ctrl-C ends `run` at once. This holds only on the
/// main thread, and only if no other code handles the signal already. A handler for `SIGINT` that
/// the program [adds](EventLoop::add_signal_handler) to the loop replaces this behaviour as long as
/// it is there. Code that installs a handler while `run` waits (by signal-hook, or tokio) gets the
/// signal too; but once `run` has returned, the signal also performs its default action.
#[track_caller]
pub fn run<C: Coroutine>(main: C) -> Result<C::Item> {
    Runner::builder().run(main)
}

/// Runs several coroutines, one after the other, on one loop and in one context.
///
/// # Examples
///
/// ```
/// let runner = selvedge::Runner::builder().workers(2).build()?;
/// assert_eq!(runner.run(async { Ok(1) })?, 1);
/// assert_eq!(runner.run(async { Ok(2) })?, 2);
/// runner.close();
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct Runner {
    event_loop: EventLoop,
    context: Context,
    shutdown_timeout: Duration,
    /// Ctrl-C was pressed twice: `close` does not wait for clean-up.
    is_hurried: AtomicBool,
    is_closed: AtomicBool,
}

impl Runner {
    /// A runner with the defaults.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] if the system refuses a thread.
    pub fn new() -> Result<Runner> {
        Runner::builder().build()
    }

    /// Sets up a runner.
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder::new()
    }

    fn over(event_loop: EventLoop, shutdown_timeout: Duration) -> Runner {
        Runner {
            event_loop,
            context: copy_context(),
            shutdown_timeout,
            is_hurried: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        }
    }

    /// The loop. It runs tasks from now on until [`close`](Runner::close), during
    /// [`run`](Runner::run) and between its calls.
    pub fn get_loop(&self) -> EventLoop {
        self.event_loop.clone()
    }

    /// Runs a coroutine to its end. Other tasks continue until [`close`](Runner::close).
    ///
    /// Several threads may call this at once: the coroutines run concurrently on the one loop and
    /// share its context, so each sees the context variables that another sets. (asyncio refuses.)
    ///
    /// # Errors
    ///
    /// As [`run`]; and [`RuntimeError`] "Runner is closed".
    #[track_caller]
    pub fn run<C: Coroutine>(&self, main: C) -> Result<C::Item> {
        let pause = MainsPause::default();
        let result = self.run_until_pause(main, &pause);
        // The other tasks continue, so their time must move on.
        pause.end();
        result
    }

    /// As [`run`](Self::run), but virtual time is paused from the end of main until the clock pause
    /// is ended.
    #[track_caller]
    fn run_until_pause<C: Coroutine>(&self, main: C, pause: &MainsPause) -> Result<C::Item> {
        refuse_inside_loop("Runner.run()")?;
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(RuntimeError::new("Runner is closed").into());
        }
        let waiter = Waiter::new(&self.event_loop);
        let builder = Builder::new().context(self.context.clone());
        let task = builder.spawn_on(self.event_loop.scheduler(), pause.around(main), Location::caller());
        let ended = wait_for_main(task, &waiter);
        // Relaxed: read by the thread that closes the runner, which has this call's result or
        // shares the runner by other means.
        self.is_hurried.fetch_or(matches!(ended, Ended::Hurried), Ordering::Relaxed);
        match ended {
            Ended::Main(result) => result,
            Ended::Hurried => Err(KeyboardInterrupt::new().into()),
        }
    }

    /// Cancels the remaining tasks, waits for them up to the shutdown timeout, and closes the loop.
    /// Calling it again does nothing.
    ///
    /// When called on one of the loop's own workers it closes the loop without waiting.
    pub fn close(&self) {
        self.close_and_end(&MainsPause::default());
    }

    /// As [`close`](Self::close); `pause` ends when every task has been cancelled.
    fn close_and_end(&self, pause: &MainsPause) {
        // Relaxed: only one caller wins the swap, and it publishes nothing.
        if !self.is_closed.swap(true, Ordering::Relaxed) {
            let shutdown = if self.is_hurried.load(Ordering::Relaxed) {
                Shutdown::hurried(&self.event_loop)
            } else {
                Shutdown::new(&self.event_loop, self.shutdown_timeout)
            };
            shutdown.finish(pause);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("event_loop", &self.event_loop).finish_non_exhaustive()
    }
}

fn refuse_inside_loop(what: &str) -> Result<()> {
    if Scheduler::current_worker().is_none() {
        return Ok(());
    }
    Err(RuntimeError::new(format!("{what} cannot be called from a running event loop")).into())
}

/// How the wait for main ended.
enum Ended<T> {
    Main(Result<T>),
    Hurried,
}

/// Waits for main. The first Ctrl-C cancels main, the second one ends the wait.
fn wait_for_main<T: Send + 'static>(task: Task<T>, waiter: &Waiter) -> Ended<T> {
    let waker = waiter.waker();
    let mut cx = PollContext::from_waker(&waker);
    let mut task = pin!(task);
    let mut is_interrupted = false;
    loop {
        if let Poll::Ready(result) = task.poll_join(&mut cx) {
            // If other code has cancelled main too, the error must stay a cancellation.
            let is_ours = is_interrupted
                && result.as_ref().is_err_and(crate::Error::is_cancelled)
                && task.uncancel() == 0;
            return Ended::Main(if is_ours { Err(KeyboardInterrupt::new().into()) } else { result });
        }
        waiter.wait(None);
        if waiter.take_interrupt() {
            if is_interrupted {
                return Ended::Hurried;
            }
            is_interrupted = true;
            task.cancel();
        }
    }
}
