//! How are TCP connections made, accepted and used?

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use selvedge_scheduler::Direction;
use socket2::{SockRef, TcpKeepalive};

use super::io_operation::IoDirection;
use super::listening::{DEFAULT_BACKLOG, listen_at};
use super::methods::{reading, writing};
use super::resolve::{self, Failures, ToSocketAddrs};
use super::socket::{Done, Socket, descriptor};
use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::stream::{ByteStream, reading_traits, sealed, writing_traits};
use crate::error::Result;

/// Waits for TCP connections.
///
/// Any number of tasks may accept from one listener. On Unix the address can be bound again as soon
/// as the listener is dropped (`SO_REUSEADDR`), as with asyncio. For other options create the
/// socket by other means and use [`from_std`](Self::from_std).
///
/// # Examples
///
/// ```
/// use selvedge::net::{TcpListener, TcpStream};
///
/// # selvedge::run(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = selvedge::create_task(TcpStream::connect(listener.local_addr()?));
/// let (stream, peer) = listener.accept().await?;
/// assert_eq!(client.await?.local_addr()?, peer);
/// # Ok(())
/// # }).unwrap();
/// ```
pub struct TcpListener {
    socket: Socket<mio::net::TcpListener>,
}

impl TcpListener {
    /// Listens at the first of the addresses that `target` stands for that can be bound. With port
    /// 0 the operating system chooses the port: [`local_addr`](Self::local_addr) returns it.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] (`AddrInUse`, `PermissionDenied` …);
    /// [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub async fn bind(target: impl ToSocketAddrs) -> Result<TcpListener> {
        TcpListener::bind_with_backlog(target, DEFAULT_BACKLOG).await
    }

    /// As [`bind`](Self::bind), with a chosen limit of connections that may wait to be accepted;
    /// `bind` uses 1,024. The operating system has a limit of its own (Linux:
    /// `net.core.somaxconn`), which replaces a larger number. When the queue is full, clients try
    /// again after a second.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// let listener = selvedge::net::TcpListener::bind_with_backlog("127.0.0.1:0", 16).await?;
    /// # drop(listener);
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind_with_backlog(target: impl ToSocketAddrs, backlog: u32) -> Result<TcpListener> {
        let mut failures = Failures::default();
        for addr in resolve::lookup(target.target()).await? {
            match listen_at(addr, backlog, false).map_err(resolve::about(addr)) {
                Ok(listener) => {
                    let listener = mio::net::TcpListener::from_std(listener);
                    return Ok(TcpListener { socket: Socket::watch(listener)? });
                }
                Err(error) => failures.note(error.into())?,
            }
        }
        Err(failures.into_error())
    }

    /// Takes over a listener of the standard library, with its options, for the running loop.
    pub fn from_std(listener: std::net::TcpListener) -> Result<TcpListener> {
        listener.set_nonblocking(true)?;
        Ok(TcpListener { socket: Socket::watch(mio::net::TcpListener::from_std(listener))? })
    }

    /// Waits for a connection. Returns it with the address of the peer.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError); [`std::io::Error`]: `EMFILE` or `ENFILE` when
    /// there are no more file descriptors. The connection then stays in the queue, and a later call
    /// may get it. A server should pause in this case, as
    /// [`start_server`](crate::streams::start_server) does.
    ///
    /// # Cancellation
    ///
    /// No connection is lost: it is returned, or stays for the next call.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let attempt = |listener: &mio::net::TcpListener| listener.accept().map(Done::whole);
        let (stream, peer) = self.socket.operation(Direction::Read, attempt).await?;
        Ok((TcpStream::watch(stream)?, peer))
    }

    /// As [`accept`](Self::accept), for a caller that waits for other things too and registers the
    /// connection later.
    pub(crate) fn poll_accept(
        &self,
        io: &mut IoDirection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(mio::net::TcpStream, SocketAddr)>> {
        io.poll(&self.socket, Direction::Read, cx, |listener| listener.accept().map(Done::whole))
    }

    /// Moves the listener from its loop to the running loop.
    pub(crate) fn move_here(self) -> Result<TcpListener> {
        Ok(TcpListener { socket: self.socket.move_here()? })
    }

    /// The address at which it listens.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

/// A TCP connection.
///
/// Reading and writing take a shared reference, so that both can go on at the same time.
/// [`split`](Self::split) and [`into_split`](Self::into_split) give each direction its own handle.
/// Two tasks that read at the same time each get some of the bytes. Dropping the stream closes the
/// connection; what has been written is still sent.
///
/// `TCP_NODELAY` is set, as in asyncio: small writes are sent at once.
///
/// # Examples
///
/// See [the module](crate::net).
pub struct TcpStream {
    socket: Socket<mio::net::TcpStream>,
    /// The waits of the traits' `poll_` methods.
    reading: IoDirection,
    writing: IoDirection,
}

impl TcpStream {
    /// Connects to the first of the addresses that `target` stands for that answers.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] of the last address that was tried (`ConnectionRefused` …);
    /// [`CancelledError`](crate::CancelledError); [`RuntimeError`](crate::RuntimeError) outside of
    /// a loop. The only time limit is the operating system's, which is minutes long: wrap the call
    /// in a [`timeout`](crate::timeout()).
    ///
    /// # Cancellation
    ///
    /// The connection that was being made is closed.
    pub async fn connect(target: impl ToSocketAddrs) -> Result<TcpStream> {
        let mut failures = Failures::default();
        for addr in resolve::lookup(target.target()).await? {
            match TcpStream::connect_to(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failures.note(error)?,
            }
        }
        Err(failures.into_error())
    }

    async fn connect_to(addr: SocketAddr) -> Result<TcpStream> {
        let stream = mio::net::TcpStream::connect(addr).map_err(resolve::about(addr))?;
        let stream = TcpStream::watch(stream)?;
        let attempt = |stream: &mio::net::TcpStream| is_connected(stream, addr);
        stream.socket.operation(Direction::Write, attempt).await?;
        Ok(stream)
    }

    pub(crate) fn watch(stream: mio::net::TcpStream) -> Result<TcpStream> {
        // If the peer has gone already, the option fails; the first read reports that.
        let _ = stream.set_nodelay(true);
        #[cfg(target_vendor = "apple")]
        super::bytes::without_signal(&stream);
        Ok(TcpStream {
            socket: Socket::watch(stream)?,
            reading: IoDirection::new(),
            writing: IoDirection::new(),
        })
    }

    /// Takes over a stream of the standard library, which must be connected, for the running loop.
    pub fn from_std(stream: std::net::TcpStream) -> Result<TcpStream> {
        stream.set_nonblocking(true)?;
        TcpStream::watch(mio::net::TcpStream::from_std(stream))
    }

    /// Gives the stream to the standard library. It stays non-blocking; `set_nonblocking(false)`
    /// changes that.
    pub fn into_std(self) -> std::net::TcpStream {
        self.socket.into_source().into()
    }

    /// Moves the stream from its loop to the running loop.
    pub(crate) fn move_here(self) -> Result<TcpStream> {
        let socket = self.socket.move_here()?;
        Ok(TcpStream { socket, reading: IoDirection::new(), writing: IoDirection::new() })
    }

    pub(crate) fn socket(&self) -> &Socket<mio::net::TcpStream> {
        &self.socket
    }

    fn reader(&mut self) -> (&Socket<mio::net::TcpStream>, &mut IoDirection) {
        (&self.socket, &mut self.reading)
    }

    fn writer(&mut self) -> (&Socket<mio::net::TcpStream>, &mut IoDirection) {
        (&self.socket, &mut self.writing)
    }

    reading!();
    writing!();

    /// Reads as [`read`](Self::read) does, but leaves the bytes to be read again.
    pub async fn peek(&self, buffer: &mut [u8]) -> Result<usize> {
        let attempt = |stream: &mio::net::TcpStream| stream.peek(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Ends one direction or both. A peer that reads gets everything that was written before, and
    /// then the end.
    ///
    /// Waiting and later writes to an ended direction fail with `BrokenPipe`. Reads from an ended
    /// direction return the bytes that have arrived before, and then the end.
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        Ok(self.socket.shut_down(how)?)
    }

    /// A half that reads and a half that writes, which borrow the stream: for two parts of one task
    /// (`futures_util::try_join!`). Dropping them does not end a direction.
    pub fn split(&mut self) -> (ReadHalf<'_, TcpStream>, WriteHalf<'_, TcpStream>) {
        split::borrowed(self)
    }

    /// A half that reads and a half that writes, which own the stream together. Dropping the
    /// writing half ends its direction.
    pub fn into_split(self) -> (OwnedReadHalf<TcpStream>, OwnedWriteHalf<TcpStream>) {
        split::owned(self)
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.peer_addr()?)
    }

    /// Whether small writes are sent at once, which is the default.
    pub fn nodelay(&self) -> Result<bool> {
        Ok(self.socket.nodelay()?)
    }

    /// Sets `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> Result<()> {
        Ok(self.socket.set_nodelay(nodelay)?)
    }

    /// Probes a peer that has been silent for this long, to find out whether the connection still
    /// works. `None` (the default): never.
    pub fn set_keepalive(&self, after: impl Into<Option<Duration>>) -> Result<()> {
        let socket = SockRef::from(&*self.socket);
        match after.into() {
            Some(after) => Ok(socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))?),
            None => Ok(socket.set_keepalive(false)?),
        }
    }

    /// Sets what closing does with bytes that have not been sent. `Duration::ZERO` drops them and
    /// resets the connection. By default (`None`) the operating system sends them in the
    /// background.
    ///
    /// Other values make closing block its thread, so they are refused.
    pub fn set_linger(&self, linger: impl Into<Option<Duration>>) -> Result<()> {
        let linger = linger.into();
        if linger.is_some_and(|linger| !linger.is_zero()) {
            let error =
                "a linger above zero blocks the thread that closes; use `shutdown` and read to the end";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error).into());
        }
        Ok(SockRef::from(&*self.socket).set_linger(linger)?)
    }
}

/// The io operation that completes a `connect`.
fn is_connected(stream: &mio::net::TcpStream, addr: SocketAddr) -> io::Result<Done<()>> {
    if let Some(error) = stream.take_error()? {
        return Err(resolve::about(addr)(error));
    }
    match stream.peer_addr() {
        Ok(_) => Ok(Done::whole(())),
        // The connection is still being made.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

impl sealed::Sealed for TcpStream {
    type Source = mio::net::TcpStream;

    fn socket(&self) -> &Socket<mio::net::TcpStream> {
        &self.socket
    }
}

impl ByteStream for TcpStream {}
reading_traits!([] TcpStream);
writing_traits!([] TcpStream);
descriptor!(TcpStream, TcpListener);

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
