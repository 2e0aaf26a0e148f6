//! What do Unix sockets (streams, listeners, datagrams) offer?

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::unix::net::{self as std_net, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use mio::net as mio_net;
use selvedge_scheduler::Direction;

use super::io_operation::IoDirection;
use super::listening::{DEFAULT_BACKLOG, listen_at_name};
use super::methods::{reading, writing};
use super::resolve::about;
use super::socket::{Done, Socket, descriptor};
use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::stream::{ByteStream, reading_traits, sealed, writing_traits};
use super::unix_name::{self, Shown, shown, shown_address};
use crate::error::Result;
use crate::event_loop::get_running_loop;

/// Accepts connections at a path of the file system, or at an abstract name.
///
/// The path remains when the listener is dropped, and must be removed before it can be bound again.
///
/// # Abstract names
///
/// On Linux a name that begins with a zero byte (`"\0name"`) is not a path but an abstract name,
/// here and in every other function that takes the path of a Unix socket, as in asyncio. It is in
/// no file system, and becomes free when its socket is closed. Other systems refuse it.
///
/// # Examples
///
/// ```
/// use selvedge::net::{UnixListener, UnixStream};
///
/// # selvedge::run(async {
/// let path = std::env::temp_dir().join(format!("selvedge-example-{}", std::process::id()));
/// let listener = UnixListener::bind(&path)?;
/// let client = UnixStream::connect(&path).await?;
/// let (server, _) = listener.accept().await?;
/// std::fs::remove_file(&path)?;
/// client.write_all(b"hello").await?;
/// let mut read = [0; 5];
/// server.read_exact(&mut read).await?;
/// assert_eq!(&read, b"hello");
/// # Ok(())
/// # }).unwrap();
/// ```
pub struct UnixListener {
    socket: Socket<mio_net::UnixListener>,
}

impl UnixListener {
    /// Listens at a path, which it creates.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`]: `AddrInUse` if the path exists, for instance because an earlier listener
    /// left it there; [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub fn bind(path: impl AsRef<Path>) -> Result<UnixListener> {
        UnixListener::bind_with_backlog(path, DEFAULT_BACKLOG)
    }

    /// As [`bind`](Self::bind), with a chosen limit of connections that may wait to be accepted;
    /// `bind` uses 1,024. The operating system has a limit of its own (Linux:
    /// `net.core.somaxconn`), which replaces a larger number. When the queue is full,
    /// [`connect`](UnixStream::connect) fails with `WouldBlock`.
    pub fn bind_with_backlog(path: impl AsRef<Path>, backlog: u32) -> Result<UnixListener> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        UnixListener::listen(&address, backlog, shown(path))
    }

    /// As [`bind`](Self::bind), at an address that was read from a socket.
    pub fn bind_addr(address: &SocketAddr) -> Result<UnixListener> {
        UnixListener::listen(address, DEFAULT_BACKLOG, shown_address(address))
    }

    fn listen(address: &SocketAddr, backlog: u32, shown: Shown<'_>) -> Result<UnixListener> {
        // Checked before the path is created.
        get_running_loop()?;
        let listener = listen_at_name(address, backlog).map_err(about(shown))?;
        Ok(UnixListener { socket: Socket::watch(mio_net::UnixListener::from_std(listener))? })
    }

    /// Takes over a listener of the standard library for the running loop.
    pub fn from_std(listener: std_net::UnixListener) -> Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener { socket: Socket::watch(mio_net::UnixListener::from_std(listener))? })
    }

    /// Waits for a connection. Errors and cancellation are those of
    /// [`TcpListener::accept`](super::TcpListener::accept).
    pub async fn accept(&self) -> Result<(UnixStream, SocketAddr)> {
        let attempt = |listener: &mio_net::UnixListener| listener.accept().map(Done::whole);
        let (stream, peer) = self.socket.operation(Direction::Read, attempt).await?;
        Ok((UnixStream::watch(stream)?, peer))
    }

    /// As [`accept`](Self::accept), for a caller that waits for other things too and registers the
    /// connection later.
    pub(crate) fn poll_accept(
        &self,
        io: &mut IoDirection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<mio_net::UnixStream>> {
        io.poll(&self.socket, Direction::Read, cx, |listener| {
            listener.accept().map(|(stream, _)| Done::whole(stream))
        })
    }

    /// Moves the listener from its loop to the running loop.
    pub(crate) fn move_here(self) -> Result<UnixListener> {
        Ok(UnixListener { socket: self.socket.move_here()? })
    }

    /// The address at which it listens.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// A stream between two processes of one machine, or within one process. Otherwise as
/// [`TcpStream`](super::TcpStream).
///
/// # Examples
///
/// ```
/// use selvedge::net::UnixStream;
///
/// # selvedge::run(async {
/// let (one, other) = UnixStream::pair()?;
/// one.write_all(b"hello").await?;
/// drop(one);
/// let mut read = Vec::new();
/// other.read_to_end(&mut read).await?;
/// assert_eq!(read, b"hello");
/// # Ok(())
/// # }).unwrap();
/// ```
pub struct UnixStream {
    socket: Socket<mio_net::UnixStream>,
    /// The waits of the traits' `poll_` methods.
    reading: IoDirection,
    writing: IoDirection,
}

impl UnixStream {
    /// Connects to a listener at a path.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`]: `NotFound`, `ConnectionRefused`, and `WouldBlock` if the listener's
    /// queue is full; [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub async fn connect(path: impl AsRef<Path>) -> Result<UnixStream> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        UnixStream::connect_to(&address, shown(path)).await
    }

    /// As [`connect`](Self::connect), to an address that was read from a socket.
    pub async fn connect_addr(address: &SocketAddr) -> Result<UnixStream> {
        UnixStream::connect_to(address, shown_address(address)).await
    }

    async fn connect_to(address: &SocketAddr, shown: Shown<'_>) -> Result<UnixStream> {
        let stream = mio_net::UnixStream::connect_addr(address).map_err(about(shown))?;
        let stream = UnixStream::watch(stream)?;
        let attempt = |stream: &mio_net::UnixStream| match stream.take_error()? {
            None => Ok(Done::whole(())),
            Some(error) => Err(error),
        };
        stream.socket.operation(Direction::Write, attempt).await?;
        Ok(stream)
    }

    /// The two ends of a new stream.
    pub fn pair() -> Result<(UnixStream, UnixStream)> {
        let (one, other) = mio_net::UnixStream::pair()?;
        Ok((UnixStream::watch(one)?, UnixStream::watch(other)?))
    }

    pub(crate) fn watch(stream: mio_net::UnixStream) -> Result<UnixStream> {
        #[cfg(target_vendor = "apple")]
        super::bytes::without_signal(&stream);
        Ok(UnixStream {
            socket: Socket::watch(stream)?,
            reading: IoDirection::new(),
            writing: IoDirection::new(),
        })
    }

    /// Takes over a stream of the standard library, which must be connected, for the running loop.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] of the kind `InvalidInput` if the descriptor is not a stream (but a
    /// sequential-packet socket, for instance); [`RuntimeError`](crate::RuntimeError) outside of a
    /// loop.
    pub fn from_std(stream: std_net::UnixStream) -> Result<UnixStream> {
        let kind = rustix::net::sockopt::socket_type(&stream)?;
        if kind != rustix::net::SocketType::STREAM {
            let told = format!("a stream is needed, and this is a socket of type {}", kind.as_raw());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, told).into());
        }
        stream.set_nonblocking(true)?;
        UnixStream::watch(mio_net::UnixStream::from_std(stream))
    }

    /// Gives the stream to the standard library. It stays non-blocking; `set_nonblocking(false)`
    /// changes that.
    pub fn into_std(self) -> std_net::UnixStream {
        std::os::fd::OwnedFd::from(self.socket.into_source()).into()
    }

    /// Moves the stream from its loop to the running loop.
    pub(crate) fn move_here(self) -> Result<UnixStream> {
        let socket = self.socket.move_here()?;
        Ok(UnixStream { socket, reading: IoDirection::new(), writing: IoDirection::new() })
    }

    pub(crate) fn socket(&self) -> &Socket<mio_net::UnixStream> {
        &self.socket
    }

    fn reader(&mut self) -> (&Socket<mio_net::UnixStream>, &mut IoDirection) {
        (&self.socket, &mut self.reading)
    }

    fn writer(&mut self) -> (&Socket<mio_net::UnixStream>, &mut IoDirection) {
        (&self.socket, &mut self.writing)
    }

    reading!();
    writing!();

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
    pub fn split(&mut self) -> (ReadHalf<'_, UnixStream>, WriteHalf<'_, UnixStream>) {
        split::borrowed(self)
    }

    /// A half that reads and a half that writes, which own the stream together. Dropping the
    /// writing half ends its direction.
    pub fn into_split(self) -> (OwnedReadHalf<UnixStream>, OwnedWriteHalf<UnixStream>) {
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
}

impl sealed::Sealed for UnixStream {
    type Source = mio_net::UnixStream;

    fn socket(&self) -> &Socket<mio_net::UnixStream> {
        &self.socket
    }
}

impl ByteStream for UnixStream {}
reading_traits!([] UnixStream);
writing_traits!([] UnixStream);

/// Packets between processes of one machine. No packet is lost or duplicated, and they keep their
/// order.
///
/// # Examples
///
/// ```
/// use selvedge::net::UnixDatagram;
///
/// # selvedge::run(async {
/// let (one, other) = UnixDatagram::pair()?;
/// one.send(b"ping").await?;
/// let mut buffer = [0; 16];
/// let n = other.recv(&mut buffer).await?;
/// assert_eq!(&buffer[..n], b"ping");
/// # Ok(())
/// # }).unwrap();
/// ```
pub struct UnixDatagram {
    socket: Socket<mio_net::UnixDatagram>,
}

impl UnixDatagram {
    /// Binds to a path, which it creates.
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`].
    pub fn bind(path: impl AsRef<Path>) -> Result<UnixDatagram> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        UnixDatagram::bind_to(&address, shown(path))
    }

    /// As [`bind`](Self::bind), at an address that was read from a socket.
    pub fn bind_addr(address: &SocketAddr) -> Result<UnixDatagram> {
        UnixDatagram::bind_to(address, shown_address(address))
    }

    fn bind_to(address: &SocketAddr, shown: Shown<'_>) -> Result<UnixDatagram> {
        // Checked before the path is created.
        get_running_loop()?;
        let socket = mio_net::UnixDatagram::bind_addr(address).map_err(about(shown))?;
        Ok(UnixDatagram { socket: Socket::watch(socket)? })
    }

    /// A socket without a path: other sockets cannot answer it.
    pub fn unbound() -> Result<UnixDatagram> {
        Ok(UnixDatagram { socket: Socket::watch(mio_net::UnixDatagram::unbound()?)? })
    }

    /// Two sockets that are connected to each other.
    pub fn pair() -> Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = mio_net::UnixDatagram::pair()?;
        Ok((UnixDatagram { socket: Socket::watch(one)? }, UnixDatagram { socket: Socket::watch(other)? }))
    }

    /// Takes over a socket of the standard library for the running loop.
    pub fn from_std(socket: std_net::UnixDatagram) -> Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        Ok(UnixDatagram { socket: Socket::watch(mio_net::UnixDatagram::from_std(socket))? })
    }

    /// From now on packets are sent to this peer and received from this peer only.
    pub fn connect(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        Ok(self.connect_to(&address).map_err(about(shown(path)))?)
    }

    /// As [`connect`](Self::connect), to an address that was read from a socket.
    pub fn connect_addr(&self, address: &SocketAddr) -> Result<()> {
        Ok(self.connect_to(address).map_err(about(shown_address(address)))?)
    }

    fn connect_to(&self, address: &SocketAddr) -> io::Result<()> {
        Ok(rustix::net::connect(&*self.socket, &unix_name::raw(address)?)?)
    }

    /// Sends a packet to the peer, and waits while the peer has no space for it.
    ///
    /// # Cancellation
    ///
    /// If this ends with an error, nothing has been sent.
    pub async fn send(&self, packet: &[u8]) -> Result<usize> {
        let attempt = |socket: &mio_net::UnixDatagram| socket.send(packet).map(Done::whole);
        self.socket.operation(Direction::Write, attempt).await
    }

    /// Sends a packet to the socket that is bound to `path`.
    ///
    /// # Errors
    ///
    /// Also `WouldBlock` if the receiver has no space: only the space of a connected peer can be
    /// waited for.
    pub fn send_to(&self, packet: &[u8], path: impl AsRef<Path>) -> Result<usize> {
        Ok(self.try_send_to(packet, path)?)
    }

    /// As [`send_to`](Self::send_to), to an address that [`recv_from`](Self::recv_from) returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::net::UnixDatagram;
    ///
    /// # selvedge::run(async {
    /// # let dir = std::env::temp_dir();
    /// # let pid = std::process::id();
    /// # let paths = ["a", "b"].map(|name| dir.join(format!("selvedge-send-to-{pid}-{name}")));
    /// let (one, other) = (UnixDatagram::bind(&paths[0])?, UnixDatagram::bind(&paths[1])?);
    /// one.send_to(b"ping", &paths[1])?;
    /// let mut buffer = [0; 16];
    /// let (n, from) = other.recv_from(&mut buffer).await?;
    /// other.send_to_addr(&buffer[..n], &from)?;
    /// assert_eq!(one.recv(&mut buffer).await?, 4);
    /// # paths.iter().try_for_each(std::fs::remove_file)?;
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn send_to_addr(&self, packet: &[u8], address: &SocketAddr) -> Result<usize> {
        Ok(self.try_send_to_addr(packet, address)?)
    }

    /// Receives a packet. Returns its length.
    ///
    /// # Cancellation
    ///
    /// No packet is lost.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        let attempt = |socket: &mio_net::UnixDatagram| socket.recv(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Receives a packet. Returns its length and the sender's address.
    ///
    /// # Cancellation
    ///
    /// No packet is lost.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let attempt = |socket: &mio_net::UnixDatagram| socket.recv_from(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Sends to the peer without waiting. `WouldBlock` if it has no space.
    pub fn try_send(&self, packet: &[u8]) -> io::Result<usize> {
        self.socket.try_once(Direction::Write, |socket| socket.send(packet))
    }

    /// Sends to the socket that is bound to `path`. The same as [`send_to`](Self::send_to), which
    /// does not wait either. [`writable`](Self::writable) says nothing about the space of that
    /// socket.
    pub fn try_send_to(&self, packet: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.try_send_to_addr(packet, &unix_name::address(path.as_ref())?)
    }

    /// As [`try_send_to`](Self::try_send_to), to an address that [`recv_from`](Self::recv_from)
    /// returned.
    pub fn try_send_to_addr(&self, packet: &[u8], address: &SocketAddr) -> io::Result<usize> {
        // A datagram socket never sends a signal, so no flag has to suppress it.
        let address = unix_name::raw(address)?;
        Ok(rustix::net::sendto(&*self.socket, packet, rustix::net::SendFlags::empty(), &address)?)
    }

    /// Receives without waiting. `WouldBlock` if there is nothing.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_once(Direction::Read, |socket| socket.recv(buffer))
    }

    /// Receives without waiting. Returns the length and the sender's address. `WouldBlock` if there
    /// is nothing.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.try_once(Direction::Read, |socket| socket.recv_from(buffer))
    }

    super::readiness::readable! {
        ///
        /// # Examples
        ///
        /// ```
        /// use selvedge::net::UnixDatagram;
        ///
        /// # selvedge::run(async {
        /// let (one, other) = UnixDatagram::pair()?;
        /// one.try_send(b"ping")?;
        /// other.readable().await?;
        /// let mut buffer = [0; 16];
        /// assert_eq!(other.try_recv(&mut buffer)?, 4);
        /// # Ok(())
        /// # }).unwrap();
        /// ```
    }

    super::readiness::writable!();

    fn socket(&self) -> &Socket<mio_net::UnixDatagram> {
        &self.socket
    }

    /// The address of the peer, once the socket is [connected](Self::connect).
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.peer_addr()?)
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

descriptor!(UnixListener, UnixStream, UnixDatagram);

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
