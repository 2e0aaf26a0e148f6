//! The seam: which atomics, cells, locks and threads does the scheduler stand on?
//!
//! Everything that threads share goes through this file, so that the models in `loom-tests` exercise the code that is
//! shipped. The switch is a cfg of its own: neither `test`, which would leave the models on plain atomics, nor `loom`,
//! which changes other crates of the build too.

#[cfg(not(selvedge_loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    pub(crate) use std::thread::{self, Thread};

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    /// `std`'s cell with loom's closures, so that a model sees each access.
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

    /// Parks the calling thread, for at most `limit` if there is one.
    pub(crate) fn park(limit: Option<std::time::Duration>) {
        match limit {
            Some(limit) => thread::park_timeout(limit),
            None => thread::park(),
        }
    }

    pub(crate) use std::hint::spin_loop;
}

#[cfg(selvedge_loom)]
mod imp {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};
    pub(crate) use loom::thread::{self, Thread};

    /// loom's lock with parking_lot's signatures: there is no poisoning to report.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    /// loom's condition variable with parking_lot's signatures.
    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// loom has no clock: a wait with a limit is a wait that somebody must end.
    pub(crate) fn park(_limit: Option<std::time::Duration>) {
        thread::park();
    }
}

pub(crate) use imp::*;
pub(crate) use std::sync::atomic::Ordering;
