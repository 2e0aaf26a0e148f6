//! Which tasks were said to wait for a task or a future, by primitives of the program's own?
//!
//! Kept with what is awaited, and by number: a waiter that was never taken back holds nothing
//! alive, and a number of a task that is gone is found nowhere.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

/// The numbers of the tasks that were said to wait.
#[derive(Debug, Default)]
pub(crate) struct AwaitedBy(BTreeSet<u64>);

impl AwaitedBy {
    pub(crate) fn add(&mut self, waiter: u64) {
        self.0.insert(waiter);
    }

    pub(crate) fn remove(&mut self, waiter: u64) {
        self.0.remove(&waiter);
    }

    /// Those whose number is greater than `last`, in order; all, if there is no last one.
    pub(crate) fn after(&self, last: Option<u64>) -> impl Iterator<Item = u64> {
        self.0.range((last.map_or(Unbounded, Excluded), Unbounded)).copied()
    }
}
