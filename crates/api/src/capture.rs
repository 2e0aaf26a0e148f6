//! What does a capturing poll find out about a task?
//!
//! A call graph polls suspended tasks to find out what they wait for; the protocol is in the head
//! of `callgraph`. Such a poll is a *capture*. While a thread is inside a capture, leaves and
//! frames only note here what they wait for (`leaf.rs`).

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::mem::{ManuallyDrop, needs_drop};
use std::panic::Location;

use selvedge_scheduler::TaskRef;

/// It has no destructor: `Capture` takes out what it puts in, and the destructors of other
/// thread-locals may still poll when the thread ends.
type CurrentNotes = RefCell<ManuallyDrop<Notes>>;

const _: () = assert!(!needs_drop::<CurrentNotes>());

thread_local! {
    /// Whether this thread is inside a capturing poll.
    static IS_ON: Cell<bool> = const { Cell::new(false) };

    /// What the current capture has noted so far.
    static NOTES: CurrentNotes = const { RefCell::new(ManuallyDrop::new(Notes::none(Detail::Edges))) };
}

/// How much is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Which tasks and futures the task awaits.
    Edges,
    /// Also the functions in which the task is suspended.
    Stack,
}

/// What a capture found out about a task.
#[derive(Debug)]
pub(crate) struct Notes {
    detail: Detail,
    /// Innermost first.
    pub(crate) waits: Vec<Wait>,
    pub(crate) awaited: Vec<Awaited>,
    /// The backtrace from the first leaf that noted something.
    pub(crate) trace: Option<Backtrace>,
}

/// An await: a leaf, or a frame around leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(crate) what: &'static str,
    pub(crate) at: &'static Location<'static>,
}

/// What a task awaits.
#[derive(Debug)]
pub(crate) enum Awaited {
    Task(TaskRef),
    /// A future, by its address. The future lives as long as the await.
    Future(usize),
}

impl Notes {
    const fn none(detail: Detail) -> Notes {
        Notes { detail, waits: Vec::new(), awaited: Vec::new(), trace: None }
    }

    /// Notes that a task is awaited.
    pub(crate) fn task(&mut self, task: &TaskRef) {
        if !task.is_done() {
            self.awaited.push(Awaited::Task(task.clone()));
        }
    }

    /// The same with an owned reference. It is kept even if the task is done: to drop the last
    /// reference would run the program's code in the middle of the capture.
    pub(crate) fn task_owned(&mut self, task: TaskRef) {
        self.awaited.push(Awaited::Task(task));
    }

    /// Notes that the future at `address` is awaited.
    pub(crate) fn future(&mut self, address: usize) {
        self.awaited.push(Awaited::Future(address));
    }
}

/// Whether this thread is inside a capturing poll.
#[inline]
pub(crate) fn is_on() -> bool {
    IS_ON.get()
}

/// Notes an await. A frame is noted after what it polls. `awaits` adds the tasks and futures that
/// the await waits for.
#[cold]
#[inline(never)]
pub(crate) fn note(what: &'static str, at: &'static Location<'static>, awaits: impl FnOnce(&mut Notes)) {
    NOTES.with_borrow_mut(|notes| {
        notes.waits.push(Wait { what, at });
        awaits(notes);
        // If several leaves are polled side by side, the first one's functions are noted.
        if notes.detail == Detail::Stack && notes.trace.is_none() {
            notes.trace = Some(Backtrace::force_capture());
        }
    });
}

fn replace_notes(notes: Notes) -> Notes {
    ManuallyDrop::into_inner(NOTES.replace(ManuallyDrop::new(notes)))
}

/// Wakes the current task for an ordinary poll, because the leaf has nothing armed that would wake
/// it.
pub(crate) fn poll_for_real() {
    TaskRef::with_current(|task| {
        if let Some(task) = task {
            task.wake();
        }
    });
}

/// Switches the capture off for an ordinary poll inside a capturing one.
pub(crate) struct Paused(bool);

impl Paused {
    pub(crate) fn step() -> Paused {
        Paused(IS_ON.replace(false))
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        IS_ON.set(self.0);
    }
}

/// Calls `poll` with the capture switched on. The notes are empty unless a task was polled.
pub(crate) fn during<R>(detail: Detail, poll: impl FnOnce() -> R) -> (R, Notes) {
    let capture = Capture::begin(detail);
    let result = poll();
    let notes = replace_notes(Notes::none(Detail::Edges));
    drop(capture);
    (result, notes)
}

/// One capture. Captures may nest: a future of another crate may capture a call graph when it is
/// polled.
struct Capture {
    was_on: bool,
    outer: Notes,
}

impl Capture {
    fn begin(detail: Detail) -> Capture {
        Capture { was_on: IS_ON.replace(true), outer: replace_notes(Notes::none(detail)) }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        IS_ON.set(self.was_on);
        drop(replace_notes(std::mem::replace(&mut self.outer, Notes::none(Detail::Edges))));
    }
}

#[cfg(test)]
pub(crate) fn has_notes() -> bool {
    NOTES.with_borrow(|notes| !notes.waits.is_empty() || notes.trace.is_some())
}
