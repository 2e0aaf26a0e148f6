//! When do the children of a gathering start?
//!
//! They are made at the call. Whether they may all run at once is known a moment later: `gather(..).limit(n)` says so with its second call.
//! Until then they are held, as tasks that are suspended before their first step. They start
//!
//! * when the gathering is limited, `n` of them, and one more whenever one has ended;
//! * else all at once: at the gathering's first poll or its drop, before the next task is created on this thread, and at the end
//!   of the poll or callback that made them. As on asyncio's single thread, they could not run any earlier.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::{Task, TaskRefExt, create_held};
use crate::coroutine::{Coroutine, given_task};
use crate::sync::Mutex;

/// Children that do not run yet, or only so many at once.
pub(crate) struct Start(Mutex<State>);

enum State {
    /// Each with its index among all children.
    Held(Vec<(usize, TaskRef)>),
    Limited(Limited),
    Started,
}

struct Limited {
    waiting: VecDeque<(usize, TaskRef)>,
    /// Which children have been started here. What was given as a task never was.
    started: Vec<bool>,
    /// While the others are being cancelled, nobody is started: how many children have ended in that time.
    paused: Option<usize>,
}

/// Collects children as they are made.
#[derive(Default)]
#[doc(hidden)]
pub struct HeldChildren {
    held: Vec<(usize, TaskRef)>,
    count: usize,
}

impl HeldChildren {
    /// A task for a coroutine, suspended before its first step; a task is taken as it is.
    #[track_caller]
    pub(crate) fn add<C: Coroutine>(&mut self, coro_or_task: C) -> Task<C::Item> {
        let index = self.count;
        self.count += 1;
        match given_task(coro_or_task) {
            Ok(task) => task,
            Err(coro) => {
                let task = create_held(coro);
                self.held.push((index, task.task_ref().clone()));
                task
            }
        }
    }

    /// Holds those that do not run yet.
    pub(crate) fn hold(mut self) -> Arc<Start> {
        let start = Arc::new(Start(Mutex::new(State::Held(std::mem::take(&mut self.held)))));
        match HELD.try_with(|held| held.replace(Some(Arc::clone(&start)))) {
            Ok(former) => {
                IS_HELD.set(true);
                // Made by the program's iterator, while these were being made.
                if let Some(former) = former {
                    former.start_all();
                }
            }
            Err(_) => start.start_all(),
        }
        start
    }
}

impl Drop for HeldChildren {
    /// The program's iterator has panicked: those that it has made go on like dropped tasks.
    fn drop(&mut self) {
        for (_, task) in &self.held {
            begin(task);
        }
    }
}

impl Start {
    /// Starts all that are still held.
    pub(crate) fn start_all(&self) {
        let mut state = self.0.lock();
        if !matches!(*state, State::Held(_)) {
            return;
        }
        let State::Held(held) = std::mem::replace(&mut *state, State::Started) else { return };
        drop(state);
        for (_, task) in &held {
            begin(task);
        }
    }

    /// Starts the first `most`; the others follow as those end. False: they have all been started before.
    #[must_use]
    pub(crate) fn limit(&self, most: usize, count: usize) -> bool {
        let mut state = self.0.lock();
        let State::Held(held) = std::mem::replace(&mut *state, State::Started) else { return false };
        let (waiting, started) = (VecDeque::from(held), vec![false; count]);
        let first = most.min(waiting.len());
        *state = State::Limited(Limited { waiting, started, paused: None });
        drop(state);
        (0..first).for_each(|_| self.start_next());
        true
    }

    /// The child with this index has ended: another one may start.
    pub(crate) fn has_ended(&self, index: usize) {
        if let State::Limited(limited) = &mut *self.0.lock() {
            if !limited.started[index] {
                return;
            }
            if let Some(room) = &mut limited.paused {
                *room += 1;
                return;
            }
        }
        self.start_next();
    }

    /// Starts nobody while `f` cancels the children: those whose turn has not come must hear of it before those that end make room.
    pub(crate) fn paused<R>(&self, f: impl FnOnce() -> R) -> R {
        if let State::Limited(limited) = &mut *self.0.lock() {
            limited.paused = Some(0);
        }
        let result = f();
        let room = match &mut *self.0.lock() {
            State::Limited(limited) => limited.paused.take(),
            State::Held(_) | State::Started => None,
        };
        (0..room.unwrap_or(0)).for_each(|_| self.start_next());
        result
    }

    fn start_next(&self) {
        loop {
            let mut state = self.0.lock();
            let State::Limited(limited) = &mut *state else { return };
            let Some((next, task)) = limited.waiting.pop_front() else { return };
            // One that was cancelled before its turn has ended without making room.
            let is_next = !task.is_done();
            limited.started[next] |= is_next;
            drop(state);
            if is_next {
                return begin(&task);
            }
        }
    }
}

/// Lets a held task take its first step.
fn begin(task: &TaskRef) {
    task.task_slot().requests().let_go();
    task.start();
}

/// [`Start::limit`] for the public methods.
///
/// # Panics
///
/// If `most` is zero, or the children have started.
#[track_caller]
pub(crate) fn limit(start: &Start, most: usize, count: usize) {
    assert!(most > 0, "a limit of 0 would let no child run: give at least 1");
    assert!(
        start.limit(most, count),
        "the children have started, as another task was created or the poll has ended since: call `limit` on what \
         `gather` or `as_completed` has just returned"
    );
}

thread_local! {
    /// The children that were made last on this thread. One place is enough: whoever makes more starts these first.
    static HELD: RefCell<Option<Arc<Start>>> = const { RefCell::new(None) };

    /// Whether there are any: most polls make none, and are spared the look.
    static IS_HELD: Cell<bool> = const { Cell::new(false) };
}

/// Starts the children that are held on this thread.
#[inline]
pub(crate) fn start_held() {
    if IS_HELD.get() {
        start_held_now();
    }
}

#[cold]
fn start_held_now() {
    IS_HELD.set(false);
    let held = HELD.try_with(RefCell::take).ok().flatten();
    if let Some(start) = held {
        start.start_all();
    }
}

/// Starts the children that are held on this thread when a poll or a callback ends.
pub(crate) struct StartHeld;

impl Drop for StartHeld {
    #[inline]
    fn drop(&mut self) {
        start_held();
    }
}
