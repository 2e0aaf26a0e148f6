//! How does a worker's thread wait, and how is it woken?
//!
//! The token is a flag of the parker. User code that parks inside a poll may take the thread's
//! token, which `std` provides, but not this flag; the flag is read before each wait.
//!
//! A worker that waits for sockets waits in the operating system's poll instead, which the thread's
//! token does not end:
//!
//! ```text
//! waker                                        worker
//! U1 set the flag                              W1 under the lock: store that it polls, and how to end that
//! U2 under the lock: read how it waits         W2 read the flag; set: do not wait
//! U3 end that wait                             W3 poll
//! ```
//!
//! The lock orders U2 and W1: if U2 comes first, W2 sees the flag of U1; else U3 ends the poll, or
//! the next one if it has not begun.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::{self, AtomicBool, Mutex, Ordering, PollWaker, Thread};

/// The wait of one worker. Its thread changes when a standby begins or ends.
pub(crate) struct Parker {
    woken: AtomicBool,
    sleeper: Mutex<Sleeper>,
}

/// How the thread that waits here can be woken.
#[derive(Clone)]
struct Sleeper {
    thread: Option<Thread>,
    /// Set while the thread waits in a poll: ends that poll.
    poll: Option<Arc<PollWaker>>,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { woken: AtomicBool::new(false), sleeper: Mutex::new(Sleeper { thread: None, poll: None }) }
    }

    /// Makes the calling thread the one that waits here.
    pub(crate) fn occupy(&self) {
        self.sleeper.lock().thread = Some(sync::thread::current());
    }

    /// Waits for `unpark`, for at most `limit`; may return early. True: `unpark` was called, and
    /// its token is used up.
    pub(crate) fn park(&self, limit: Option<Duration>) -> bool {
        if !self.take_token() {
            sync::park(limit);
            return self.take_token();
        }
        true
    }

    /// Waits in `poll`, which `waker` ends. Does not poll if there is a token. True: as in `park`.
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

    /// Ends the current wait, or the next one.
    pub(crate) fn unpark(&self) {
        // Ordering: Release pairs with the Acquire of `take_token`. The thread's own token, or the
        // lock, orders flag and wait.
        if self.woken.swap(true, Ordering::Release) {
            return;
        }
        let Sleeper { thread, poll } = self.sleeper.lock().clone();
        if let Some(poll) = poll {
            // This fails when the kernel is out of memory. Then the worker sleeps on until a socket,
            // a deadline or the next call ends its poll.
            if poll.wake().is_err() {
                self.woken.store(false, Ordering::Relaxed);
            }
        } else if let Some(thread) = thread {
            thread.unpark();
        }
    }
}
