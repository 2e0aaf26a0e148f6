//! What do a reader and a writer of one connection share?

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use selvedge_scheduler::Direction;

use super::outgoing::{Duty, Outgoing, Sent};
use super::server::Membership;
use super::transport::Transport;
use super::watched::Watched;
use crate::error::{Error, Result};
use crate::event_loop::{EventLoop, get_running_loop};

/// A connection, and what is on its way out.
pub(super) struct Link {
    transport: Transport,
    peer: Option<SocketAddr>,
    /// Where the rest of what was written is sent.
    event_loop: EventLoop,
    outgoing: Watched<Outgoing>,
    /// With the server that it belongs to, until it is closed. Its end wakes others, so it happens under no lock.
    membership: Mutex<Option<Membership>>,
}

impl Link {
    pub(super) fn new(transport: Transport, peer: Option<SocketAddr>) -> Result<Arc<Link>> {
        let event_loop = get_running_loop()?;
        let outgoing = Watched::new(Outgoing::new());
        Ok(Arc::new(Link { transport, peer, event_loop, outgoing, membership: Mutex::new(None) }))
    }

    pub(super) fn join(&self, membership: Membership) {
        *self.membership.lock() = Some(membership);
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    pub(super) fn outgoing(&self) -> &Watched<Outgoing> {
        &self.outgoing
    }

    /// Sends what there is room for now, and the rest in the background.
    pub(super) fn write<'a>(self: &Arc<Self>, slices: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let duty =
            self.outgoing.with(|outgoing| outgoing.write(slices, |bytes| self.transport.try_write(bytes)))?;
        self.discharge(duty)
    }

    pub(super) fn end(self: &Arc<Self>) -> Result<()> {
        let duty = self.outgoing.with(Outgoing::end)?;
        self.discharge(duty)
    }

    pub(super) fn close(self: &Arc<Self>) {
        let duty = self.outgoing.change(Outgoing::close);
        // What cannot be closed is closed.
        let _ = self.discharge(duty);
    }

    fn discharge(self: &Arc<Self>, duty: Duty) -> Result<()> {
        match duty {
            Duty::Nothing => {}
            Duty::Send => self.event_loop.run_in_background(send(Sender::of(self))),
            Duty::ShutDown(how) => self.shut_down(how),
            Duty::Fail(error) => {
                self.abort(Some(error.clone()));
                return Err(error);
            }
        }
        Ok(())
    }

    fn shut_down(&self, how: Shutdown) {
        self.transport.shutdown(how);
        if how == Shutdown::Both {
            // Only now do those who wait for the end look for it.
            self.outgoing.change(|_| ());
            let membership = self.membership.lock().take();
            drop(membership);
        }
    }

    /// Ends the connection at once, with what is unsent.
    pub(super) fn abort(&self, error: Option<Error>) {
        if self.outgoing.change(|outgoing| outgoing.abort(error)) {
            self.shut_down(Shutdown::Both);
        }
    }
}

impl Drop for Link {
    /// Bytes that came and were not read would make the operating system reset the connection, and the peer could lose what it has not read yet.
    fn drop(&mut self) {
        if self
            .outgoing
            .with(|outgoing| outgoing.check().is_ok() || outgoing.closed().is_some_and(|end| end.is_ok()))
        {
            self.transport.discard();
        }
    }
}

/// Who sends what was written and could not be sent at once.
struct Sender {
    link: Arc<Link>,
    is_done: bool,
}

impl Sender {
    fn of(link: &Arc<Link>) -> Sender {
        Sender { link: Arc::clone(link), is_done: false }
    }
}

async fn send(mut sender: Sender) {
    let link = Arc::clone(&sender.link);
    loop {
        let attempt = link
            .transport
            .operation(Direction::Write, |bytes| link.outgoing.with(|outgoing| outgoing.send(bytes)));
        let sent = match attempt.await {
            Ok(sent) => sent,
            Err(error) => {
                link.abort(Some(error));
                break;
            }
        };
        if link.outgoing.with(Outgoing::resumes) {
            link.outgoing.change(|_| ());
        }
        if sent == Sent::All {
            match link.outgoing.with(Outgoing::all_sent) {
                Duty::Send => {}
                duty => {
                    // There is nothing left to fail.
                    let _ = link.discharge(duty);
                    break;
                }
            }
        }
    }
    sender.is_done = true;
}

impl Drop for Sender {
    /// Dropped before its time: the loop was closed.
    fn drop(&mut self) {
        if !self.is_done {
            let error = io::Error::other("the event loop was closed before all that was written was sent");
            self.link.abort(Some(error.into()));
        }
    }
}
