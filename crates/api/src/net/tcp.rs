//! TCP.

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
/// Any number of tasks may accept from one listener. On Unix the address may be used again at once when the listener is gone (`SO_REUSEADDR`), as
/// with asyncio. For other options make a socket by other means and use [`from_std`](Self::from_std).
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
    /// Listens at an address: the first one that can be bound of those that `target` stands for. Port 0 lets the operating system choose:
    /// [`local_addr`](Self::local_addr) tells.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] (`AddrInUse`, `PermissionDenied` …); [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub async fn bind(target: impl ToSocketAddrs) -> Result<TcpListener> {
        TcpListener::bind_with_backlog(target, DEFAULT_BACKLOG).await
    }

    /// As [`bind`](Self::bind), with a say in how many connections may wait to be accepted: 1,024 there. The operating system has a bound of its own
    /// (Linux: `net.core.somaxconn`), which a larger number stands for. Clients that find no place try again after a second.
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

    /// Takes over a listener of the standard library, with the options it has, for the running loop.
    pub fn from_std(listener: std::net::TcpListener) -> Result<TcpListener> {
        listener.set_nonblocking(true)?;
        Ok(TcpListener { socket: Socket::watch(mio::net::TcpListener::from_std(listener))? })
    }

    /// Waits for a connection. Returns it with the peer's address.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError); [`std::io::Error`]: `EMFILE` or `ENFILE` when there are no more file descriptors, in which case the
    /// connection stays where it is and a later call may get it. A server should pause then, as
    /// [`start_server`](crate::streams::start_server) does.
    ///
    /// # Cancellation
    ///
    /// No connection is lost: it is returned, or stays for the next one who accepts.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr)> {
        let attempt = |listener: &mio::net::TcpListener| listener.accept().map(Done::whole);
        let (stream, peer) = self.socket.operation(Direction::Read, attempt).await?;
        Ok((TcpStream::watch(stream)?, peer))
    }

    /// What [`accept`](Self::accept) does, for one who also waits for something else, and watches the connection later.
    pub(crate) fn poll_accept(
        &self,
        io: &mut IoDirection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(mio::net::TcpStream, SocketAddr)>> {
        io.poll(&self.socket, Direction::Read, cx, |listener| listener.accept().map(Done::whole))
    }

    /// Has the running loop watch it, whichever has done so until now.
    pub(crate) fn move_here(self) -> Result<TcpListener> {
        Ok(TcpListener { socket: self.socket.move_here()? })
    }

    /// Where it listens.
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
/// Reading and writing take a shared reference, so that both may go on at the same time; [`split`](Self::split) and [`into_split`](Self::into_split) give each side to
/// somebody. Two tasks that read at the same time each get some of the bytes. Dropped, it is closed: what has been written is still sent.
///
/// It does not wait to fill packets: `TCP_NODELAY` is set, as asyncio does it.
///
/// # Examples
///
/// See [the module](crate::net).
pub struct TcpStream {
    socket: Socket<mio::net::TcpStream>,
    /// For those who read and write by the traits' `poll_` methods.
    reading: IoDirection,
    writing: IoDirection,
}

impl TcpStream {
    /// Connects: to the first address that answers of those that `target` stands for.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] of the last address that was tried (`ConnectionRefused` …); [`CancelledError`](crate::CancelledError);
    /// [`RuntimeError`](crate::RuntimeError) outside of a loop. There is no time limit but the operating system's, of minutes: put it into a
    /// [`timeout`](crate::timeout()).
    ///
    /// # Cancellation
    ///
    /// The connection that was coming about is closed.
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
        // A peer that has gone already shows with the first read.
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

    /// Gives the stream to the standard library. It does not block; `set_nonblocking(false)` changes that.
    pub fn into_std(self) -> std::net::TcpStream {
        self.socket.into_source().into()
    }

    /// Has the running loop watch it, whichever has done so until now.
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

    /// Reads as [`read`](Self::read) does, and leaves the bytes to be read again.
    pub async fn peek(&self, buffer: &mut [u8]) -> Result<usize> {
        let attempt = |stream: &mio::net::TcpStream| stream.peek(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Ends one side or both. A peer that reads finds the end when it has read all that was written before.
    ///
    /// Whoever waits to write to a side that has ended, and whoever tries to later, gets `BrokenPipe`. Whoever reads gets what has come before, and then the end.
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        Ok(self.socket.shut_down(how)?)
    }

    /// A half that reads and one that writes, as long as the stream is borrowed: for two sides of one task (`futures_util::try_join!`). Dropped, they end nothing.
    pub fn split(&mut self) -> (ReadHalf<'_, TcpStream>, WriteHalf<'_, TcpStream>) {
        split::borrowed(self)
    }

    /// A half that reads and one that writes, which own the stream together. The writing half ends its side when it is dropped.
    pub fn into_split(self) -> (OwnedReadHalf<TcpStream>, OwnedWriteHalf<TcpStream>) {
        split::owned(self)
    }

    /// This end's address.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// The other end's address.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.peer_addr()?)
    }

    /// Whether small writes are sent at once. They are by default.
    pub fn nodelay(&self) -> Result<bool> {
        Ok(self.socket.nodelay()?)
    }

    /// Sets `TCP_NODELAY`.
    pub fn set_nodelay(&self, nodelay: bool) -> Result<()> {
        Ok(self.socket.set_nodelay(nodelay)?)
    }

    /// Asks a peer that has been silent for so long whether it is still there; `None`: never, which is the default.
    pub fn set_keepalive(&self, after: impl Into<Option<Duration>>) -> Result<()> {
        let socket = SockRef::from(&*self.socket);
        match after.into() {
            Some(after) => Ok(socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after))?),
            None => Ok(socket.set_keepalive(false)?),
        }
    }

    /// What closing does with bytes that have not been sent. `Duration::ZERO` drops them and resets the connection. By default (`None`) the operating system sends them
    /// in its own time.
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

/// The attempt that ends a `connect`.
fn is_connected(stream: &mio::net::TcpStream, addr: SocketAddr) -> io::Result<Done<()>> {
    if let Some(error) = stream.take_error()? {
        return Err(resolve::about(addr)(error));
    }
    match stream.peer_addr() {
        Ok(_) => Ok(Done::whole(())),
        // Still under way.
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
