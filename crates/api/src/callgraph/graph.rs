//! What does a call graph contain, and how is it captured and printed?

use std::fmt;
use std::io::Write;
use std::time::Duration;

use selvedge_scheduler::{Probed, Scheduler};

use super::entry::FrameCallGraphEntry;
use super::node::{AnyFuture, Node};
use super::survey::{Standing, Survey, on_a_worker};
use crate::error::{Result, no_running_loop};
use crate::event_loop::EventLoop;
use crate::task::current_task;

/// If many tasks await each other crosswise, there are too many paths through them to show: a graph
/// ends after this many tasks.
const MOST_TASKS: usize = 1000;
/// So many levels of tasks that await each other are printed. Each level is indented further, so
/// the text of a long chain would grow with the square of its length.
const MOST_LEVELS: usize = 50;

/// What a task was doing when it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// It waits, at the await that the call stack shows; a future waits to be set.
    Suspended,
    /// It is the task that captures.
    Asking,
    /// It is being polled, so it cannot be captured. The capture does not wait for it.
    Running {
        /// The worker that polls it, as in [`Metrics`](crate::Metrics).
        worker: usize,
        /// For how long, at least. `None`: not long enough to be noticed (some milliseconds), or
        /// the loop runs without the [watchdog](crate::RunnerBuilder::watchdog).
        lasted: Option<Duration>,
    },
    /// It was woken, or has not begun, and waits for a worker.
    Ready,
    /// It has ended.
    Done,
    /// No worker of its loop came to capture it within a quarter of a second.
    Unknown,
}

impl From<Probed> for Activity {
    fn from(probed: Probed) -> Activity {
        match probed {
            Probed::Polled => Activity::Suspended,
            Probed::Running { worker, lasted } => Activity::Running { worker, lasted },
            Probed::Queued => Activity::Ready,
            Probed::Done => Activity::Done,
            // `NotHere`, or a value that a later version of the scheduler adds.
            _ => Activity::Unknown,
        }
    }
}

/// Which tasks await a task or a future, which tasks await those, and where each is suspended.
/// asyncio's class of that name.
///
/// It shows the tasks as they were when it was captured. [`Display`](fmt::Display) writes it as
/// [`format_call_graph`] does.
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

    /// Its call stack, innermost first: the awaits of this library, then the functions around them.
    /// Empty for a future, and for a task that has ended.
    pub fn call_stack(&self) -> &[FrameCallGraphEntry] {
        &self.call_stack
    }

    /// The tasks that await it, in the order in which they were created.
    pub fn awaited_by(&self) -> &[FutureCallGraph] {
        &self.awaited_by
    }

    /// Whether tasks that await it are left out. One reason is a circle of tasks that await each
    /// other: they are shown further up. (asyncio recurses until it fails.) The other is that the
    /// graph has a thousand entries already.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// This entry without its awaiters.
    fn without_awaiters(&self) -> FutureCallGraph {
        FutureCallGraph {
            future: self.future.clone(),
            activity: self.activity,
            call_stack: self.call_stack.clone(),
            awaited_by: Vec::new(),
            is_cut: self.is_cut,
        }
    }

    fn write_head(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
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
        if !self.awaited_by.is_empty() {
            write!(f, "\n{indent}  + Awaited by:")?;
        } else if self.is_cut {
            write!(f, "\n{indent}  + Awaited by: see above")?;
        }
        Ok(())
    }

    /// The number of entries below this one.
    fn count(&self) -> usize {
        let mut open: Vec<_> = self.awaited_by.iter().collect();
        let mut count = 0;
        while let Some(graph) = open.pop() {
            count += 1;
            open.extend(&graph.awaited_by);
        }
        count
    }
}

// Tasks that await each other may form a long chain. All that follows goes through it with a list
// of its own, and not by recursion.

impl fmt::Display for FutureCallGraph {
    /// Shows at most fifty levels of tasks that await each other, and the number of the tasks
    /// beyond them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f, "")?;
        let mut open = vec![(self, self.awaited_by.iter())];
        while let Some((graph, awaiters)) = open.last_mut() {
            let graph = *graph;
            let next = awaiters.next();
            let indent = "    ".repeat(open.len());
            match next {
                Some(_) if open.len() == MOST_LEVELS => {
                    write!(f, "\n{indent}* and {} others, not shown", graph.count())?;
                    open.pop();
                }
                Some(awaiter) => {
                    writeln!(f)?;
                    awaiter.write_head(f, &indent)?;
                    open.push((awaiter, awaiter.awaited_by.iter()));
                }
                None => {
                    if graph.is_cut && !graph.awaited_by.is_empty() {
                        write!(f, "\n{indent}* and others")?;
                    }
                    open.pop();
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FutureCallGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureCallGraph")
            .field("future", &self.future)
            .field("activity", &self.activity)
            .field("call_stack", &self.call_stack)
            .field("awaited_by", &self.awaited_by.len())
            .field("is_cut", &self.is_cut)
            .finish()
    }
}

impl Clone for FutureCallGraph {
    fn clone(&self) -> FutureCallGraph {
        let mut open = vec![(self.without_awaiters(), self.awaited_by.iter())];
        loop {
            let (_, awaiters) = open.last_mut().expect("the outermost one is returned when it is popped");
            if let Some(awaiter) = awaiters.next() {
                open.push((awaiter.without_awaiters(), awaiter.awaited_by.iter()));
                continue;
            }
            let (whole, _) = open.pop().expect("it was looked at above");
            match open.last_mut() {
                Some((around, _)) => around.awaited_by.push(whole),
                None => return whole,
            }
        }
    }
}

impl Drop for FutureCallGraph {
    fn drop(&mut self) {
        let mut open = std::mem::take(&mut self.awaited_by);
        while let Some(mut graph) = open.pop() {
            open.append(&mut graph.awaited_by);
        }
    }
}

/// Captures which tasks await a task or a future, and where each of them is suspended. `None` means
/// the current task; without a current task, as in a callback, the result is `Ok(None)`.
///
/// Nothing is recorded while tasks run; this captures all tasks of the loop, which costs about as
/// much as waking each of them once. A suspended task is polled once without going on. A task that
/// is running, or waits for a worker, is not waited for: [`FutureCallGraph::activity`] says so, and
/// for how long. If the calling thread is no worker of the loop, a worker makes the capture, and
/// the thread waits for it no longer than a quarter of a second.
///
/// Each call stack has at most `limit` entries: the innermost ones, or, for a negative number, the
/// outermost ones; `None` means all, zero none.
///
/// How much the stacks show depends on what the compiler leaves in the program. With debug
/// information (`debug = "line-tables-only"` is enough) they name each coroutine from the await
/// outwards, or at least its file and line. Without it they name the await, with its line, and the
/// task's coroutine. Awaits of other crates' futures do not show by themselves. Children inside a
/// collection that polls only children that were woken (`FuturesUnordered`) do not show either.
/// What a task awaits is known while it is suspended. The children of a gathering that is not
/// awaited yet do not show as awaited.
///
/// Futures of other crates are polled as they are, on this thread. So do not capture while holding
/// a lock that such a future takes when it is polled.
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
/// [`RuntimeError`](crate::RuntimeError) "no running event loop" if `future` is `None` on a thread
/// that is no worker of a loop.
pub fn capture_call_graph(
    future: impl Into<Option<AnyFuture>>,
    limit: impl Into<Option<isize>>,
) -> Result<Option<FutureCallGraph>> {
    let Some(future) = future.into().map_or_else(current, |future| Ok(Some(future)))? else {
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
    let captured = future.clone();
    let capture = move |here: &Scheduler| Builder::new(Survey::of(here), limit).build(&captured);
    let graph = home.as_ref().and_then(|home| on_a_worker(home, capture));
    Ok(Some(graph.unwrap_or_else(|| FutureCallGraph::not_captured(future, home.as_ref()))))
}

/// The current task.
fn current() -> Result<Option<AnyFuture>> {
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

/// The text of the graph that [`capture_call_graph`] captures. Empty if `future` is `None` and
/// there is no current task.
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
/// A task that waits for two others, one of which waits for a future. The graph of that future:
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

/// Writes what [`format_call_graph`] returns, and a newline, to `out`.
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
    /// The graph if no worker came to capture. Which worker polls a task can be seen even so.
    fn not_captured(future: AnyFuture, home: Option<&EventLoop>) -> FutureCallGraph {
        let activity = match (future.task(), home) {
            _ if future.done() => Activity::Done,
            (Some(task), Some(home)) => Activity::from(home.scheduler().probe(task.task_ref())),
            _ => Activity::Unknown,
        };
        FutureCallGraph { future, activity, call_stack: Vec::new(), awaited_by: Vec::new(), is_cut: false }
    }
}

/// Builds a graph: follows the edges from a task to the tasks that await it.
struct Builder<'a> {
    survey: Survey<'a>,
    limit: Option<isize>,
    left: usize,
}

/// An entry whose awaiters are being followed. The open entries form the path from the task or
/// future that was named to this entry.
struct Open {
    graph: FutureCallGraph,
    awaiters: std::vec::IntoIter<AnyFuture>,
}

impl<'a> Builder<'a> {
    fn new(survey: Survey<'a>, limit: Option<isize>) -> Builder<'a> {
        Builder { survey, limit, left: MOST_TASKS }
    }

    fn build(&mut self, future: &AnyFuture) -> FutureCallGraph {
        let mut way = Vec::new();
        way.push(self.open(future, &way));
        loop {
            let last = way.last_mut().expect("the first one is returned when it is popped");
            match last.awaiters.next() {
                Some(awaiter) if self.left > 0 => {
                    self.left -= 1;
                    let open = self.open(&awaiter, &way);
                    way.push(open);
                }
                next => {
                    last.graph.is_cut |= next.is_some();
                    let Open { graph, .. } = way.pop().expect("it was looked at above");
                    match way.last_mut() {
                        Some(around) => around.graph.awaited_by.push(graph),
                        None => return graph,
                    }
                }
            }
        }
    }

    fn open(&mut self, future: &AnyFuture, way: &[Open]) -> Open {
        let Standing { activity, stack } = self.survey.standing_of(future);
        let call_stack = limited(stack, self.limit);
        // A circle ends where it closes.
        let is_cut = way.iter().any(|open| open.graph.future == *future);
        let awaiters = if is_cut { Vec::new() } else { self.survey.awaiters_of(future) };
        let graph =
            FutureCallGraph { future: future.clone(), activity, call_stack, awaited_by: Vec::new(), is_cut };
        Open { graph, awaiters: awaiters.into_iter() }
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
