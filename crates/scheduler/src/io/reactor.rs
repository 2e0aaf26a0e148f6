//! Which sockets are registered with the scheduler?

use std::io;
use std::sync::Arc;
use std::task::Waker;

use mio::event::Event;
use mio::{Interest, Registry, Token};
use slab::Slab;

use super::source::{Change, Source};
use super::{Registration, poller};
use crate::sync::{Mutex, PollWaker};

/// The remote half of a [`Poller`](super::Poller): any thread that has it may register sockets, and
/// end the poll.
#[derive(Debug)]
pub(crate) struct Reactor {
    registry: Registry,
    waker: Arc<PollWaker>,
    sources: Mutex<Sources>,
}

#[derive(Debug, Default)]
struct Sources {
    /// Keyed by the number that the operating system returns with each event. A number that is used
    /// again may get an event of its predecessor, if that was in the same batch as the change; then
    /// one io operation is unsuccessful, which corrects the readiness.
    all: Slab<Arc<Source>>,
    is_closed: bool,
}

/// Urgent data are reported separately, because a read ends before them although there is more.
#[cfg(any(target_os = "linux", target_os = "android"))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

#[cold]
pub(super) fn closed() -> io::Error {
    io::Error::other("the event loop that watches this socket is closed; make the socket in a loop that runs")
}

impl Reactor {
    pub(super) fn new(registry: Registry, waker: PollWaker) -> Self {
        Self { registry, waker: Arc::new(waker), sources: Mutex::new(Sources::default()) }
    }

    pub(crate) fn waker(&self) -> &Arc<PollWaker> {
        &self.waker
    }

    /// Begins to watch a socket, in both directions.
    pub(crate) fn register(
        self: &Arc<Self>,
        socket: &mut (impl mio::event::Source + ?Sized),
    ) -> io::Result<Registration> {
        let source = Arc::new(Source::new());
        let key = {
            let mut sources = self.sources.lock();
            if sources.is_closed {
                return Err(closed());
            }
            sources.all.insert(Arc::clone(&source))
        };
        // From here on, dropping the registration removes the source.
        let registration = Registration { source, reactor: Arc::clone(self), key };
        self.registry.register(socket, Token(key + poller::FIRST_SOCKET), INTEREST)?;
        Ok(registration)
    }

    pub(super) fn deregister(&self, socket: &mut (impl mio::event::Source + ?Sized)) {
        // This fails if the operating system has already forgotten the socket.
        let _ = self.registry.deregister(socket);
    }

    pub(super) fn forget(&self, key: usize) {
        // Wakers that are left in the source are foreign code: drop them outside the lock.
        let source = self.sources.lock().all.try_remove(key);
        drop(source);
    }

    /// Notes each event at its socket. The wakers of the waiting tasks are added to `woken`.
    pub(super) fn note<'a>(&self, events: impl Iterator<Item = &'a Event>, woken: &mut Vec<Waker>) -> usize {
        // Long lists, which are traversed outside the lock.
        let mut crowds = Vec::new();
        let mut count = 0;
        let sources = self.sources.lock();
        for event in events {
            // The poller's own tokens are smaller.
            let key = event.token().0.checked_sub(poller::FIRST_SOCKET);
            if let Some(source) = key.and_then(|key| sources.all.get(key)) {
                for list in source.note(Change::told_by(event)) {
                    if list.len() > 1 { crowds.push(list) } else { woken.extend(list) }
                }
                count += 1;
            }
        }
        drop(sources);
        woken.extend(crowds.into_iter().flatten());
        count
    }

    /// The number of sockets that are watched.
    pub(crate) fn len(&self) -> usize {
        self.sources.lock().all.len()
    }

    /// Stops watching: from now on every wait for a socket returns an error.
    pub(crate) fn close(&self) {
        let all = {
            let mut sources = self.sources.lock();
            sources.is_closed = true;
            // The map is not read any more, and no source is added to it.
            std::mem::take(&mut sources.all)
        };
        // All sources are closed before the first wake: a waker is foreign code, and may wait for
        // the end of another socket.
        let lists: Vec<_> = all.into_iter().flat_map(|(_, source)| source.close()).collect();
        for waker in lists.into_iter().flatten() {
            crate::contain::silently(|| waker.wake());
        }
    }
}

#[cfg(all(test, unix, not(selvedge_loom)))]
mod tests {
    use std::task::Context;
    use std::time::Duration;

    use mio::net::UnixStream;
    use mio::{Events, Poll};

    use super::*;
    use crate::io::{Direction, Waiter};

    /// The operating system has reported an event of a socket that is deregistered before the event
    /// is noted, when another socket has its number.
    #[test]
    fn what_was_meant_for_a_predecessor_costs_one_attempt() {
        let mut poll = Poll::new().expect("a poll");
        let waker = PollWaker::new(poll.registry(), Token(0)).expect("a waker");
        let registry = poll.registry().try_clone().expect("a copy");
        let reactor = Arc::new(Reactor::new(registry, waker));
        let (mut ended, peer) = UnixStream::pair().expect("a pair");
        let former = reactor.register(&mut ended).expect("there is room");
        drop(peer);
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(5))).expect("it tells of the end");
        former.deregister(&mut ended);
        drop((former, ended));

        let (mut fresh, _peer) = UnixStream::pair().expect("a pair");
        let registration = reactor.register(&mut fresh).expect("there is room");
        let mut woken = Vec::new();
        assert_eq!(reactor.note(events.iter(), &mut woken), 1, "it has the number of the former one");
        let mut cx = Context::from_waker(Waker::noop());
        for direction in [Direction::Read, Direction::Write] {
            let mut waiter = Waiter::new();
            let std::task::Poll::Ready(Ok(ready)) = registration.poll_ready(direction, &mut waiter, &mut cx)
            else {
                panic!("nobody has tried yet");
            };
            registration.clear(ready);
            assert!(registration.poll_ready(direction, &mut waiter, &mut cx).is_pending(), "{direction:?}");
            registration.forget(direction, &mut waiter);
        }
        registration.deregister(&mut fresh);
    }
}
