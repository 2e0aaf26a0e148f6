//! How does a call graph find out what the tasks of a loop wait for?

use std::backtrace::Backtrace;
use std::collections::HashMap;
use std::sync::mpsc;
use std::time::Duration;

use selvedge_scheduler::{Probed, Scheduler, TaskRef};

use super::entry::FrameCallGraphEntry;
use super::frames;
use super::graph::Activity;
use super::node::{AnyFuture, Node};
use crate::cancel::Outside;
use crate::capture::{self, Awaited, Detail, Notes, Wait};
use crate::context::OutsideContext;
use crate::event_loop::EventLoop;
use crate::slot::{TaskHandle, TaskRefExt, TaskSlot, coro_name};

/// How long a thread that is no worker waits for a worker to capture. With the watchdog, a worker
/// comes within some milliseconds.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a task is doing, and its call stack, innermost first.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) activity: Activity,
    pub(super) stack: Vec<FrameCallGraphEntry>,
}

/// All tasks of a loop, and which of them await which tasks and futures.
pub(super) struct Survey<'a> {
    scheduler: &'a Scheduler,
    tasks: HashMap<u64, TaskRef>,
    /// By the number of the task, or the address of the future, that is awaited.
    awaiters: HashMap<Key, Vec<u64>>,
    standings: HashMap<u64, Standing>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Task(u64),
    Future(u64),
}

impl Survey<'_> {
    /// Captures what every task of the loop awaits.
    pub(super) fn of(scheduler: &Scheduler) -> Survey<'_> {
        let mut tasks = HashMap::new();
        let mut awaiters: HashMap<Key, Vec<u64>> = HashMap::new();
        for task in scheduler.tasks() {
            let Some(number) = task.slot().map(TaskSlot::number) else { continue };
            let (_, notes) = capture_task(scheduler, &task, Detail::Edges);
            for awaited in notes.awaited {
                let known = awaiters.entry(Key::of(&awaited)).or_default();
                // A task's number is added once: all that one task awaits comes in one go.
                if known.last() != Some(&number) {
                    known.push(number);
                }
            }
            tasks.insert(number, task);
        }
        Survey { scheduler, tasks, awaiters, standings: HashMap::new() }
    }

    pub(super) fn knows(&self, future: &AnyFuture) -> bool {
        match &future.0 {
            Node::Task(_) => self.tasks.contains_key(&future.number()),
            Node::Future(future) => future.event_loop().scheduler().ptr_eq(self.scheduler),
        }
    }

    /// The tasks that await `future`, in the order in which they were created.
    pub(super) fn awaiters_of(&self, future: &AnyFuture) -> Vec<AnyFuture> {
        if future.done() {
            return Vec::new();
        }
        let key = match &future.0 {
            Node::Task(_) => Key::Task(future.number()),
            Node::Future(_) => Key::Future(future.number()),
        };
        let mut numbers = self.awaiters.get(&key).cloned().unwrap_or_default();
        numbers.extend(future.noted_awaiters());
        numbers.sort_unstable();
        numbers.dedup();
        let tasks = numbers.iter().filter_map(|number| self.tasks.get(number));
        tasks.map(|task| TaskHandle::new(task.clone()).into()).collect()
    }

    /// What `future` is doing, and its call stack. Each task is captured once.
    pub(super) fn standing_of(&mut self, future: &AnyFuture) -> Standing {
        let Node::Task(task) = &future.0 else {
            let activity = if future.done() { Activity::Done } else { Activity::Suspended };
            return Standing { activity, stack: Vec::new() };
        };
        let scheduler = self.scheduler;
        self.standings
            .entry(future.number())
            .or_insert_with(|| standing_here(scheduler, task.task_ref()))
            .clone()
    }
}

/// Polls a task to capture what it waits for. The notes are empty unless it was polled.
fn capture_task(scheduler: &Scheduler, task: &TaskRef, detail: Detail) -> (Probed, Notes) {
    // The task's poll lies inside the poll of the current task, but in none of its scopes and contexts.
    let _scopes = Outside::step();
    let _context = OutsideContext::step();
    capture::during(detail, || scheduler.probe(task))
}

impl Key {
    fn of(awaited: &Awaited) -> Key {
        match awaited {
            Awaited::Task(task) => Key::Task(task.task_slot().number()),
            Awaited::Future(address) => Key::Future(*address as u64),
        }
    }
}

/// A task's call stack, captured from any thread.
pub(super) fn stack_of(task: &TaskRef) -> Vec<FrameCallGraphEntry> {
    if task.is_done() {
        return Vec::new();
    }
    if let Some(here) = Scheduler::current() {
        let standing = standing_here(&here, task);
        if standing.activity != Activity::Unknown {
            return standing.stack;
        }
    }
    let captured = task.clone();
    let stack = Scheduler::of(task)
        .and_then(EventLoop::of)
        .and_then(|event_loop| on_a_worker(&event_loop, move |here| standing_here(here, &captured).stack));
    stack.unwrap_or_else(|| vec![coroutine_of(task)])
}

/// Calls `capture` on a worker of `event_loop`, and waits for its result, but not for long.
pub(super) fn on_a_worker<R: Send + 'static>(
    event_loop: &EventLoop,
    capture: impl FnOnce(&Scheduler) -> R + Send + 'static,
) -> Option<R> {
    let (sender, receiver) = mpsc::channel();
    let there = event_loop.clone();
    let call = event_loop.call_soon(move || {
        // The thread that waits may have given up.
        let _ = sender.send(capture(there.scheduler()));
    });
    let result = receiver.recv_timeout(PATIENCE).ok();
    call.cancel();
    result
}

/// Captures one task. Called on a worker of `scheduler`.
fn standing_here(scheduler: &Scheduler, task: &TaskRef) -> Standing {
    if TaskRef::with_current(|current| current == Some(task)) {
        let mut stack = frames::of_program(&Backtrace::force_capture());
        if stack.is_empty() {
            stack.push(coroutine_of(task));
        }
        return Standing { activity: Activity::Asking, stack };
    }
    let (probed, notes) = capture_task(scheduler, task, Detail::Stack);
    let activity = if task.is_done() { Activity::Done } else { probed.into() };
    let stack = if activity == Activity::Done { Vec::new() } else { stack_from(task, &notes) };
    Standing { activity, stack }
}

/// The awaits, then the functions of the program around them. If no function has a name, the
/// coroutine is shown instead.
fn stack_from(task: &TaskRef, notes: &Notes) -> Vec<FrameCallGraphEntry> {
    let awaits = notes.waits.iter().map(|Wait { what, at }| {
        // The location of an await inside this library is not in the program, so it is not shown.
        let is_own = at.file().contains(frames::OWN_FILES);
        FrameCallGraphEntry::at(what, (!is_own).then_some(*at))
    });
    let mut stack: Vec<_> = awaits.collect();
    let functions = notes.trace.as_ref().map(frames::of_program).unwrap_or_default();
    if functions.is_empty() {
        stack.push(coroutine_of(task));
    }
    stack.extend(functions);
    stack
}

/// What is known of a task that cannot be captured: its coroutine, and where the task was created.
pub(super) fn coroutine_of(task: &TaskRef) -> FrameCallGraphEntry {
    FrameCallGraphEntry::at(coro_name(task), Some(task.task_slot().created_at()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Result, Runner, create_task, sleep, wait_for};

    /// A request is made before its task is woken. A capture in between polls the task, which then
    /// looks as if it had ignored the request.
    #[test]
    fn a_request_that_the_task_does_not_know_of_yet_is_not_taken_for_refused() {
        let outcome: Result<(bool, bool)> = Runner::builder().workers(1).virtual_time(true).run(async {
            let task = create_task(async {
                let mut is_told = false;
                let told = &mut is_told;
                // Neither the frame nor the task may give up on its content.
                let body = async move {
                    let slept = sleep(Duration::MAX).await;
                    *told = slept.as_ref().is_err_and(crate::Error::is_cancelled);
                    slept
                };
                let _ = wait_for(body, Duration::MAX).await;
                Ok((is_told, sleep(Duration::from_secs(1)).await.is_ok()))
            });
            sleep(Duration::from_millis(1)).await?;
            let reference = task.task_ref();
            let _ = reference.task_slot().requests().request_counted();
            let scheduler = Scheduler::current().expect("a loop runs this");
            let (look, notes) = capture_task(&scheduler, reference, Detail::Edges);
            assert_eq!((look, notes.waits.len()), (Probed::Polled, 2));
            reference.wake();
            task.await
        });
        assert_eq!(outcome.unwrap(), (true, true));
    }

    /// Only the caller gets what a capture finds.
    #[test]
    fn a_capture_leaves_nothing_behind() {
        let is_on = Runner::builder().workers(1).virtual_time(true).run(async {
            let task = create_task(sleep(Duration::MAX));
            sleep(Duration::from_millis(1)).await?;
            let scheduler = Scheduler::current().expect("a loop runs this");
            let (_, notes) = capture_task(&scheduler, task.task_ref(), Detail::Stack);
            assert!(notes.trace.is_some());
            assert!(!capture::has_notes());
            Ok(capture::is_on())
        });
        assert!(!is_on.unwrap());
    }
}
