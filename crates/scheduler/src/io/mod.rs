//! How does a socket's readiness reach the task that waits for it?
//!
//! The holder of the driver (`driver.rs`) polls the operating system: an idle worker, which waits,
//! or a busy one, which polls now and then without waiting. Each event is noted at its socket, and
//! the tasks that wait there are woken. Nothing of this is created before the first socket.
//!
//! A holder that becomes busy releases the driver. If its poll turns out to be long, the watchdog wakes
//! another worker for the driver.
//!
//! | file | question |
//! |---|---|
//! | `source.rs` | what is a socket ready for, and which tasks wait for that? |
//! | `reactor.rs` | which sockets are registered? |
//! | `poller.rs` | how does the scheduler poll the operating system? |
//! | `alarm.rs` | how does a wait for sockets end in time for a timer? |

mod alarm;
mod poller;
mod reactor;
mod source;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) use self::alarm::Limit;
pub(crate) use self::poller::Poller;
pub(crate) use self::reactor::Reactor;
pub(crate) use self::source::{Change, Source};
pub use self::source::{Changes, Direction, Ready, Waiter};

/// Connects a socket with the scheduler that watches it.
///
/// It should be ended by [`deregister`](Self::deregister), which needs the socket. If it is only
/// dropped, the operating system ends its part at the latest when the socket is closed.
#[derive(Debug)]
pub struct Registration {
    source: Arc<Source>,
    reactor: Arc<Reactor>,
    key: usize,
}

impl Registration {
    /// Ready when an io operation in `direction` is worth trying; `waiter` then no longer waits.
    /// Else `waiter` is woken when one is.
    ///
    /// A new registration is ready in both directions, because no io operation has been tried yet.
    /// Several tasks may perform io operations: each has its own waiter, and all are woken.
    ///
    /// # Errors
    ///
    /// An error if the scheduler is closed: it watches no sockets any more.
    #[inline]
    pub fn poll_ready(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Ready>> {
        self.source.poll_ready(direction, waiter, cx)
    }

    /// The number of changes of `direction` so far. Take it before you query the operating system.
    pub fn changes(&self, direction: Direction) -> Changes {
        self.source.changes(direction)
    }

    /// Ready when a change has come that is not counted in `since`; `waiter` then no longer waits.
    /// Else `waiter` is woken by the next change. For tasks that query the operating system instead
    /// of performing io operations: the results of such operations are not altered, and only
    /// [`allow_an_attempt`](Changes::allow_an_attempt) reads them.
    ///
    /// # Errors
    ///
    /// As [`poll_ready`](Self::poll_ready).
    pub fn poll_changed(
        &self,
        since: Changes,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.source.poll_changed(since, waiter, cx)
    }

    /// The io operation that `ready` allowed found nothing to do. Changes that came after `ready`
    /// remain.
    pub fn clear(&self, ready: Ready) {
        self.source.clear(ready);
    }

    /// The io operation that `ready` allowed left nothing for another one, unless the direction has
    /// ended. Changes that came after `ready` remain.
    #[inline]
    pub fn drained(&self, ready: Ready) {
        self.source.drained(ready);
    }

    /// For an io operation without a preceding wait: the value to pass to [`clear`](Self::clear) if
    /// it is unsuccessful. Take it before the operation.
    #[inline]
    pub fn unasked(&self, direction: Direction) -> Ready {
        self.source.unasked(direction)
    }

    /// The caller has ended these directions of the socket: wakes the waiters. The operating system
    /// may not report that end: Linux does not report it to a writer of a Unix socket, which would
    /// wait for ever.
    pub fn note_end(&self, read: bool, write: bool) {
        let change = Change { read: read.then_some(true), write: write.then_some(true) };
        for waker in self.source.note(change).into_iter().flatten() {
            // A wake runs foreign code, which may panic.
            crate::contain::silently(|| waker.wake());
        }
    }

    /// `waiter` no longer waits.
    #[inline]
    pub fn forget(&self, direction: Direction, waiter: &mut Waiter) {
        self.source.forget(direction, waiter);
    }

    /// Ends the registration of `socket`, which must be the one that was registered. Its waiters
    /// are not woken.
    pub fn deregister(&self, socket: &mut (impl mio::event::Source + ?Sized)) {
        self.reactor.deregister(socket);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.reactor.forget(self.key);
    }
}
