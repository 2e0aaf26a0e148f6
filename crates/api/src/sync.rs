//! Which atomics, locks, threads and clocks does this crate use?
//!
//! Under `cfg(selvedge_loom)` all of them are the scheduler's, so that the models in `loom-tests`
//! run the coroutines, groups and results that are released, on the scheduler that is released.
//!
//! Not replaced in models: `std`'s `Arc` and write-once cells, and counters whose numbers only have
//! to differ.

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

    /// `fetch_update`, under a name of its own, so that the models can replace it.
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

/// Locks a state in which the code that waits leaves its waker. Returns a clone of `waker` to leave
/// there, unless the `known` waker wakes the same task. To clone or drop a waker runs foreign code,
/// so both happen outside the lock. This includes a clone that turns out not to be needed, if the
/// caller binds the two results in this order: the guard is then dropped first.
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
