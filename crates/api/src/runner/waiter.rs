//! How does the calling thread wait, and hear of Ctrl-C meanwhile?

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::interrupt::Interrupts;
use crate::event_loop::EventLoop;

/// The calling thread of `run`: it runs no tasks, so that it can return whatever the workers are
/// stuck in.
///
/// A parked thread is not woken by a signal. Where Ctrl-C is ours, the thread waits on a socket
/// instead, which the signal handler writes to.
pub(super) enum Waiter {
    Parked(Thread),
    Interruptible(Interrupts),
}

impl Waiter {
    /// Ctrl-C is heard unless a handler of this loop hears it.
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

    /// Whether Ctrl-C was pressed since this was last asked.
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
