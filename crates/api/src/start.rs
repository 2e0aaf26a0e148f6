//! When do the children of a gathering start?
//!
//! They are made at the call. Whether they may all run at once is known a moment later:
//! `gather(..).limit(n)` says so with its second call. Until then they are held, as tasks that are
//! suspended before their first step. They start
//!
//! * when the gathering is limited, `n` of them, and one more whenever one has ended;
//! * else all at once, at the first of these: the gathering's first poll or its drop, the creation of another
//!   task on this thread, the end of the poll or callback that made them. In asyncio they could not run any
//!   earlier either.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use crate::slot::TaskRefExt;
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
    /// `Some` while the children are being cancelled, when none is started: how many have ended meanwhile.
    paused: Option<usize>,
}

/// Why children cannot be limited.
enum Unlimited {
    HasALimit,
    HasStarted,
}

impl Start {
    /// Holds children that do not run yet, each with its index among all children.
    pub(crate) fn hold(children: Vec<(usize, TaskRef)>) -> Arc<Start> {
        let start = Arc::new(Start(Mutex::new(State::Held(children))));
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

    /// Starts the first `most`; the others follow as those end.
    fn limit(&self, most: usize, count: usize) -> Result<(), Unlimited> {
        let mut state = self.0.lock();
        let held = match &mut *state {
            State::Held(held) => VecDeque::from(std::mem::take(held)),
            State::Limited(_) => return Err(Unlimited::HasALimit),
            State::Started => return Err(Unlimited::HasStarted),
        };
        let first = most.min(held.len());
        *state = State::Limited(Limited { waiting: held, started: vec![false; count], paused: None });
        drop(state);
        for _ in 0..first {
            self.start_next();
        }
        Ok(())
    }

    /// The child with this index has ended. If it had been started here, another one may start.
    pub(crate) fn child_ended(&self, index: usize) {
        let was_started = matches!(&*self.0.lock(), State::Limited(limited) if limited.started[index]);
        if was_started {
            self.start_next();
        }
    }

    /// Starts no child while `f` cancels them: otherwise a child that ends would start one that `f` has not
    /// reached yet.
    pub(crate) fn paused<R>(&self, f: impl FnOnce() -> R) -> R {
        if let State::Limited(limited) = &mut *self.0.lock() {
            limited.paused = Some(0);
        }
        let result = f();
        let ended = match &mut *self.0.lock() {
            State::Limited(limited) => limited.paused.take(),
            State::Held(_) | State::Started => None,
        };
        for _ in 0..ended.unwrap_or(0) {
            self.start_next();
        }
        result
    }

    fn start_next(&self) {
        loop {
            let mut state = self.0.lock();
            let State::Limited(limited) = &mut *state else { return };
            if let Some(ended) = &mut limited.paused {
                *ended += 1;
                return;
            }
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
pub(crate) fn begin(task: &TaskRef) {
    task.task_slot().requests().release();
    task.start();
}

/// [`Start::limit`] for the public methods.
///
/// # Panics
///
/// If `most` is zero, the children have a limit, or they have started.
#[track_caller]
pub(crate) fn limit(start: &Start, most: usize, count: usize) {
    assert!(most > 0, "a limit of 0 would let no child run: give at least 1");
    match start.limit(most, count) {
        Ok(()) => {}
        Err(Unlimited::HasALimit) => panic!("the children have a limit already: call `limit` once"),
        Err(Unlimited::HasStarted) => panic!(
            "the children have started, as another task was created or the poll has ended since: call `limit` on what \
             `gather` or `as_completed` has just returned"
        ),
    }
}

thread_local! {
    /// The children that were made last on this thread. One place is enough: the code that makes more
    /// starts these first.
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
