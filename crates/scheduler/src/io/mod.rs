//! How does a socket tell the task that waits for it?
//!
//! The operating system is asked by whoever holds the driver's seat (`driver.rs`): an idle worker,
//! which waits, or a busy one, which only glances now and then. What it says is noted at each
//! socket, and who waits there is woken. Nothing of this exists before the first socket does.
//!
//! | file | question |
//! |---|---|
//! | `source.rs` | what is a socket ready for, and who waits for that? |
//! | `reactor.rs` | which sockets are there? |
//! | `poller.rs` | how is the operating system asked? |
//! | `alarm.rs` | how does a wait for sockets end in time for a timer? |

mod alarm;
mod poller;
mod reactor;
mod source;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) use self::poller::{Limit, Poller};
pub(crate) use self::reactor::Reactor;
pub(crate) use self::source::{Change, Source};
pub use self::source::{Changes, Direction, Ready, Waiter};

/// A socket's tie to the scheduler that watches it.
///
/// It is to be ended by [`deregister`](Self::deregister), which needs the socket; dropped alone it
/// ends at the latest when the socket is closed, as far as the operating system is concerned.
#[derive(Debug)]
pub struct Registration {
    source: Arc<Source>,
    reactor: Arc<Reactor>,
    key: usize,
}

impl Registration {
    /// Ready when an attempt in `direction` is worth making, and `waiter` waits no longer; else it
    /// is woken once one is.
    ///
    /// A new registration is ready in both directions, as nobody has tried yet. Attempts by several
    /// tasks are fine: each has a waiter of its own, and all are woken.
    ///
    /// # Errors
    ///
    /// The scheduler is closed: nobody watches any more.
    #[inline]
    pub fn poll_ready(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Ready>> {
        self.source.poll_ready(direction, waiter, cx)
    }

    /// The changes of `direction` that have been told so far: to be taken before the operating
    /// system is asked.
    pub fn changes(&self, direction: Direction) -> Changes {
        self.source.changes(direction)
    }

    /// Ready when a change has been told that is not among those of `since`, and `waiter` waits no
    /// longer; else it is woken by the next one. For who asks the operating system by other means
    /// than an attempt: what attempts have found is not altered, and asked only by
    /// [`allow_an_attempt`](Changes::allow_an_attempt).
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

    /// The attempt that `ready` allowed found nothing to do. What has come since then stands.
    pub fn clear(&self, ready: Ready) {
        self.source.clear(ready);
    }

    /// The attempt that `ready` allowed left nothing for another one, unless the direction has
    /// ended. What has come since then stands.
    #[inline]
    pub fn drained(&self, ready: Ready) {
        self.source.drained(ready);
    }

    /// For an attempt that is made without asking: what it hands to [`clear`](Self::clear) if it
    /// was in vain. To be taken before the attempt.
    #[inline]
    pub fn unasked(&self, direction: Direction) -> Ready {
        self.source.unasked(direction)
    }

    /// The caller has ended these directions of the socket. The operating system need not tell of
    /// that those who wait here: Linux keeps it from a Unix socket's writer, who would wait for
    /// room that it has no use for.
    pub fn note_end(&self, read: bool, write: bool) {
        let change = Change { read: read.then_some(true), write: write.then_some(true) };
        for waker in self.source.note(change).into_iter().flatten() {
            // Foreign code, which may panic.
            crate::contain::silently(|| waker.wake());
        }
    }

    /// `waiter` waits no longer.
    #[inline]
    pub fn forget(&self, direction: Direction, waiter: &mut Waiter) {
        self.source.forget(direction, waiter);
    }

    /// Ends the watch over `socket`, which must be the one that was registered. Who waits for it is
    /// not woken.
    pub fn deregister(&self, socket: &mut (impl mio::event::Source + ?Sized)) {
        self.reactor.deregister(socket);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.reactor.forget(self.key);
    }
}
