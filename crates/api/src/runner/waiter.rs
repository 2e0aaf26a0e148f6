//! How does the calling thread wait for main and for Ctrl-C at the same time?

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::interrupt::Interrupts;
use crate::event_loop::EventLoop;

/// The calling thread of `run`. It runs no tasks, so that it can return even if the workers are
/// stuck.
///
/// A signal does not wake a parked thread. If this thread handles Ctrl-C, it waits on a socket
/// instead, to which the signal handler writes.
pub(super) enum Waiter {
    Parked(Thread),
    Interruptible(Interrupts),
}

impl Waiter {
    /// Ctrl-C is handled unless a handler of this loop handles it.
    pub(super) fn new(event_loop: &EventLoop) -> Waiter {
        match Interrupts::listen(event_loop) {
            Some(interrupts) => Waiter::Interruptible(interrupts),
            None => Waiter::Parked(thread::current()),
        }
    }

    pub(super) fn waker(&self) -> Waker {
        match self {
            Waiter::Parked(thread) => Waker::from(Arc::new(Unpark(thread.clone()))),
            Waiter::Interruptible(interrupts) => interrupts.waker(),
        }
    }

    /// Returns after a wake, after a signal, after `most`, or for no reason at all.
    pub(super) fn wait(&self, most: Option<Duration>) {
        match (self, most) {
            (Waiter::Interruptible(interrupts), most) => interrupts.wait(most),
            (Waiter::Parked(_), None) => thread::park(),
            (Waiter::Parked(_), Some(most)) => thread::park_timeout(most),
        }
    }

    /// Whether Ctrl-C was pressed since the last call.
    pub(super) fn take_interrupt(&self) -> bool {
        match self {
            Waiter::Parked(_) => false,
            Waiter::Interruptible(interrupts) => interrupts.take(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
