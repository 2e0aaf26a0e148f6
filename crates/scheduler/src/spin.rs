//! How long does a worker go on searching before it parks?
//!
//! The operating system may put a worker that wakes up on the core of the thread that woke it. That
//! thread then gets its answer only when the worker sleeps again. So the budget shrinks to nothing
//! in an idle program.
//!
//! A worker does not spin if the program has sockets: the next task most likely comes from there, and
//! the spin would only keep the core from the thread that is about to send something. Instead the
//! worker polls the sockets, which returns at once if one is ready, or parks.

use std::time::Duration;

use crate::sync::{AtomicU32, Ordering};

/// The longest search, in microseconds. A round trip between threads takes a few; parking and being
/// woken takes tens.
pub(crate) const SPIN_MAX_MICROS: u32 = 32;
/// The shortest search; below it a worker parks at once. The task that it searches for may come
/// from a thread that the operating system has put on this worker's core, and such a thread runs
/// only once the worker sleeps.
const SPIN_MIN_MICROS: u32 = 4;

/// The longest time that a worker spends on a search, shared by all workers of a scheduler. It
/// doubles when a search finds a task, or when a sleep was so short that a search would have found
/// one. It halves when a search finds none, down to zero in a program that rests.
pub(crate) struct SpinBudget(AtomicU32);

impl SpinBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(SPIN_MAX_MICROS))
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).into())
    }

    pub(crate) fn adjust(&self, paid: bool) {
        let now = self.0.load(Ordering::Relaxed);
        let new = match now / 2 {
            _ if paid => (now * 2).clamp(SPIN_MIN_MICROS, SPIN_MAX_MICROS),
            ..SPIN_MIN_MICROS => 0,
            half => half,
        };
        self.0.store(new, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_spin_that_does_not_pay_is_given_up_and_one_that_would_comes_back() {
        let budget = SpinBudget::new();
        let fall: Vec<_> = std::iter::from_fn(|| {
            budget.adjust(false);
            Some(budget.limit()).filter(|limit| !limit.is_zero())
        })
        .take(10)
        .collect();
        assert_eq!(fall, [16, 8, 4].map(Duration::from_micros));
        budget.adjust(false);
        assert!(budget.limit().is_zero());
        let rise = std::array::from_fn(|_| {
            budget.adjust(true);
            budget.limit()
        });
        assert_eq!(rise, [4, 8, 16, 32, 32].map(Duration::from_micros));
    }
}
