//! How is the user's code called, where it must not unwind into us?
//!
//! How its values are dropped is the scheduler's part ([`drop_flat`], [`Contained`]).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::task::Waker;

pub(crate) use selvedge_scheduler::contain::{Contained, discard, drop_flat, silently};

pub(crate) use crate::error::call;

/// Wakes one of several, or before something else that is to be done: a waker may be foreign code, and its panic must not keep back the rest.
pub(crate) fn wake_quietly(waker: Waker) {
    silently(|| waker.wake());
}

type Work = Box<dyn FnOnce()>;

// No destructor: it may be used by destructors of other thread-locals.
thread_local! {
    /// What waits for its turn; `None` if nothing is run in turn on this thread.
    static TURNS: ManuallyDrop<RefCell<Option<VecDeque<Work>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Runs callbacks for which no loop is left: here, but not inside of others. One that completes the next future, whose callback completes the next,
/// costs no stack.
fn run_in_turn(work: impl FnOnce() + 'static) {
    let waits = TURNS.with(|turns| turns.borrow().is_some());
    let mut next: Option<Work> = Some(Box::new(work));
    if waits {
        return TURNS.with(|turns| turns.borrow_mut().get_or_insert_default().extend(next));
    }
    TURNS.with(|turns| turns.replace(Some(VecDeque::new())));
    while let Some(work) = next {
        silently(work);
        next = TURNS.with(|turns| turns.borrow_mut().as_mut().and_then(VecDeque::pop_front));
    }
    TURNS.with(|turns| turns.replace(None));
}

/// Callbacks that are called soon, or where this is dropped: a loop that closes refuses or drops what it cannot run any more.
pub(crate) struct SoonOrHere<F: FnOnce() + 'static>(Option<F>);

impl<F: FnOnce() + 'static> SoonOrHere<F> {
    pub(crate) fn new(work: F) -> SoonOrHere<F> {
        SoonOrHere(Some(work))
    }

    pub(crate) fn run(mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

impl<F: FnOnce() + 'static> Drop for SoonOrHere<F> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            run_in_turn(work);
        }
    }
}
