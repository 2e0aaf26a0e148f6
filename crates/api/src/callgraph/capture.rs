//! What does a leaf say when it is asked what it waits for?
//!
//! The protocol is in the module's head (`callgraph`). A leaf begins its poll with
//!
//! ```text
//! if capture::is_on() {
//!     return capture::leaf(&this.leaf, "sleep", Location::caller(), |_| {});
//! }
//! ```
//!
//! and is told from then on. Its `poll` is `#[track_caller]`, so that the location is that of the await.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::mem::{ManuallyDrop, needs_drop};
use std::panic::Location;
use std::task::Poll;

use selvedge_scheduler::{Probed, Scheduler, TaskRef};

use crate::cancel::{Leaf, Outside};
use crate::context::OutsideContext;

/// Without a destructor: `Asking` takes out what it puts here, and the destructors of other thread-locals may
/// still poll when the thread ends.
type Answers = RefCell<ManuallyDrop<Notes>>;

const _: () = assert!(!needs_drop::<Answers>());

thread_local! {
    /// Whether the poll that this thread is in is a question.
    static IS_ON: Cell<bool> = const { Cell::new(false) };

    /// What was answered so far.
    static NOTES: Answers = const { RefCell::new(ManuallyDrop::new(Notes::none(Detail::Edges))) };
}

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Whom the task awaits.
    Edges,
    /// Also the functions that it stands in.
    Stack,
}

/// What a task said.
#[derive(Debug)]
pub(crate) struct Notes {
    detail: Detail,
    /// Innermost first.
    pub(super) waits: Vec<Wait>,
    pub(super) awaited: Vec<Awaited>,
    /// From the first leaf down.
    pub(super) trace: Option<Backtrace>,
}

/// A leaf, or a frame around one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    pub(super) what: &'static str,
    pub(super) at: &'static Location<'static>,
}

/// Whom a task awaits.
#[derive(Debug)]
pub(crate) enum Awaited {
    Task(TaskRef),
    /// A future, by its address: alive as long as whoever awaits it.
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

    /// The same, and keeps the reference even if the task is done: the last one drops code of the program.
    pub(crate) fn task_owned(&mut self, task: TaskRef) {
        self.awaited.push(Awaited::Task(task));
    }

    /// Notes that the future at `address` is awaited.
    pub(crate) fn future(&mut self, address: usize) {
        self.awaited.push(Awaited::Future(address));
    }
}

/// Whether the poll that this thread is in is a question.
#[inline]
pub(crate) fn is_on() -> bool {
    IS_ON.get()
}

/// A leaf's answer. `awaits` names what it waits for, if that is a task or a future.
#[cold]
#[inline(never)]
pub(crate) fn leaf<R>(
    leaf: &Leaf,
    what: &'static str,
    at: &'static Location<'static>,
    awaits: impl FnOnce(&mut Notes),
) -> Poll<R> {
    note(what, at, awaits);
    if !leaf.was_polled_here() {
        poll_for_real();
    }
    Poll::Pending
}

/// The answer of what stands around leaves, after theirs: a timeout, a group's block.
#[cold]
#[inline(never)]
pub(crate) fn frame(what: &'static str, at: &'static Location<'static>, awaits: impl FnOnce(&mut Notes)) {
    note(what, at, awaits);
}

fn note(what: &'static str, at: &'static Location<'static>, awaits: impl FnOnce(&mut Notes)) {
    NOTES.with_borrow_mut(|notes| {
        notes.waits.push(Wait { what, at });
        awaits(notes);
        // Of several leaves side by side, the first one's functions are told.
        if notes.detail == Detail::Stack && notes.trace.is_none() {
            notes.trace = Some(Backtrace::force_capture());
        }
    });
}

fn replace_notes(notes: Notes) -> Notes {
    ManuallyDrop::into_inner(NOTES.replace(ManuallyDrop::new(notes)))
}

/// What waits here has nothing armed that would wake it: an ordinary poll must follow.
pub(crate) fn poll_for_real() {
    TaskRef::with_current(|task| {
        if let Some(task) = task {
            task.wake();
        }
    });
}

/// Keeps a poll inside this one, which is no question, from being taken for one.
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

/// Asks a task. The notes are empty unless it was polled.
pub(super) fn ask(scheduler: &Scheduler, task: &TaskRef, detail: Detail) -> (Probed, Notes) {
    // The task's poll lies inside the asker's, but in none of its scopes and contexts.
    let _scopes = Outside::step();
    let _context = OutsideContext::step();
    let asking = Asking::begin(detail);
    let look = scheduler.probe(task);
    let notes = replace_notes(Notes::none(Detail::Edges));
    drop(asking);
    (look, notes)
}

/// One question. A question can be asked inside another one: by a future of another crate that somebody polls.
struct Asking {
    was_on: bool,
    outer: Notes,
}

impl Asking {
    fn begin(detail: Detail) -> Asking {
        Asking { was_on: IS_ON.replace(true), outer: replace_notes(Notes::none(detail)) }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        IS_ON.set(self.was_on);
        drop(replace_notes(std::mem::replace(&mut self.outer, Notes::none(Detail::Edges))));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::task::TaskRefExt;
    use crate::{Result, Runner, create_task, sleep, wait_for};

    /// A request is made before its task is woken, and in between the task is asked: it looks as if it had left the request lying.
    #[test]
    fn a_request_that_the_task_does_not_know_of_yet_is_not_taken_for_refused() {
        let outcome: Result<(bool, bool)> = Runner::builder().workers(1).virtual_time(true).run(async {
            let task = create_task(async {
                let mut is_told = false;
                let told = &mut is_told;
                // Neither the frame nor the task may give up on what is inside.
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
            let (look, notes) = ask(&scheduler, reference, Detail::Edges);
            assert_eq!((look, notes.waits.len()), (Probed::Polled, 2));
            reference.wake();
            task.await
        });
        assert_eq!(outcome.unwrap(), (true, true));
    }

    /// What a question finds stays with the asker.
    #[test]
    fn a_question_leaves_nothing_behind() {
        let is_on = Runner::builder().workers(1).virtual_time(true).run(async {
            let task = create_task(sleep(Duration::MAX));
            sleep(Duration::from_millis(1)).await?;
            let scheduler = Scheduler::current().expect("a loop runs this");
            let (_, notes) = ask(&scheduler, task.task_ref(), Detail::Stack);
            assert!(notes.trace.is_some());
            assert!(NOTES.with_borrow(|notes| notes.waits.is_empty() && notes.trace.is_none()));
            Ok(is_on())
        });
        assert!(!is_on.unwrap());
    }
}
