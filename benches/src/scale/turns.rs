//! How do several sets exist at the same time, and run their operations one after the other?

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The progress of the sets in a measurement.
pub(super) struct Turns {
    crowds: usize,
    /// How many sets are set up. They have their turns in the order in which they were set up.
    ready: usize,
    /// How many sets have had their turn.
    over: usize,
}

static TURNS: Mutex<Turns> = Mutex::new(Turns { crowds: 0, ready: 0, over: 0 });
static CHANGED: Condvar = Condvar::new();

impl Turns {
    /// Call this when a set is set up: it waits for the others, and for its turn.
    pub(super) fn begin() {
        let mut turns = TURNS.lock();
        let turn = turns.ready;
        turns.ready += 1;
        CHANGED.notify_all();
        CHANGED.wait_while(&mut turns, |turns| turns.ready < turns.crowds || turns.over < turn);
    }

    /// Ends the turn of a set, and waits for the other sets, because their times would include the
    /// work that follows.
    pub(super) fn end() {
        let mut turns = TURNS.lock();
        turns.over += 1;
        CHANGED.notify_all();
        CHANGED.wait_while(&mut turns, |turns| turns.over < turns.crowds);
    }
}

/// Runs a row for so many sets of n, and returns how long their operations took.
pub(super) fn one_after_the_other(
    crowds: usize,
    run: impl Fn(usize) -> Duration + Copy + Send + 'static,
    n: usize,
) -> Duration {
    *TURNS.lock() = Turns { crowds, ready: 0, over: 0 };
    let set_up = |index| {
        // If one set fails, the others would wait for it, so the process exits.
        let crowd =
            thread::spawn(move || catch_unwind(AssertUnwindSafe(|| run(n))).unwrap_or_else(|_| exit(101)));
        CHANGED.wait_while(&mut TURNS.lock(), |turns| turns.ready <= index);
        crowd
    };
    let all: Vec<_> = (0..crowds).map(set_up).collect();
    all.into_iter().map(|crowd| crowd.join().expect("it does not panic")).sum()
}
