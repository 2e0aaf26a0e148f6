//! Unix sockets.

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

/// Waits for connections at a path of the file system, or at a name.
///
/// The path stays when the listener is gone, and cannot be bound again before it is removed.
///
/// # Abstract names
///
/// On Linux a name that begins with a zero byte (`"\0name"`) is no path but abstract, here and wherever a Unix socket takes a path, as in asyncio. It is in no file system, and free again
/// when its socket is gone. On other systems it is refused.
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
    /// [`std::io::Error`]: `AddrInUse` if there is something at the path, also what a listener that has gone left there;
    /// [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub fn bind(path: impl AsRef<Path>) -> Result<UnixListener> {
        UnixListener::bind_with_backlog(path, DEFAULT_BACKLOG)
    }

    /// As [`bind`](Self::bind), with a say in how many connections may wait to be accepted: 1,024 there. The operating system has a bound of its own
    /// (Linux: `net.core.somaxconn`), which a larger number stands for. Who finds no place gets `WouldBlock` from [`connect`](UnixStream::connect).
    pub fn bind_with_backlog(path: impl AsRef<Path>, backlog: u32) -> Result<UnixListener> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        UnixListener::listen(&address, backlog, shown(path))
    }

    /// As [`bind`](Self::bind), at an address that a socket has told.
    pub fn bind_addr(address: &SocketAddr) -> Result<UnixListener> {
        UnixListener::listen(address, DEFAULT_BACKLOG, shown_address(address))
    }

    fn listen(address: &SocketAddr, backlog: u32, shown: Shown<'_>) -> Result<UnixListener> {
        // Before the path exists.
        get_running_loop()?;
        let listener = listen_at_name(address, backlog).map_err(about(shown))?;
        Ok(UnixListener { socket: Socket::watch(mio_net::UnixListener::from_std(listener))? })
    }

    /// Takes over a listener of the standard library for the running loop.
    pub fn from_std(listener: std_net::UnixListener) -> Result<UnixListener> {
        listener.set_nonblocking(true)?;
        Ok(UnixListener { socket: Socket::watch(mio_net::UnixListener::from_std(listener))? })
    }

    /// Waits for a connection. Errors and cancellation are those of [`TcpListener::accept`](super::TcpListener::accept).
    pub async fn accept(&self) -> Result<(UnixStream, SocketAddr)> {
        let attempt = |listener: &mio_net::UnixListener| listener.accept().map(Done::whole);
        let (stream, peer) = self.socket.operation(Direction::Read, attempt).await?;
        Ok((UnixStream::watch(stream)?, peer))
    }

    /// What [`accept`](Self::accept) does, for one who also waits for something else, and watches the connection later.
    pub(crate) fn poll_accept(
        &self,
        io: &mut IoDirection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<mio_net::UnixStream>> {
        io.poll(&self.socket, Direction::Read, cx, |listener| {
            listener.accept().map(|(stream, _)| Done::whole(stream))
        })
    }

    /// Has the running loop watch it, whichever has done so until now.
    pub(crate) fn move_here(self) -> Result<UnixListener> {
        Ok(UnixListener { socket: self.socket.move_here()? })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// A stream between two processes of one machine, or within one. Otherwise as [`TcpStream`](super::TcpStream).
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
    /// For those who read and write by the traits' `poll_` methods.
    reading: IoDirection,
    writing: IoDirection,
}

impl UnixStream {
    /// Connects to a listener at a path.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`]: `NotFound`, `ConnectionRefused`, and `WouldBlock` if more wait there than the listener admits;
    /// [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub async fn connect(path: impl AsRef<Path>) -> Result<UnixStream> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        UnixStream::connect_to(&address, shown(path)).await
    }

    /// As [`connect`](Self::connect), to an address that a socket has told.
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

    /// Two ends of a new stream.
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
    /// [`std::io::Error`] of the kind `InvalidInput` if it was made from the descriptor of something else than a stream (a socket of packets in sequence);
    /// [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub fn from_std(stream: std_net::UnixStream) -> Result<UnixStream> {
        let kind = rustix::net::sockopt::socket_type(&stream)?;
        if kind != rustix::net::SocketType::STREAM {
            let told = format!("a stream is needed, and this is a socket of type {}", kind.as_raw());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, told).into());
        }
        stream.set_nonblocking(true)?;
        UnixStream::watch(mio_net::UnixStream::from_std(stream))
    }

    /// Gives the stream to the standard library. It does not block; `set_nonblocking(false)` changes that.
    pub fn into_std(self) -> std_net::UnixStream {
        std::os::fd::OwnedFd::from(self.socket.into_source()).into()
    }

    /// Has the running loop watch it, whichever has done so until now.
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

    /// Ends one side or both. A peer that reads finds the end when it has read all that was written before.
    ///
    /// Whoever waits to write to a side that has ended, and whoever tries to later, gets `BrokenPipe`. Whoever reads gets what has come before, and then the end.
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        Ok(self.socket.shut_down(how)?)
    }

    /// A half that reads and one that writes, as long as the stream is borrowed: for two sides of one task (`futures_util::try_join!`). Dropped, they end nothing.
    pub fn split(&mut self) -> (ReadHalf<'_, UnixStream>, WriteHalf<'_, UnixStream>) {
        split::borrowed(self)
    }

    /// A half that reads and one that writes, which own the stream together. The writing half ends its side when it is dropped.
    pub fn into_split(self) -> (OwnedReadHalf<UnixStream>, OwnedWriteHalf<UnixStream>) {
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

/// Packets between processes of one machine. None is lost or comes twice, and they keep their order.
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

    /// As [`bind`](Self::bind), at an address that a socket has told.
    pub fn bind_addr(address: &SocketAddr) -> Result<UnixDatagram> {
        UnixDatagram::bind_to(address, shown_address(address))
    }

    fn bind_to(address: &SocketAddr, shown: Shown<'_>) -> Result<UnixDatagram> {
        // Before the path exists.
        get_running_loop()?;
        let socket = mio_net::UnixDatagram::bind_addr(address).map_err(about(shown))?;
        Ok(UnixDatagram { socket: Socket::watch(socket)? })
    }

    /// A socket without a path: others cannot answer it.
    pub fn unbound() -> Result<UnixDatagram> {
        Ok(UnixDatagram { socket: Socket::watch(mio_net::UnixDatagram::unbound()?)? })
    }

    /// Two sockets that are connected with each other.
    pub fn pair() -> Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = mio_net::UnixDatagram::pair()?;
        Ok((UnixDatagram { socket: Socket::watch(one)? }, UnixDatagram { socket: Socket::watch(other)? }))
    }

    /// Takes over a socket of the standard library for the running loop.
    pub fn from_std(socket: std_net::UnixDatagram) -> Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        Ok(UnixDatagram { socket: Socket::watch(mio_net::UnixDatagram::from_std(socket))? })
    }

    /// From here on packets go to this peer and come from it alone.
    pub fn connect(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let address = unix_name::address(path).map_err(about(shown(path)))?;
        Ok(self.connect_to(&address).map_err(about(shown(path)))?)
    }

    /// As [`connect`](Self::connect), to an address that a socket has told.
    pub fn connect_addr(&self, address: &SocketAddr) -> Result<()> {
        Ok(self.connect_to(address).map_err(about(shown_address(address)))?)
    }

    fn connect_to(&self, address: &SocketAddr) -> io::Result<()> {
        Ok(rustix::net::connect(&*self.socket, &unix_name::raw(address)?)?)
    }

    /// Sends a packet to the peer, and waits while it has no room for it.
    ///
    /// # Cancellation
    ///
    /// Nothing has been sent if it ends with an error.
    pub async fn send(&self, packet: &[u8]) -> Result<usize> {
        let attempt = |socket: &mio_net::UnixDatagram| socket.send(packet).map(Done::whole);
        self.socket.operation(Direction::Write, attempt).await
    }

    /// Sends a packet to whoever has bound `path`.
    ///
    /// # Errors
    ///
    /// Also `WouldBlock`, if there is no room: only the room of a connected peer can be waited for.
    pub fn send_to(&self, packet: &[u8], path: impl AsRef<Path>) -> Result<usize> {
        Ok(self.try_send_to(packet, path)?)
    }

    /// As [`send_to`](Self::send_to), to an address that [`recv_from`](Self::recv_from) has told.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::net::UnixDatagram;
    ///
    /// # selvedge::run(async {
    /// # let dir = std::env::temp_dir();
    /// # let paths = ["a", "b"].map(|name| dir.join(format!("selvedge-send-to-{}-{name}", std::process::id())));
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

    /// Receives a packet. Returns its length and where it comes from.
    ///
    /// # Cancellation
    ///
    /// No packet is lost.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let attempt = |socket: &mio_net::UnixDatagram| socket.recv_from(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Sends to the peer without waiting. `WouldBlock` if it has no room.
    pub fn try_send(&self, packet: &[u8]) -> io::Result<usize> {
        self.socket.try_once(Direction::Write, |socket| socket.send(packet))
    }

    /// Sends to whoever has bound `path`, as [`send_to`](Self::send_to) does, which does not wait either. [`writable`](Self::writable) says nothing of the room there.
    pub fn try_send_to(&self, packet: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.try_send_to_addr(packet, &unix_name::address(path.as_ref())?)
    }

    /// As [`try_send_to`](Self::try_send_to), to an address that [`recv_from`](Self::recv_from) has told.
    pub fn try_send_to_addr(&self, packet: &[u8], address: &SocketAddr) -> io::Result<usize> {
        // Packets send no signal, so none has to be kept away.
        let address = unix_name::raw(address)?;
        Ok(rustix::net::sendto(&*self.socket, packet, rustix::net::SendFlags::empty(), &address)?)
    }

    /// Receives without waiting. `WouldBlock` if there is nothing.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_once(Direction::Read, |socket| socket.recv(buffer))
    }

    /// Receives without waiting, and tells where the packet comes from. `WouldBlock` if there is nothing.
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

    /// The peer's address, once [connected](Self::connect).
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.peer_addr()?)
    }

    /// This end's address.
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
