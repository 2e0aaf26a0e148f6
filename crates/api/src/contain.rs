//! How is the user's code called and printed, where it must not unwind into us?
//!
//! How its values are dropped is the scheduler's part ([`drop_flat`], [`Contained`]).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

pub(crate) use selvedge_scheduler::contain::{Contained, discard, drop_flat, silently};

use crate::error::PanicError;

/// Calls a function of the user's whose panic is to be reported.
pub(crate) fn call<R>(foreign: impl FnOnce() -> R) -> Result<R, PanicError> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(PanicError::from_payload)
}

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

thread_local! {
    /// How many values of the user's are being printed inside each other.
    static PRINTED: Cell<u32> = const { Cell::new(0) };
}

/// Values that print each other by way of this library go so deep, and no deeper.
const DEEPEST: u32 = 32;

/// Counts one level of printing.
struct Level;

impl Level {
    fn enter() -> Option<Level> {
        let depth = PRINTED.get();
        (depth < DEEPEST).then(|| {
            PRINTED.set(depth + 1);
            Level
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        PRINTED.set(PRINTED.get() - 1);
    }
}

/// Lets an error print itself. If it cannot, this says so in its place: errors are printed where things have gone wrong already.
///
/// `name` is the trait's that does it. `rest` tells how many causes are left out when errors are printed inside each other too deep.
pub(crate) fn print_error(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    print: impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result,
    rest: impl FnOnce() -> usize,
) -> fmt::Result {
    let Some(_level) = Level::enter() else {
        return match rest() {
            0 => f.write_str("(an error that is nested too deep to be printed)"),
            rest => write!(f, "(an error that is nested too deep to be printed, and {rest} causes)"),
        };
    };
    match call(|| print(f)) {
        Ok(Ok(())) => Ok(()),
        // Or whoever takes the text has failed: then this fails as well.
        Ok(Err(_)) => write!(f, "(an error that could not be printed: its {name} failed)"),
        Err(panic) => write!(f, "(an error that could not be printed: its {name} panicked: {panic})"),
    }
}
