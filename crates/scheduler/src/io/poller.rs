//! How does the scheduler poll the operating system for socket events?

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::Reactor;
use super::alarm::{Alarm, Limit};
use crate::parker::Parker;
use crate::sync::PollWaker;

/// The token of the wake that ends a poll.
const WAKE: Token = Token(0);
const ALARM: Token = Token(1);
/// The sockets' tokens begin here.
pub(super) const FIRST_SOCKET: usize = 2;
/// The most events that one poll returns. The rest is returned by the next poll.
const BATCH: usize = 1024;

/// The owner's half: its holder may poll.
pub(crate) struct Poller {
    poll: Poll,
    events: Events,
    alarm: Alarm,
}

impl Poller {
    pub(crate) fn open() -> io::Result<(Self, Arc<Reactor>)> {
        let poll = Poll::new()?;
        let waker = PollWaker::new(poll.registry(), WAKE)?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let reactor = Arc::new(Reactor::new(poll.registry().try_clone()?, waker));
        Ok((Self { poll, events: Events::with_capacity(BATCH), alarm }, reactor))
    }

    /// Replaces the parker's wait by one that also waits for sockets. The wakers of tasks whose
    /// sockets have changed are added to `woken`. The result is that of [`Parker::park`].
    pub(crate) fn park(
        &mut self,
        reactor: &Reactor,
        parker: &Parker,
        limit: Limit,
        woken: &mut Vec<Waker>,
    ) -> bool {
        parker.park_in_poll(reactor.waker(), || self.poll(reactor, limit, woken))
    }

    /// Polls once.
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
