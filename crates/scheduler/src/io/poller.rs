//! How is the operating system asked?

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::Reactor;
use super::alarm::Alarm;
use crate::parker::Parker;
use crate::sync::PollWaker;

/// Ends a poll.
const WAKE: Token = Token(0);
const ALARM: Token = Token(1);
/// The sockets' tokens begin here.
pub(super) const FIRST_SOCKET: usize = 2;
/// Changes that one poll can tell. What is left is told by the next one.
const BATCH: usize = 1024;

/// The owner's half: whoever holds it may poll.
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    alarm: Alarm,
}

/// How long a poll may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// Not at all.
    Glance,
    /// For ever.
    None,
    /// From `now` until `due`, in nanoseconds of the scheduler's clock.
    Until { due: u64, now: u64 },
}

impl Poller {
    pub(crate) fn open() -> io::Result<(Self, Arc<Reactor>)> {
        let poll = Poll::new()?;
        let waker = PollWaker::new(poll.registry(), WAKE)?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let reactor = Arc::new(Reactor::new(poll.registry().try_clone()?, waker));
        Ok((Self { poll, events: Events::with_capacity(BATCH), alarm }, reactor))
    }

    /// Waits in the parker's stead for sockets too. The wakers of those who waited for what has
    /// come go to `woken`. True: as in
    /// [`Parker::park`].
    pub(crate) fn park(
        &mut self,
        reactor: &Reactor,
        parker: &Parker,
        limit: Limit,
        woken: &mut Vec<Waker>,
    ) -> bool {
        parker.park_in_poll(reactor.waker(), || self.poll(reactor, limit, woken))
    }

    /// Asks once.
    pub(crate) fn poll(&mut self, reactor: &Reactor, limit: Limit, woken: &mut Vec<Waker>) {
        let limit = match limit {
            Limit::Glance => Some(Duration::ZERO),
            limit => self.alarm.set(limit),
        };
        match self.poll.poll(&mut self.events, limit) {
            Ok(()) => _ = reactor.note(self.events.iter(), woken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("the system refuses to tell which sockets are ready: {error}"),
        }
    }
}
