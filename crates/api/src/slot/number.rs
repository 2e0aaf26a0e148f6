//! Which number does a new task get?

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use selvedge_scheduler::Scheduler;

/// Workers that create tasks take numbers in blocks, so that they do not contend for one cache
/// line. Small blocks keep the gaps in the names `Task-N` small.
const WORKER_BLOCK: u64 = 16;

/// Numbers start at one, like asyncio's. No task has the number zero.
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// The numbers this thread has taken and not used: from the first, up to but not including the
    /// second.
    static DRAWN: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// A number that no other task of this process has.
pub(super) fn next() -> u64 {
    DRAWN.with(|drawn| {
        let (mut number, mut end) = drawn.get();
        if number == end {
            // A thread that is no worker creates few tasks. A block of its own would only leave
            // gaps in the names.
            let count = if Scheduler::current_worker().is_some() { WORKER_BLOCK } else { 1 };
            // Relaxed: the numbers only have to differ.
            number = NEXT.fetch_add(count, Ordering::Relaxed);
            end = number + count;
        }
        drawn.set((number + 1, end));
        number
    })
}
