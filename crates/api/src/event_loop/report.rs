//! Where do errors go that nobody can be given?

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use selvedge_scheduler::{Scheduler, TaskRef};

use super::{EventLoop, ExceptionContext};
use crate::error::{Error, PanicError};
use crate::task::{TaskHandle, TaskRefExt, TaskSlot};

/// Tells the loop's exception handler. The handler is the user's code: it may panic, and no lock is held.
pub(super) fn deliver(event_loop: &EventLoop, context: &ExceptionContext) {
    let Some(handler) = event_loop.shared().exception_handler() else { return write_to_stderr(context) };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| handler(event_loop, context))) {
        write_to_stderr(context);
        let panic = PanicError::from_payload(payload);
        write_to_stderr(
            &ExceptionContext::new("Unhandled error in exception handler").with_exception(panic.into()),
        );
    }
}

/// What happens without a handler. Standard error may be closed; then there is nobody left to tell.
pub(super) fn write_to_stderr(context: &ExceptionContext) {
    let _ = writeln!(std::io::stderr(), "{context}");
}

/// A task failed, and the last one who could have asked for its error has gone.
pub(crate) fn never_retrieved(task: &TaskRef, error: Error) {
    let message = "Task exception was never retrieved";
    let context =
        ExceptionContext::new(message).with_task(TaskHandle::new(task.clone())).with_exception(error);
    // The last handle may be dropped anywhere, so the loop is the one that was there when the task failed.
    match task.task_slot().failed_on() {
        Some(event_loop) => deliver(event_loop, &context),
        None => write_to_stderr(&context),
    }
}

/// The task failed while the loop was being shut down.
pub(crate) fn failed_in_shutdown(event_loop: &EventLoop, task: TaskHandle, error: Error) {
    let message = "unhandled exception during run() shutdown";
    deliver(event_loop, &ExceptionContext::new(message).with_task(task).with_exception(error));
}

/// How long a shutdown waited.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    For(Duration),
    /// Not at all: main was asked to stop, and then Ctrl-C was pressed once more.
    UntilSecondInterrupt,
    /// Until Ctrl-C was pressed during the shutdown.
    UntilInterrupt,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waited::For(time) => write!(f, "within {time:?}"),
            Waited::UntilSecondInterrupt => f.write_str("before Ctrl-C was pressed a second time"),
            Waited::UntilInterrupt => f.write_str("before Ctrl-C was pressed during the shutdown"),
        }
    }
}

/// The task was cancelled for the shutdown, and stood at an await when the time was up.
pub(crate) fn did_not_stop(event_loop: &EventLoop, task: TaskHandle, waited: Waited) {
    let name = task.get_name();
    let message = format!(
        "{name} was cancelled for the shutdown and did not stop {waited}; it was dropped where it stood"
    );
    deliver(event_loop, &ExceptionContext::new(message).with_task(task));
}

/// The task's poll has not ended, so its thread cannot be joined.
pub(crate) fn stuck_in_poll(event_loop: &EventLoop, task: &TaskRef, waited: Waited) {
    if task.slot::<TaskSlot>().is_none() {
        let message = format!(
            "a callback did not return {waited}; the loop was closed without it, and its thread is left behind"
        );
        return deliver(event_loop, &ExceptionContext::new(message));
    }
    let task = TaskHandle::new(task.clone());
    let name = task.get_name();
    let message = format!(
        "{name} is inside a poll or a destructor that did not end {waited}; the loop was closed without it, and its \
         thread is left behind"
    );
    deliver(event_loop, &ExceptionContext::new(message).with_task(task));
}

/// Functions that were given to `to_thread` or an executor have not returned, so their threads cannot be joined.
pub(crate) fn functions_still_run(event_loop: &EventLoop, count: usize, waited: Waited) {
    let (functions, threads) =
        if count == 1 { ("function", "its thread is") } else { ("functions", "their threads are") };
    let message = format!(
        "{count} {functions} given to to_thread() or an executor did not return {waited}; the loop was closed, and \
         {threads} left behind"
    );
    deliver(event_loop, &ExceptionContext::new(message));
}

/// A callback panicked: a task's done callback, or one of the loop's.
pub(crate) fn callback_panicked(task: Option<&TaskHandle>, error: Error) {
    let mut context = ExceptionContext::new("Exception in callback").with_exception(error);
    if let Some(task) = task {
        context = context.with_task(task.clone());
    }
    match Scheduler::current().and_then(EventLoop::of) {
        Some(event_loop) => deliver(&event_loop, &context),
        None => write_to_stderr(&context),
    }
}

/// Debug mode: a client of a server has gone. That happens all the time, and nobody has to do anything about it.
pub(super) fn vanished(client: Option<SocketAddr>, error: &Error) {
    let client = client.map_or_else(String::new, |client| format!(" {client}"));
    write_to_stderr(&ExceptionContext::new(format!("The client{client} has vanished: {error}")));
}

/// Debug mode: a poll held its worker for long.
pub(super) fn slow_poll(task: &TaskRef, lasted: Duration) {
    if task.slot::<TaskSlot>().is_some() {
        let task = TaskHandle::new(task.clone());
        let message = format!("Executing {task:?} took {:.3} seconds", lasted.as_secs_f64());
        write_to_stderr(&ExceptionContext::new(message));
    } else {
        write_to_stderr(&ExceptionContext::new(format!(
            "Executing a callback took {:.3} seconds",
            lasted.as_secs_f64()
        )));
    }
}
