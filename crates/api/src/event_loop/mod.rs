//! What can a program do with its event loop?

mod background;
mod callback;
mod exception;
pub(crate) mod report;
mod running;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use selvedge_scheduler::Scheduler;
pub use selvedge_scheduler::{Metrics, WorkerMetrics};

pub use self::callback::{Handle, TimerHandle};
pub use self::exception::ExceptionContext;
pub(crate) use self::running::counted;
pub(crate) use self::shared::LoopShared;
use crate::contain::Contained;
use crate::context_var::copy_context;
use crate::error::{Error, Result, no_running_loop};

/// An event loop: worker threads, and the tasks, timers and callbacks that they run.
///
/// This is a cheap reference, usable from any thread. (asyncio's loop belongs to one thread, and
/// has `call_soon_threadsafe` for the others.) It is created by [`Runner`](crate::Runner) or
/// [`run`](crate::run), and returned by [`get_running_loop`]. Its workers run it, so there is no
/// `run_forever`, `stop` or `close`; [`Runner::close`](crate::Runner::close) ends it.
///
/// # Examples
///
/// ```
/// let runner = selvedge::Runner::builder().workers(1).build()?;
/// let event_loop = runner.get_loop();
/// let task = event_loop.create_task(async { Ok(42) });
/// assert_eq!(runner.run(task)?, 42);
/// runner.close();
/// assert!(event_loop.is_closed());
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone)]
pub struct EventLoop {
    /// Its hooks are an `Arc<LoopShared>`; see `shared.rs`.
    scheduler: Scheduler,
}

/// The loop that runs this code.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let event_loop = selvedge::get_running_loop()?;
/// assert!(event_loop.is_running());
/// # Ok(())
/// # }).unwrap();
/// assert!(selvedge::get_running_loop().is_err());
/// ```
///
/// # Errors
///
/// [`RuntimeError`](crate::RuntimeError) "no running event loop" on a thread that is no worker of a
/// loop, as in [`to_thread`](crate::to_thread).
pub fn get_running_loop() -> Result<EventLoop> {
    Scheduler::current().and_then(EventLoop::of).ok_or_else(no_running_loop)
}

impl EventLoop {
    /// The loop around a scheduler; `None` if this library did not start that one.
    pub(crate) fn of(scheduler: Scheduler) -> Option<EventLoop> {
        scheduler.hooks().downcast_ref::<LoopShared>()?;
        Some(EventLoop { scheduler })
    }

    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    pub(crate) fn shared(&self) -> &LoopShared {
        self.scheduler.hooks().downcast_ref().expect("a loop is only made around our own hooks")
    }

    /// Calls `f` soon on a worker, in a copy of the current context, unless the handle is cancelled
    /// before. Callbacks of one thread start in the order of its calls; with several workers they
    /// may overlap.
    ///
    /// A panic is reported to the exception handler. On a closed loop `f` is dropped, and the
    /// handle is cancelled from the start.
    pub fn call_soon(&self, f: impl FnOnce() + Send + 'static) -> Handle {
        callback::call_soon(self, copy_context(), Box::new(f))
    }

    /// As [`call_soon`](Self::call_soon), which is safe from every thread; asyncio's name for it.
    pub fn call_soon_threadsafe(&self, f: impl FnOnce() + Send + 'static) -> Handle {
        self.call_soon(f)
    }

    /// Calls `f` after `delay`. On a closed loop `f` is dropped, and the handle is cancelled from
    /// the start.
    pub fn call_later(&self, delay: Duration, f: impl FnOnce() + Send + 'static) -> TimerHandle {
        self.call_at(self.time().saturating_add(delay), f)
    }

    /// Calls `f` when [`time`](Self::time) is `when` or later. On a closed loop `f` is dropped, and
    /// the handle is cancelled from the start.
    pub fn call_at(&self, when: Duration, f: impl FnOnce() + Send + 'static) -> TimerHandle {
        callback::call_at(self, copy_context(), when, Box::new(f))
    }

    /// How long the loop has been running, on its own clock: monotonic, in steps of a nanosecond,
    /// and virtual if the runner was built with virtual time. (asyncio's is a number of seconds
    /// since some point in the past.)
    ///
    /// Virtual time goes as far as [`Duration::MAX`] and stops there: later deadlines are reached
    /// at that moment.
    pub fn time(&self) -> Duration {
        self.scheduler.moment().into()
    }

    /// Sets the handler for errors that no caller can receive: errors of dropped tasks, panics in
    /// callbacks, tasks that do not stop. The handler is called on the thread that finds the error,
    /// and replaces the former one. By default these errors are written to standard error.
    ///
    /// If the handler panics, both its panic and the error that it was called with are written to
    /// standard error. If an error's own `Debug` panics, the report says so in its place. (A panic
    /// *hook* that panics ends the process; that is the standard library's rule.)
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// let event_loop = selvedge::get_running_loop()?;
    /// let told = event_loop.create_future();
    /// let ours = told.clone();
    /// event_loop.set_exception_handler(move |_loop, context| {
    ///     let _ = ours.set_result(context.message().to_owned());
    /// });
    /// drop(selvedge::create_task(async { Err::<(), _>(selvedge::Error::msg("nobody looks")) }));
    /// assert_eq!(told.await?, "Task exception was never retrieved");
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_exception_handler(
        &self,
        handler: impl Fn(&EventLoop, &ExceptionContext) + Send + Sync + 'static,
    ) {
        self.shared().set_exception_handler(Some(Arc::new(Contained::new(Box::new(handler)))));
    }

    /// Restores the default, as asyncio's `set_exception_handler(None)`.
    pub fn reset_exception_handler(&self) {
        self.shared().set_exception_handler(None);
    }

    /// Calls the exception handler. If the handler panics, the default handler reports the panic.
    pub fn call_exception_handler(&self, context: &ExceptionContext) {
        report::deliver(self, context);
    }

    /// Writes the report to standard error, as happens if no handler is set.
    pub fn default_exception_handler(&self, context: &ExceptionContext) {
        report::write_to_stderr(context);
    }

    pub(crate) fn report_vanished(&self, client: Option<std::net::SocketAddr>, error: &Error) {
        if self.get_debug() {
            report::vanished(client, error);
        }
    }

    /// Debug mode reports polls that last longer than `slow_poll`, and clients that disconnect from
    /// a [server](crate::start_server).
    pub fn set_debug(&self, enabled: bool) {
        self.shared().set_debug(enabled);
    }

    /// Whether debug mode is on.
    pub fn get_debug(&self) -> bool {
        self.shared().is_debug()
    }

    /// Whether the loop runs tasks: from the start of its runner until it is closed.
    pub fn is_running(&self) -> bool {
        !self.is_closed()
    }

    /// Whether the loop was closed: its tasks never run again.
    pub fn is_closed(&self) -> bool {
        self.scheduler.is_closed()
    }

    /// Whether the loop refuses additions from the calling thread.
    pub(crate) fn refuses(&self) -> bool {
        self.scheduler.refuses()
    }

    /// Removes the signal handlers for good: the loop is about to be closed.
    pub(crate) fn close_signals(&self) {
        #[cfg(unix)]
        self.shared().signals().close();
    }

    /// Counters of what the workers have done.
    pub fn metrics(&self) -> Metrics {
        self.scheduler.metrics()
    }
}

impl PartialEq for EventLoop {
    fn eq(&self, other: &EventLoop) -> bool {
        self.scheduler.ptr_eq(&other.scheduler)
    }
}

impl Eq for EventLoop {}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("running", &self.is_running())
            .field("closed", &self.is_closed())
            .field("debug", &self.get_debug())
            .finish_non_exhaustive()
    }
}
