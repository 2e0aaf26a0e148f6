//! Where are errors reported that no caller can receive?

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use selvedge_scheduler::{Scheduler, TaskRef};

use super::{EventLoop, ExceptionContext};
use crate::contain;
use crate::error::Error;
use crate::slot::{TaskHandle, TaskRefExt, TaskSlot};

/// Calls the loop's exception handler, without a lock: it is the program's code, and may panic.
pub(super) fn deliver(event_loop: &EventLoop, context: &ExceptionContext) {
    let Some(handler) = event_loop.shared().exception_handler() else { return write_to_stderr(context) };
    if let Err(panic) = contain::call(|| (handler.get())(event_loop, context)) {
        write_to_stderr(context);
        write_to_stderr(
            &ExceptionContext::new("Unhandled error in exception handler").with_exception(panic.into()),
        );
    }
}

/// What happens without a handler. Standard error may be closed; then the report is lost.
pub(super) fn write_to_stderr(context: &ExceptionContext) {
    // The text is made first. The error prints itself, which is the program's code, and two reports
    // at a time must stay apart.
    let mut text = String::new();
    let _ = writeln!(text, "{context}");
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A task failed, and the last handle that could have retrieved its error is gone.
pub(crate) fn never_retrieved(task: &TaskRef, error: Error) {
    let message = "Task exception was never retrieved";
    let context =
        ExceptionContext::new(message).with_task(TaskHandle::new(task.clone())).with_exception(error);
    // The last handle may be dropped on any thread, so the loop was noted when the task failed.
    match task.task_slot().failed_on().cloned().and_then(EventLoop::of) {
        Some(event_loop) => deliver(&event_loop, &context),
        None => write_to_stderr(&context),
    }
}

/// At most this many tasks are named in a report, or get reports of their own; the rest are
/// counted.
const MOST_NAMED: usize = 20;

/// The tasks that failed while the loop was being shut down. Each of the first ones gets a report.
pub(crate) struct Failures {
    event_loop: EventLoop,
    count: usize,
}

impl Failures {
    pub(crate) fn new(event_loop: &EventLoop) -> Failures {
        Failures { event_loop: event_loop.clone(), count: 0 }
    }

    /// Reports the error of a task that has ended, if it has one.
    pub(crate) fn note(&mut self, task: &TaskHandle) {
        let Some(error) = task.task_ref().failure().filter(|error| !error.is_cancelled()) else { return };
        self.count += 1;
        if self.count <= MOST_NAMED {
            let message = "unhandled exception during run() shutdown";
            deliver(
                &self.event_loop,
                &ExceptionContext::new(message).with_task(task.clone()).with_exception(error),
            );
        }
    }

    /// Reports the number of failures that had no report of their own.
    pub(crate) fn report_the_rest(&mut self) {
        let rest = std::mem::take(&mut self.count).saturating_sub(MOST_NAMED);
        if rest > 0 {
            let message = format!("unhandled exceptions in {} more during run() shutdown", tasks(rest));
            deliver(&self.event_loop, &ExceptionContext::new(message));
        }
    }
}

/// How long a shutdown waited.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    For(Duration),
    /// It did not wait: main was cancelled, and then Ctrl-C was pressed once more.
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

/// The tasks and functions that a shutdown did not wait for to the end, for one report.
pub(crate) struct GivenUp {
    waited: Waited,
    did_not_stop: Named,
    stuck: Named,
    stuck_callbacks: usize,
    waiting: Named,
    without_turn: usize,
    functions: usize,
}

/// The first tasks, which are named, and the number of all.
#[derive(Default)]
struct Named {
    first: Vec<TaskHandle>,
    count: usize,
}

impl Named {
    fn add(&mut self, task: &TaskHandle) {
        self.count += 1;
        if self.first.len() < MOST_NAMED {
            self.first.push(task.clone());
        }
    }

    /// The tasks' names, at most `allowed`, which is reduced by their number.
    fn list(&self, allowed: &mut usize) -> String {
        let names: Vec<_> = {
            let first = self.first.iter().take(*allowed);
            first.map(|task| task.task_ref().task_slot().name()).collect()
        };
        *allowed -= names.len();
        match (names.len(), self.count - names.len()) {
            (_, 0) => names.join(", "),
            (0, rest) => tasks(rest),
            (_, rest) => format!("{} and {rest} more", names.join(", ")),
        }
    }
}

impl GivenUp {
    pub(crate) fn new(waited: Waited) -> GivenUp {
        GivenUp {
            waited,
            did_not_stop: Named::default(),
            stuck: Named::default(),
            stuck_callbacks: 0,
            waiting: Named::default(),
            without_turn: 0,
            functions: 0,
        }
    }

    /// The task was cancelled for the shutdown, and was still suspended when the time was up.
    pub(crate) fn did_not_stop(&mut self, task: &TaskHandle) {
        self.did_not_stop.add(task);
    }

    /// As above, but it waits for another task that was cancelled too.
    pub(crate) fn waiting(&mut self, task: &TaskHandle) {
        self.waiting.add(task);
    }

    /// The task's poll, or the callback, has not ended, so its thread cannot be joined.
    pub(crate) fn stuck(&mut self, task: &TaskRef) {
        match task.slot::<TaskSlot>() {
            Some(_) => self.stuck.add(&TaskHandle::new(task.clone())),
            None => self.stuck_callbacks += 1,
        }
    }

    /// The task was not polled after it was cancelled: it might have stopped.
    pub(crate) fn without_turn(&mut self) {
        self.without_turn += 1;
    }

    /// Functions that were given to `to_thread` or an executor have not returned, so their threads
    /// cannot be joined.
    pub(crate) fn functions(&mut self, count: usize) {
        self.functions += count;
    }

    /// One report, unless there is nothing to report.
    pub(crate) fn report(mut self, event_loop: &EventLoop) {
        if self.did_not_stop.count == 0 && self.stuck.count == 0 && self.stuck_callbacks == 0 {
            // The tasks that these wait for are not known, or they wait for each other: so it was
            // these that did not stop.
            self.did_not_stop = std::mem::take(&mut self.waiting);
        }
        let lines = self.lines();
        if lines.is_empty() {
            return;
        }
        let mut context = ExceptionContext::new(lines.join("\n"));
        if let ([task], []) | ([], [task]) = (&*self.did_not_stop.first, &*self.stuck.first) {
            context = context.with_task(task.clone());
        }
        deliver(event_loop, &context);
    }

    fn lines(&self) -> Vec<String> {
        let (waited, mut allowed, mut lines) = (self.waited, MOST_NAMED, Vec::new());
        if self.did_not_stop.count > 0 {
            let names = self.did_not_stop.list(&mut allowed);
            let (was, it) = if self.did_not_stop.count == 1 { ("was", "it") } else { ("were", "they") };
            lines.push(format!(
                "{names} {was} cancelled for the shutdown and did not stop {waited}; {it} {was} dropped where {it} stood"
            ));
        }
        if self.stuck.count > 0 {
            let names = self.stuck.list(&mut allowed);
            let (are, it, threads) = if self.stuck.count == 1 {
                ("is", "it", "its thread is")
            } else {
                ("are", "them", "their threads are")
            };
            lines.push(format!(
                "{names} {are} inside a poll or a destructor that did not end {waited}; the loop was closed without {it}, and \
                 {threads} left behind"
            ));
        }
        if self.stuck_callbacks > 0 {
            let (callbacks, threads) = if self.stuck_callbacks == 1 {
                ("a callback".to_owned(), "its thread is")
            } else {
                (format!("{} callbacks", self.stuck_callbacks), "their threads are")
            };
            lines.push(format!(
                "{callbacks} did not return {waited}; the loop was closed without it, and {threads} left behind"
            ));
        }
        if self.functions > 0 {
            let (functions, threads) = if self.functions == 1 {
                ("function", "its thread is")
            } else {
                ("functions", "their threads are")
            };
            lines.push(format!(
                "{} {functions} given to to_thread() or an executor did not return {waited}; the loop was closed, and \
                 {threads} left behind",
                self.functions
            ));
        }
        if lines.is_empty() {
            return lines;
        }
        // Tasks that were dropped only because of the ones above.
        if self.waiting.count > 0 {
            let were = if self.waiting.count == 1 { "was" } else { "were" };
            lines.push(format!("{} that waited for these {were} dropped, too", tasks(self.waiting.count)));
        }
        if self.without_turn > 0 {
            lines.push(format!(
                "{} did not get a turn any more and were dropped, too",
                tasks(self.without_turn)
            ));
        }
        lines
    }
}

fn tasks(count: usize) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
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

/// Debug mode: a client of a server has disconnected. That is common and needs no action.
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
