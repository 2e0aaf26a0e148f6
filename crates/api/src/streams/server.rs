//! What is a server, seen from the program?

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::link::Link;
use super::listener::{Accepted, Listener};
use super::watched::Watched;
use crate::error::{Result, RuntimeError};
use crate::net::IoDirection;

/// Accepts connections and runs a coroutine for each: asyncio's class of that name. Made by [`start_server`](crate::start_server),
/// [`start_unix_server`](crate::start_unix_server) and [`start_server_on`](crate::start_server_on).
///
/// Clones are the same server. It goes on when all of them are dropped, until it is closed or the loop is, as a task does.
///
/// # Examples
///
/// ```
/// use selvedge::{create_task, open_connection, start_server};
///
/// # selvedge::run(async {
/// let server = start_server(async |mut reader, writer| {
///     writer.write(reader.readline().await?)
/// }, "127.0.0.1:0").await?;
/// let addr = server.local_addrs()[0];
/// let serving = create_task({
///     let server = server.clone();
///     async move { server.serve_forever().await }
/// });
///
/// let (mut reader, writer) = open_connection(addr).await?;
/// writer.write("echo\n")?;
/// assert_eq!(reader.readline().await?, b"echo\n");
/// drop((reader, writer));
///
/// serving.cancel();
/// assert!(serving.await.is_err_and(|error| error.is_cancelled()));
/// assert!(!server.is_serving());
/// assert!(open_connection(addr).await.is_err());
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

pub(super) type Shared = Watched<State>;

pub(super) struct State {
    /// Empty once it is closed.
    listeners: Vec<Listener>,
    clients: BTreeMap<u64, Weak<Link>>,
    next: u64,
    is_served_for_ever: bool,
}

impl State {
    fn is_closed(&self) -> bool {
        self.listeners.is_empty()
    }
}

impl Server {
    pub(super) fn of(listeners: Vec<Listener>) -> Server {
        let state = State { listeners, clients: BTreeMap::new(), next: 0, is_served_for_ever: false };
        Server { shared: Arc::new(Watched::new(state)) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Accepts no more connections; those that exist go on. Who connects from now on is refused, and the address is free. Again: does nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether it accepts connections.
    pub fn is_serving(&self) -> bool {
        self.shared.with(|state| !state.is_closed())
    }

    /// Waits until the server is closed and so are all its connections: by their coroutines, their peers, or [`close_clients`](Self::close_clients). It is
    /// connections that count, as in asyncio: a coroutine whose connection was closed under it may still be at work. Who wants coroutines to come to their end tells
    /// them (by a future that they wait for beside their reader), and closes nothing.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError).
    ///
    /// # Cancellation
    ///
    /// Ends the wait, and closes nothing.
    pub async fn wait_closed(&self) -> Result<()> {
        self.shared.until(|state| (state.is_closed() && state.clients.is_empty()).then_some(())).await
    }

    /// Waits until the server is closed, and then for its connections, as [`wait_closed`](Self::wait_closed) does. For programs that do nothing but serve.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError); [`RuntimeError`] if the server is closed already, or awaited here by another task. (asyncio's also ends with a
    /// `CancelledError` when somebody calls `close`; here that is a good end.)
    ///
    /// # Cancellation
    ///
    /// Closes the server, and waits for its connections before it returns the error, as asyncio's does: for as long as their coroutines and their peers like. A second request ends
    /// that wait. So the first Ctrl-C seems to do nothing while somebody is connected. Where that is not meant, close the connections too:
    ///
    /// ```
    /// # async fn serve(server: selvedge::streams::Server) -> selvedge::Result<()> {
    /// if let Err(told) = server.wait_closed().await {
    ///     server.close();
    ///     server.close_clients();
    ///     server.wait_closed().await?;
    ///     return Err(told);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve_forever(&self) -> Result<()> {
        let begins = self.shared.with(|state| {
            let begins = !state.is_closed() && !state.is_served_for_ever;
            state.is_served_for_ever |= begins;
            begins
        });
        if !begins {
            let why =
                if self.is_serving() { "is already being awaited on serve_forever()" } else { "is closed" };
            return Err(RuntimeError::new(format!("server {why}")).into());
        }
        let _serving = Serving(&self.shared);
        let served = self.shared.until(|state| state.is_closed().then_some(())).await;
        self.close();
        // Whatever ends this wait, a request that came before it comes first.
        let waited = self.wait_closed().await;
        served.and(waited)
    }

    /// Where it listens: several addresses if the name it was given stands for several. Empty once it is closed, and for a Unix socket.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared.with(|state| state.listeners.iter().filter_map(Listener::local_addr).collect())
    }

    /// How many connections there are.
    pub fn clients(&self) -> usize {
        self.shared.with(|state| state.clients.len())
    }

    /// Closes all connections, each when what was written is sent: [`StreamWriter::close`](super::StreamWriter::close) for each. The server itself goes on. So do the connections'
    /// coroutines; what they write from then on fails.
    pub fn close_clients(&self) {
        self.each_client(Link::close);
    }

    /// Closes all connections at once, and drops what was not sent: [`StreamWriter::abort`](super::StreamWriter::abort) for each.
    pub fn abort_clients(&self) {
        self.each_client(|link| link.abort(None));
    }

    /// Those that are there at the call. Closing one takes it out of the map, so not under the lock, which is held for a few at a time.
    fn each_client(&self, mut f: impl FnMut(&Arc<Link>)) {
        const PORTION: usize = 64;
        let (mut start, end) = (0, self.shared.with(|state| state.next));
        while start <= end {
            let portion: Vec<_> = self.shared.with(|state| {
                let clients = state.clients.range(start..=end);
                clients.take(PORTION).map(|(number, link)| (*number, Weak::clone(link))).collect()
            });
            let Some((last, _)) = portion.last() else { return };
            start = last + 1;
            portion.iter().filter_map(|(_, link)| link.upgrade()).for_each(|link| f(&link));
        }
    }
}

/// Somebody is in `serve_forever`.
struct Serving<'a>(&'a Shared);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.is_served_for_ever = false);
    }
}

impl Watched<State> {
    /// Accepts no more.
    pub(super) fn close(&self) {
        let listeners = self.change(|state| std::mem::take(&mut state.listeners));
        drop(listeners);
    }

    /// Accepts from a listener; `None`: the server is closed. Under the lock, so that its address is free as soon as `close` returns.
    pub(super) fn poll_accept(
        &self,
        index: usize,
        io: &mut IoDirection,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Result<Accepted>>> {
        self.with(|state| Some(state.listeners.get(index)?.poll_accept(io, cx)))
    }

    /// What `until` looks for who accepts.
    pub(super) fn is_closed(state: &mut State) -> Option<()> {
        state.is_closed().then_some(())
    }
}

/// A connection's place with its server. Its end lets those look again who wait for the server to be empty.
pub(super) struct Membership {
    shared: Arc<Shared>,
    number: u64,
}

impl Membership {
    /// Enters a connection.
    pub(super) fn enter(shared: &Arc<Shared>, link: &Arc<Link>) {
        let number = shared.with(|state| {
            state.next += 1;
            state.next
        });
        link.join(Membership { shared: Arc::clone(shared), number });
        // Only now: whoever finds the connection here may close it, and with that its membership ends.
        shared.with(|state| state.clients.insert(number, Arc::downgrade(link)));
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let was_last = self.shared.with(|state| {
            state.clients.remove(&self.number);
            state.is_closed() && state.clients.is_empty()
        });
        if was_last {
            self.shared.change(|_| ());
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Server");
        shown.field("sockets", &self.local_addrs()).field("clients", &self.clients()).finish()
    }
}
