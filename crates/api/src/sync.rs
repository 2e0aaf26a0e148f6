//! The api's part of the seam: on which atomics, locks, threads and clocks does it stand?
//!
//! Under `cfg(selvedge_loom)` all of them are the scheduler's, so that the models in `loom-tests` run the coroutines, groups and results that
//! ship, on a scheduler that ships.
//!
//! What stays outside: `std`'s `Arc`, its and `once_cell`'s cells that are written once, and numbers that only have to differ.

#[cfg(not(selvedge_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub(crate) use std::thread::{self, Thread};
    pub(crate) use std::thread_local as thread_locals;
    pub(crate) use std::time::Instant;

    pub(crate) use parking_lot::{Mutex, MutexGuard};

    use std::sync::atomic::Ordering;

    /// Parks the calling thread, for at most `limit` if there is one.
    pub(crate) fn park(limit: Option<std::time::Duration>) {
        match limit {
            Some(limit) => thread::park_timeout(limit),
            None => thread::park(),
        }
    }

    /// `fetch_update`, under a name that the models can give to something else.
    #[inline]
    pub(crate) fn update(
        word: &AtomicU64,
        set: Ordering,
        fetch: Ordering,
        change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        word.fetch_update(set, fetch, change)
    }
}

#[cfg(selvedge_loom)]
use selvedge_scheduler::model::seam as imp;

pub(crate) use imp::{
    AtomicBool, AtomicU64, AtomicUsize, Instant, Mutex, MutexGuard, Thread, park, thread, thread_locals,
    update,
};
pub(crate) use std::sync::atomic::Ordering;
use std::task::Waker;

/// Locks a state in which whoever waits leaves its waker. Comes with a clone of `waker`, to be left there, unless the one that is `known` wakes the same.
/// Cloning and dropping are foreign code, so they happen outside the lock: also of a clone that turns out not to be needed, if both are bound in
/// this order.
pub(crate) fn lock_to_wait<'a, T>(
    state: &'a Mutex<T>,
    waker: &Waker,
    known: impl Fn(&T) -> Option<&Waker>,
) -> (Option<Waker>, MutexGuard<'a, T>) {
    let mut fresh = None;
    loop {
        let locked = state.lock();
        if fresh.is_some() || known(&locked).is_some_and(|known| known.will_wake(waker)) {
            return (fresh, locked);
        }
        drop(locked);
        fresh = Some(waker.clone());
    }
}
