//! Which tasks has the program declared to wait for a task or a future?
//!
//! The program does so for primitives of its own (`future_add_to_awaited_by`). The list is kept
//! with what is awaited, and contains numbers: an entry that is never removed keeps no task alive,
//! and the number of a task that is gone matches no other task.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

/// The numbers of the tasks that were declared to wait.
#[derive(Debug, Default)]
pub(crate) struct AwaitedBy(BTreeSet<u64>);

impl AwaitedBy {
    pub(crate) fn add(&mut self, waiter: u64) {
        self.0.insert(waiter);
    }

    pub(crate) fn remove(&mut self, waiter: u64) {
        self.0.remove(&waiter);
    }

    /// The numbers that are greater than `last`, in order; all of them, if there is no last one.
    pub(crate) fn after(&self, last: Option<u64>) -> impl Iterator<Item = u64> {
        self.0.range((last.map_or(Unbounded, Excluded), Unbounded)).copied()
    }
}
