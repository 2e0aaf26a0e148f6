//! How does a worker's thread wait, and how is it woken?
//!
//! The token lies in a flag of our own. The thread's token, which `std` provides, may be taken by user code that parks inside
//! a poll; the flag may not, and it is read before each wait.
//!
//! A worker that waits for sockets lies in the operating system's poll instead, where a thread's token does not reach it:
//!
//! ```text
//! waker                                        worker
//! U1 set the flag                              W1 under the lock: say that it polls, and how to end that
//! U2 under the lock: read how it waits         W2 look at the flag; set: do not wait
//! U3 end that wait                             W3 poll
//! ```
//!
//! The lock orders U2 and W1: if U2 comes first, W2 sees the flag of U1; else U3 ends the poll, or the next one if it has not begun.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::{self, AtomicBool, Mutex, Ordering, PollWaker, Thread};

/// A worker's place to wait. The thread that sits there changes when a spare comes and goes.
pub(crate) struct Parker {
    woken: AtomicBool,
    sleeper: Mutex<Sleeper>,
}

/// How the one who waits here can be woken.
#[derive(Clone)]
struct Sleeper {
    thread: Option<Thread>,
    /// It lies in a poll, which this ends.
    poll: Option<Arc<PollWaker>>,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { woken: AtomicBool::new(false), sleeper: Mutex::new(Sleeper { thread: None, poll: None }) }
    }

    /// The calling thread will be the one that waits here.
    pub(crate) fn occupy(&self) {
        self.sleeper.lock().thread = Some(sync::thread::current());
    }

    /// Waits for `unpark`, for at most `limit`; may return early. True: `unpark` was called, and its token is used up.
    pub(crate) fn park(&self, limit: Option<Duration>) -> bool {
        if !self.take_token() {
            sync::park(limit);
            return self.take_token();
        }
        true
    }

    /// Waits in `poll`, which `waker` ends. Not called at all if there is a token. True: as in `park`.
    pub(crate) fn park_in_poll(&self, waker: &Arc<PollWaker>, poll: impl FnOnce()) -> bool {
        self.sleeper.lock().poll = Some(Arc::clone(waker));
        if !self.take_token() {
            poll();
            self.sleeper.lock().poll = None;
            return self.take_token();
        }
        self.sleeper.lock().poll = None;
        true
    }

    /// Ordering: Acquire pairs with the Release of `unpark`.
    pub(crate) fn take_token(&self) -> bool {
        self.woken.load(Ordering::Relaxed) && self.woken.swap(false, Ordering::Acquire)
    }

    /// Ends the wait that goes on, or the next one.
    pub(crate) fn unpark(&self) {
        // Ordering: Release pairs with the Acquire of `take_token`. The thread's own token, or the lock, orders flag and wait.
        if self.woken.swap(true, Ordering::Release) {
            return;
        }
        let Sleeper { thread, poll } = self.sleeper.lock().clone();
        if let Some(poll) = poll {
            // It fails when the kernel is out of memory: then the watch, which looks for work that lies about, makes up for it.
            let _ = poll.wake();
        } else if let Some(thread) = thread {
            thread.unpark();
        }
    }
}
