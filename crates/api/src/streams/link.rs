//! What do the reader and the writer of one connection share?
//!
//! A reader reads in the poll of its caller, not in the background as asyncio's transport does. So
//! a connection needs no task and no memory for bytes that the program does not ask for, and the
//! operating system slows the peer down. The price: a lost connection shows only at the next read
//! or write.
//!
//! A writer sends at once what the system has space for, under the lock that keeps the order. The
//! rest is sent by a background task (`EventLoop::run_in_background`), which exists only as long as
//! there is a rest. It is not one of the program's tasks: it is not in `all_tasks`, and is not
//! cancelled with them.

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

/// A connection, and the bytes on their way out.
pub(super) struct Link {
    transport: Transport,
    peer: Option<SocketAddr>,
    /// The loop whose background task sends what could not be sent at once.
    event_loop: EventLoop,
    outgoing: Watched<Outgoing>,
    /// The entry in the server that this connection belongs to, until it is closed. Dropping it
    /// wakes tasks, so it must be dropped outside every lock.
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

    /// Sends as much as there is space for now, and the rest in the background.
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
        // If the duty fails, the connection is closed already.
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
            // The change comes after the shutdown, so that tasks that wait for the end check only
            // now.
            self.outgoing.change(|_| ());
            let membership = self.membership.lock().take();
            drop(membership);
        }
    }

    /// Ends the connection at once, and drops unsent bytes.
    pub(super) fn abort(&self, error: Option<Error>) {
        if self.outgoing.change(|outgoing| outgoing.abort(error)) {
            self.shut_down(Shutdown::Both);
        }
    }
}

impl Drop for Link {
    /// Reads the bytes that came and were not read. Otherwise the operating system would reset the
    /// connection on closing, and the peer could lose bytes that it has not read yet.
    fn drop(&mut self) {
        if self
            .outgoing
            .with(|outgoing| outgoing.check().is_ok() || outgoing.closed().is_some_and(|end| end.is_ok()))
        {
            self.transport.discard();
        }
    }
}

/// The background task that sends bytes that could not be sent at once.
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
                    // The connection has ended: there is nothing left to fail.
                    let _ = link.discharge(duty);
                    break;
                }
            }
        }
    }
    sender.is_done = true;
}

impl Drop for Sender {
    /// A drop before the end means that the loop was closed.
    fn drop(&mut self) {
        if !self.is_done {
            let error = io::Error::other("the event loop was closed before all that was written was sent");
            self.link.abort(Some(error.into()));
        }
    }
}
