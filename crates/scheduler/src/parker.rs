//! How does a worker's thread wait, and how is it woken?
//!
//! The token lies in a flag of our own. The thread's token, which `std` provides, may be taken by user code that parks inside
//! a poll; the flag may not, and it is read before each wait.

use std::time::Duration;

use crate::sync::{self, AtomicBool, Mutex, Ordering, Thread};

/// A worker's place to wait. The thread that sits there changes when a spare comes and goes.
pub(crate) struct Parker {
    woken: AtomicBool,
    thread: Mutex<Option<Thread>>,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { woken: AtomicBool::new(false), thread: Mutex::new(None) }
    }

    /// The calling thread will be the one that waits here.
    pub(crate) fn occupy(&self) {
        *self.thread.lock() = Some(sync::thread::current());
    }

    /// Waits for `unpark`, for at most `limit`; may return early. True: `unpark` was called, and its token is used up.
    pub(crate) fn park(&self, limit: Option<Duration>) -> bool {
        if !self.take_token() {
            sync::park(limit);
            return self.take_token();
        }
        true
    }

    /// Ordering: Acquire pairs with the Release of `unpark`.
    pub(crate) fn take_token(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::Acquire)
    }

    /// Ends the wait that goes on, or the next one.
    pub(crate) fn unpark(&self) {
        // Ordering: Release pairs with the Acquire of `take_token`. The thread's own token orders flag and wait.
        if self.woken.swap(true, Ordering::Release) {
            return;
        }
        let thread = self.thread.lock().clone();
        if let Some(thread) = thread {
            thread.unpark();
        }
    }
}
