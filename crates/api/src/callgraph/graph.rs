//! What does a call graph say, and how is it read?

use std::fmt;
use std::io::Write;
use std::time::Duration;

use selvedge_scheduler::{Look, Scheduler};

use super::entry::FrameCallGraphEntry;
use super::node::{AnyFuture, Node};
use super::survey::{Standing, Survey, on_a_worker};
use crate::error::Result;
use crate::event_loop::EventLoop;
use crate::task::{current_task, no_running_loop};

/// Where many tasks await each other crosswise, the ways through them are too many to be shown: a graph ends after this many tasks.
const MOST_TASKS: usize = 1000;

/// What a task was doing when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It waits, where the call stack says; a future waits to be set.
    Suspended,
    /// It is the task that asks.
    Asking,
    /// It is being polled, so it cannot be asked. It is not waited for.
    Running {
        /// The worker that polls it, as in [`Metrics`](crate::Metrics).
        worker: usize,
        /// For how long, at least. `None`: not long enough to be noticed (some milliseconds), or the loop runs without
        /// [rescue](crate::RunnerBuilder::rescue).
        lasted: Option<Duration>,
    },
    /// It was woken, or has not begun, and waits for a worker.
    Ready,
    /// It has ended.
    Done,
    /// No worker of its loop came to ask it within a quarter of a second.
    Unknown,
}

impl From<Look> for Activity {
    fn from(look: Look) -> Activity {
        match look {
            Look::Polled => Activity::Suspended,
            Look::Running { worker, lasted } => Activity::Running { worker, lasted },
            Look::Queued => Activity::Ready,
            Look::Done => Activity::Done,
            Look::NotHere => Activity::Unknown,
        }
    }
}

/// Who awaits a task or a future, who awaits those, and where each stands. asyncio's class of that name.
///
/// It is what was seen when it was captured. [`Display`](fmt::Display) writes it as [`format_call_graph`] does.
#[derive(Clone, Debug)]
pub struct FutureCallGraph {
    future: AnyFuture,
    activity: Activity,
    call_stack: Vec<FrameCallGraphEntry>,
    awaited_by: Vec<FutureCallGraph>,
    is_cut: bool,
}

impl FutureCallGraph {
    /// The task or future.
    pub fn future(&self) -> &AnyFuture {
        &self.future
    }

    /// What it was doing.
    pub fn activity(&self) -> Activity {
        self.activity
    }

    /// Where it stood, innermost first: the awaits of this library, then the functions around them. Empty for a future, and for a task that has ended.
    pub fn call_stack(&self) -> &[FrameCallGraphEntry] {
        &self.call_stack
    }

    /// Who awaits it, in the order in which the tasks were made.
    pub fn awaited_by(&self) -> &[FutureCallGraph] {
        &self.awaited_by
    }

    /// Whether those who await it are left out because they stand further up: the tasks await each other in a circle. (asyncio recurses until it fails.)
    /// Or because the graph has a thousand entries already.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, level: usize) -> fmt::Result {
        let indent = "    ".repeat(level);
        write!(f, "{indent}* {}", self.future)?;
        match self.activity {
            Activity::Suspended | Activity::Asking => {}
            Activity::Running { worker, lasted: Some(lasted) } => {
                write!(f, "\n{indent}  + Running on worker {worker} for {} ms", lasted.as_millis())?;
            }
            Activity::Running { worker, lasted: None } => {
                write!(f, "\n{indent}  + Running on worker {worker}")?;
            }
            Activity::Ready => write!(f, "\n{indent}  + Ready to run")?,
            Activity::Done => write!(f, "\n{indent}  + Done")?,
            Activity::Unknown => write!(f, "\n{indent}  + Not asked: no worker came to it")?,
        }
        if !self.call_stack.is_empty() {
            write!(f, "\n{indent}  + Call stack:")?;
        }
        for entry in &self.call_stack {
            write!(f, "\n{indent}  |   {entry}")?;
        }
        if self.is_cut && self.awaited_by.is_empty() {
            return write!(f, "\n{indent}  + Awaited by: see above");
        }
        if !self.awaited_by.is_empty() {
            write!(f, "\n{indent}  + Awaited by:")?;
        }
        for awaiter in &self.awaited_by {
            writeln!(f)?;
            awaiter.write(f, level + 1)?;
        }
        if self.is_cut {
            write!(f, "\n{indent}    * and others")?;
        }
        Ok(())
    }
}

impl fmt::Display for FutureCallGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Who awaits a task or a future, and where each of them stands. Of the task that asks, if none is named; `Ok(None)` if none asks either, as in a callback.
///
/// Nothing is recorded while tasks run; this asks all tasks of the loop, which costs about as much as waking each of them once. A suspended task
/// is polled once without going on. One that is running, or waits for a worker, is not waited for: [`FutureCallGraph::activity`] says so, and for how
/// long. From a thread that is no worker of the loop, a worker is asked to do it, and is waited for no longer than a quarter of a second.
///
/// At most `limit` entries of each call stack: those nearest to where the task stands, or, for a negative number, the outermost ones; `None`
/// means all, zero none.
///
/// How much the stacks tell depends on what the compiler leaves in the program. With debug information (`debug = "line-tables-only"` is enough) they name
/// each coroutine from the await outwards, or at least its file and line. Without it they name the await, with its line, and the task's coroutine.
/// Awaits of other crates' futures do not show by themselves, and neither does what lies inside a collection that polls only what was woken
/// (`FuturesUnordered`). Whom a task awaits is known while it is suspended; and what a gathering that nobody awaits yet holds is not awaited.
///
/// Futures of other crates are polled as they are, on this thread. So do not ask while holding a lock that such a future takes when it is polled.
///
/// asyncio's `depth`, which leaves out the innermost functions, is not carried over.
///
/// # Examples
///
/// ```
/// # selvedge::Runner::builder().workers(1).virtual_time(true).run(async {
/// let inner = selvedge::create_task(selvedge::sleep(std::time::Duration::from_secs(1))).named("inner");
/// let handle = inner.handle();
/// let outer = selvedge::create_task(inner).named("outer");
/// selvedge::sleep(std::time::Duration::from_millis(1)).await?;
/// let graph = selvedge::capture_call_graph(handle, None)?.expect("it was named");
/// assert_eq!(graph.call_stack()[0].function(), "selvedge::sleep");
/// assert_eq!(graph.awaited_by()[0].future().task(), Some(&outer.handle()));
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`RuntimeError`](crate::RuntimeError) "no running event loop" if nothing is named on a thread that is no worker of a loop.
pub fn capture_call_graph(
    future: impl Into<Option<AnyFuture>>,
    limit: impl Into<Option<isize>>,
) -> Result<Option<FutureCallGraph>> {
    let Some(future) = future.into().map_or_else(asker, |future| Ok(Some(future)))? else {
        return Ok(None);
    };
    let limit = limit.into();
    if let Some(here) = Scheduler::current() {
        let survey = Survey::of(&here);
        if survey.knows(&future) || future.done() {
            return Ok(Some(Builder::new(survey, limit).build(&future)));
        }
    }
    let home = home_of(&future);
    let asked = future.clone();
    let ask = move |here: &Scheduler| Builder::new(Survey::of(here), limit).build(&asked);
    let answer = home.as_ref().and_then(|home| on_a_worker(home, ask));
    Ok(Some(answer.unwrap_or_else(|| FutureCallGraph::unanswered(future, home.as_ref()))))
}

/// The task that asks.
fn asker() -> Result<Option<AnyFuture>> {
    if Scheduler::current_worker().is_none() {
        return Err(no_running_loop());
    }
    Ok(current_task().map(AnyFuture::from))
}

fn home_of(future: &AnyFuture) -> Option<EventLoop> {
    match &future.0 {
        Node::Task(task) => Scheduler::of(task.task_ref()).and_then(EventLoop::of),
        Node::Future(future) => Some(future.event_loop().clone()),
    }
}

/// Writes down what [`capture_call_graph`] finds. Empty if nothing is named and no task asks.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let text = selvedge::format_call_graph(None, 0)?;
/// assert!(text.starts_with("* Task(name='Task-"), "{text}");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// A task that waits for two others, one of which waits for a future, and is asked who awaits that future:
///
/// ```text
/// * Future(id=0x7f0c5c000c10)
///   + Awaited by:
///     * Task(name='reader', id=0x3)
///       + Call stack:
///       |   File 'src/main.rs', line 12, in async selvedge::Future()
///       |   File 'src/main.rs', line 12, in async demo::reader()
///       + Awaited by:
///         * Task(name='Task-1', id=0x1)
///           + Call stack:
///           |   File 'src/main.rs', line 21, in async selvedge::gather()
///           |   File 'src/main.rs', line 21, in async demo::main()
/// ```
///
/// # Errors
///
/// As for [`capture_call_graph`].
pub fn format_call_graph(
    future: impl Into<Option<AnyFuture>>,
    limit: impl Into<Option<isize>>,
) -> Result<String> {
    Ok(capture_call_graph(future, limit)?.map(|graph| graph.to_string()).unwrap_or_default())
}

/// Writes what [`format_call_graph`] returns, and a line's end, to `out`.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// selvedge::print_call_graph(None, None, &mut std::io::stdout())?;
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// As for [`capture_call_graph`]; [`std::io::Error`] if it cannot be written.
pub fn print_call_graph(
    future: impl Into<Option<AnyFuture>>,
    limit: impl Into<Option<isize>>,
    out: &mut impl Write,
) -> Result<()> {
    writeln!(out, "{}", format_call_graph(future, limit)?)?;
    Ok(())
}

impl FutureCallGraph {
    /// No worker came; who polls a task can be seen even so.
    fn unanswered(future: AnyFuture, home: Option<&EventLoop>) -> FutureCallGraph {
        let activity = match (future.task(), home) {
            _ if future.done() => Activity::Done,
            (Some(task), Some(home)) => Activity::from(home.scheduler().look(task.task_ref())),
            _ => Activity::Unknown,
        };
        FutureCallGraph { future, activity, call_stack: Vec::new(), awaited_by: Vec::new(), is_cut: false }
    }
}

/// Follows the edges outwards.
struct Builder<'a> {
    survey: Survey<'a>,
    limit: Option<isize>,
    /// The way from the beginning to here.
    path: Vec<AnyFuture>,
    left: usize,
}

impl<'a> Builder<'a> {
    fn new(survey: Survey<'a>, limit: Option<isize>) -> Builder<'a> {
        Builder { survey, limit, path: Vec::new(), left: MOST_TASKS }
    }

    fn build(&mut self, future: &AnyFuture) -> FutureCallGraph {
        let Standing { activity, stack } = self.survey.standing_of(future);
        let call_stack = limited(stack, self.limit);
        let mut is_cut = self.path.contains(future);
        let mut awaited_by = Vec::new();
        if !is_cut {
            self.path.push(future.clone());
            for awaiter in self.survey.awaiters_of(future) {
                if self.left == 0 {
                    is_cut = true;
                    break;
                }
                self.left -= 1;
                awaited_by.push(self.build(&awaiter));
            }
            self.path.pop();
        }
        FutureCallGraph { future: future.clone(), activity, call_stack, awaited_by, is_cut }
    }
}

fn limited(mut stack: Vec<FrameCallGraphEntry>, limit: Option<isize>) -> Vec<FrameCallGraphEntry> {
    match limit {
        None => {}
        Some(nearest @ 0..) => stack.truncate(nearest.unsigned_abs()),
        Some(outermost) => {
            let left_out = stack.len().saturating_sub(outermost.unsigned_abs());
            stack.drain(..left_out);
        }
    }
    stack
}
