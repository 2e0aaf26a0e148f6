//! What can a program do with a running server?

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

/// Accepts connections and runs a coroutine for each: asyncio's class of the same name. Made by
/// [`start_server`](crate::start_server), [`start_unix_server`](crate::start_unix_server) and
/// [`start_server_on`](crate::start_server_on).
///
/// Clones are the same server. Like a task, it continues when all of them are dropped, until the
/// server or the loop is closed.
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
    /// Empty once the server is closed.
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

    /// Stops accepting connections; existing ones continue. New connections are refused, and the
    /// address is free. Calling it again does nothing.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether the server accepts connections.
    pub fn is_serving(&self) -> bool {
        self.shared.with(|state| !state.is_closed())
    }

    /// Waits until the server and all its connections are closed: by their coroutines, by their
    /// peers, or by [`close_clients`](Self::close_clients). As in asyncio only connections count: a
    /// coroutine whose connection was closed from outside may still run. To let coroutines finish,
    /// notify them instead (by a future that they await besides their reader), and close nothing.
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

    /// Waits until the server is closed, and then for its connections, as
    /// [`wait_closed`](Self::wait_closed) does. For programs that only serve.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError); [`RuntimeError`] if the server is closed already,
    /// or another task is in this method. (In asyncio a call of `close` also ends it with a
    /// `CancelledError`; here it then succeeds.)
    ///
    /// # Cancellation
    ///
    /// Closes the server, and then, like asyncio, waits for its connections before it returns the
    /// error; this takes as long as the coroutines and peers take. A second request ends that wait.
    /// So the first Ctrl-C seems to do nothing while a client is connected. If you do not want
    /// that, close the connections too:
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
        // A request that ended the first wait is returned, whatever the second wait returns.
        let waited = self.wait_closed().await;
        served.and(waited)
    }

    /// The addresses at which it listens: several if its name stands for several. Empty once the
    /// server is closed, and for a Unix socket.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.shared.with(|state| state.listeners.iter().filter_map(Listener::local_addr).collect())
    }

    /// The number of open connections.
    pub fn clients(&self) -> usize {
        self.shared.with(|state| state.clients.len())
    }

    /// Closes all connections, each as soon as everything written has been sent: calls
    /// [`StreamWriter::close`](super::StreamWriter::close) for each. The server and the coroutines
    /// of the connections continue; later writes of those coroutines fail.
    pub fn close_clients(&self) {
        self.each_client(Link::close);
    }

    /// Closes all connections at once, and drops bytes that have not been sent: calls
    /// [`StreamWriter::abort`](super::StreamWriter::abort) for each.
    pub fn abort_clients(&self) {
        self.each_client(|link| link.abort(None));
    }

    /// Calls `f` for each connection that exists at the call. Closing a connection takes the lock
    /// to remove it from the map, so `f` is called outside the lock; the lock is held to collect a
    /// few at a time.
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

/// Marks that a task is in `serve_forever`.
struct Serving<'a>(&'a Shared);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.with(|state| state.is_served_for_ever = false);
    }
}

impl Watched<State> {
    /// Stops accepting.
    pub(super) fn close(&self) {
        let listeners = self.change(|state| std::mem::take(&mut state.listeners));
        drop(listeners);
    }

    /// Accepts from a listener; `None`: the server is closed. Runs under the lock, so that the
    /// address is free as soon as `close` returns.
    pub(super) fn poll_accept(
        &self,
        index: usize,
        io: &mut IoDirection,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Result<Accepted>>> {
        self.with(|state| Some(state.listeners.get(index)?.poll_accept(io, cx)))
    }

    /// The condition for `until` with which accepting ends.
    pub(super) fn is_closed(state: &mut State) -> Option<()> {
        state.is_closed().then_some(())
    }
}

/// A connection's entry in its server. Its drop wakes the tasks that wait until the server has no
/// connections.
pub(super) struct Membership {
    shared: Arc<Shared>,
    number: u64,
}

impl Membership {
    /// Adds a connection to the server.
    pub(super) fn enter(shared: &Arc<Shared>, link: &Arc<Link>) {
        let number = shared.with(|state| {
            state.next += 1;
            state.next
        });
        link.join(Membership { shared: Arc::clone(shared), number });
        // The connection enters the map only after `join`: a thread that finds it there may close
        // it, which ends the membership.
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
