//! How is the program's code called where its panic must not unwind into this library?
//!
//! How the program's values are dropped is the scheduler's part ([`drop_flat`], [`Contained`]).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::task::Waker;

pub(crate) use selvedge_scheduler::contain::{Contained, discard, drop_flat, silently};

pub(crate) use crate::error::call;

/// Wakes, and catches the waker's panic: for a caller that has more to do afterwards. A waker may
/// be foreign code, and its panic must not prevent the rest.
pub(crate) fn wake_quietly(waker: Waker) {
    silently(|| waker.wake());
}

type Work = Box<dyn FnOnce()>;

// It has no destructor, because destructors of other thread-locals may use it.
thread_local! {
    /// The callbacks that wait for their turn; `None` if `run_in_turn` runs none on this thread.
    static TURNS: ManuallyDrop<RefCell<Option<VecDeque<Work>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Runs callbacks that no loop can run any more: on this thread, but never inside each other. A
/// callback that is added while another one runs waits until that one has returned. So in a long
/// chain, where each callback completes the next future, the calls do not nest on the stack.
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

/// Callbacks that a loop runs soon. If the loop closes, and so refuses or drops them, they run
/// where this value is dropped.
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
