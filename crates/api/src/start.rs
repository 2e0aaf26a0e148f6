//! When do the children of a gathering start?
//!
//! A gathering is what `gather` or `as_completed` returns. Its children are created in that call.
//! Whether all of them may run at once is known a moment later: `gather(..).limit(n)` sets the
//! limit with its second call. Until then the children are held, as tasks that are suspended before
//! their first step. They start
//!
//! * if the gathering has a limit `n`: the first `n`, and one more whenever one has ended;
//! * else all together, at the first of these events: the gathering is polled or dropped; another
//!   task is created on this thread; the poll or callback that created the children ends. In
//!   asyncio they could not run any earlier either.
//!
//! So a limit is strict, and the children start in asyncio's order. The price: the children of a
//! gathering that is created and not awaited do not run beside the rest of the poll that created
//! them.
//!
//! Rejected: a check in each child's first poll. Children that are stolen before the limit is known
//! would exceed it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use crate::slot::TaskRefExt;
use crate::sync::Mutex;

/// Decides when the children of one gathering start.
pub(crate) struct Start(Mutex<State>);

enum State {
    /// Each with its index among all children.
    Held(Vec<(usize, TaskRef)>),
    Limited(Limited),
    Started,
}

struct Limited {
    waiting: VecDeque<(usize, TaskRef)>,
    /// By index: whether the child has been started here. Children that were given as tasks never
    /// are.
    started: Vec<bool>,
    /// `Some` while the children are being cancelled: no child is started then, and the number
    /// counts those that have ended meanwhile.
    paused: Option<usize>,
}

/// Why a limit is refused.
enum Unlimited {
    HasALimit,
    HasStarted,
}

impl Start {
    /// Holds children until they may start. Each comes with its index among all children.
    pub(crate) fn hold(children: Vec<(usize, TaskRef)>) -> Arc<Start> {
        let start = Arc::new(Start(Mutex::new(State::Held(children))));
        match HELD.try_with(|held| held.replace(Some(Arc::clone(&start)))) {
            Ok(former) => {
                IS_HELD.set(true);
                // The program's iterator created this gathering while it yielded the new children.
                if let Some(former) = former {
                    former.start_all();
                }
            }
            Err(_) => start.start_all(),
        }
        start
    }

    /// Starts all children that are still held.
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

    /// Starts the first `most` children; the others follow as those end.
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

    /// Called when the child with this index has ended. If it was started here, another one may
    /// start.
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
            // A child that was cancelled before its turn was never started, so its end has started
            // no other child. It is skipped.
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
    /// The held children that were created last on this thread. One entry is enough: code that
    /// creates more children starts these first. If the thread ends and this is destroyed already,
    /// children start at once.
    static HELD: RefCell<Option<Arc<Start>>> = const { RefCell::new(None) };

    /// Whether `HELD` has an entry. Most polls create no children, and read only this flag.
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
