//! On which atomics, cells, locks, threads and clocks does the scheduler stand?
//!
//! Everything that threads share goes through this file, the *seam*, so that the models in
//! `loom-tests` exercise the code that is shipped. The switch is a cfg of its own. With `test`, the
//! models would run on plain atomics; with `loom`, other crates of the build would change too.
//!
//! These stay outside: `std`'s `Arc` and `Weak`, the table of all schedulers in `runtimes.rs`, and
//! numbers that no protocol reads ([`HintU64`], [`HintI32`]).
//!
//! Destructors of the program's thread-locals may run after those of this crate. So this crate and
//! the api have only two sorts of thread-locals (`thread_locals!`):
//!
//! 1. Without a destructor: numbers, flags, and values in a `ManuallyDrop` that the code which puts
//!    them there always takes out again (a compile-time check asserts `!needs_drop`).
//! 2. With a destructor: these own something until the thread ends. They are only accessed by
//!    `try_with`, with a fallback for a thread whose value is gone, such as a new buffer.

#[cfg(not(selvedge_loom))]
mod imp {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    pub(crate) use std::thread::{self, Thread};
    pub(crate) use std::thread_local as thread_locals;
    pub(crate) use std::time::Instant;

    pub(crate) use mio::Waker as PollWaker;
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    /// `std`'s cell with the closures of loom's, so that a model sees each access.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// For the thread that took `word` to its last value: makes what other threads did before their
    /// Release writes to it visible. `ThreadSanitizer` does not know fences, so under it this is a
    /// load.
    #[inline]
    pub(crate) fn acquire_after_last(word: &AtomicU64) {
        if cfg!(selvedge_tsan) {
            word.load(Ordering::Acquire);
        } else {
            fence(Ordering::Acquire);
        }
    }

    /// A load with which a change of `word` begins.
    #[inline]
    pub(crate) fn look(word: &AtomicU64, ordering: Ordering) -> u64 {
        word.load(ordering)
    }

    /// `fetch_update`, under a name that the models can define differently.
    #[inline]
    pub(crate) fn update(
        word: &AtomicU64,
        set: Ordering,
        fetch: Ordering,
        change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        word.fetch_update(set, fetch, change)
    }

    /// A store into `word`, which is null, by the only thread that fills it.
    #[inline]
    pub(crate) fn fill<T>(word: &AtomicPtr<T>, value: *mut T, ordering: Ordering) {
        word.store(value, ordering);
    }

    /// Shows whether a thread has ended, including the destructors of its thread-local variables.
    /// `JoinHandle::is_finished` is true before those have run, and joining would wait for them
    /// without a limit.
    #[derive(Clone)]
    pub(crate) struct Presence(Arc<()>);

    std::thread_local! {
        static PRESENT: Cell<Option<Arc<()>>> = const { Cell::new(None) };
    }

    impl Presence {
        pub(crate) fn new() -> Self {
            Self(Arc::new(()))
        }

        /// The thread must call this before all else: the thread-local that is registered first is
        /// destroyed last.
        pub(crate) fn begin(self) {
            let _ = PRESENT.try_with(|present| present.set(Some(self.0)));
        }

        pub(crate) fn has_ended(&self) -> bool {
            Arc::strong_count(&self.0) == 1
        }
    }

    /// A loop that waits for the clock comes to its end.
    pub(crate) const TIME_PASSES: bool = true;

    /// Parks the calling thread, for at most `limit` if there is one.
    pub(crate) fn park(limit: Option<std::time::Duration>) {
        match limit {
            Some(limit) => thread::park_timeout(limit),
            None => thread::park(),
        }
    }
}

#[cfg(selvedge_loom)]
#[path = "model/sync.rs"]
pub(crate) mod imp;

pub(crate) use imp::*;
pub(crate) use std::sync::atomic::{AtomicI32 as HintI32, AtomicU64 as HintU64, Ordering};
