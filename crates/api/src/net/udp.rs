//! What does a UDP socket offer?

use std::fmt;
use std::io;
use std::net::SocketAddr;

use selvedge_scheduler::Direction;

use super::resolve::{self, Failures, ToSocketAddrs};
use super::socket::{Done, Socket, descriptor};
use crate::error::Result;

/// A UDP socket. It exchanges packets with any address or, once it is connected, with one peer.
///
/// All methods take a shared reference. Several tasks may send and receive at the same time; each
/// packet goes to one of them. A packet that is longer than the buffer is truncated, as the
/// operating system does it.
///
/// # Examples
///
/// ```
/// use selvedge::net::UdpSocket;
///
/// # selvedge::run(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// client.send_to(b"ping", server.local_addr()?).await?;
/// let mut buffer = [0; 16];
/// let (n, from) = server.recv_from(&mut buffer).await?;
/// assert_eq!((&buffer[..n], from), (&b"ping"[..], client.local_addr()?));
/// # Ok(())
/// # }).unwrap();
/// ```
pub struct UdpSocket {
    socket: Socket<mio::net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to the first of the addresses that `target` stands for that can be bound. With port 0
    /// the operating system chooses the port.
    ///
    /// # Errors
    ///
    /// [`std::io::Error`] (`AddrInUse` …); [`RuntimeError`](crate::RuntimeError) outside of a loop.
    pub async fn bind(target: impl ToSocketAddrs) -> Result<UdpSocket> {
        let mut failures = Failures::default();
        for addr in resolve::lookup(target.target()).await? {
            match mio::net::UdpSocket::bind(addr).map_err(resolve::about(addr)) {
                Ok(socket) => return Ok(UdpSocket { socket: Socket::watch(socket)? }),
                Err(error) => failures.note(error.into())?,
            }
        }
        Err(failures.into_error())
    }

    /// Takes over a socket of the standard library, with its options, for the running loop.
    pub fn from_std(socket: std::net::UdpSocket) -> Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        Ok(UdpSocket { socket: Socket::watch(mio::net::UdpSocket::from_std(socket))? })
    }

    /// From now on packets are sent to this peer and received from this peer only.
    pub async fn connect(&self, target: impl ToSocketAddrs) -> Result<()> {
        let mut failures = Failures::default();
        for addr in resolve::lookup(target.target()).await? {
            match self.socket.connect(addr).map_err(resolve::about(addr)) {
                Ok(()) => return Ok(()),
                Err(error) => failures.note(error.into())?,
            }
        }
        Err(failures.into_error())
    }

    /// Sends a packet to the peer. Returns how many bytes were sent: all, unless the system
    /// truncates it.
    ///
    /// # Errors
    ///
    /// [`CancelledError`](crate::CancelledError); [`std::io::Error`], also `ConnectionRefused` if
    /// no socket received an earlier packet.
    ///
    /// # Cancellation
    ///
    /// If this ends with an error, nothing has been sent.
    pub async fn send(&self, packet: &[u8]) -> Result<usize> {
        let attempt = |socket: &mio::net::UdpSocket| socket.send(packet).map(Done::whole);
        self.socket.operation(Direction::Write, attempt).await
    }

    /// Sends a packet to the first address that `target` stands for. Otherwise as
    /// [`send`](Self::send).
    pub async fn send_to(&self, packet: &[u8], target: impl ToSocketAddrs) -> Result<usize> {
        let addrs = resolve::lookup(target.target()).await?;
        let addr = *addrs.first().ok_or_else(|| Failures::default().into_error())?;
        let attempt = |socket: &mio::net::UdpSocket| socket.send_to(packet, addr).map(Done::whole);
        self.socket.operation(Direction::Write, attempt).await
    }

    /// Receives a packet from the peer. Returns its length.
    ///
    /// # Cancellation
    ///
    /// No packet is lost.
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        let attempt = |socket: &mio::net::UdpSocket| socket.recv(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Receives a packet from any sender. Returns its length and the sender's address.
    ///
    /// # Cancellation
    ///
    /// No packet is lost.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let attempt = |socket: &mio::net::UdpSocket| socket.recv_from(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// As [`recv_from`](Self::recv_from), but leaves the packet to be received again.
    pub async fn peek_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let attempt = |socket: &mio::net::UdpSocket| socket.peek_from(buffer).map(Done::whole);
        self.socket.operation(Direction::Read, attempt).await
    }

    /// Sends to the peer without waiting. `WouldBlock` if there is no space.
    pub fn try_send(&self, packet: &[u8]) -> io::Result<usize> {
        self.socket.try_once(Direction::Write, |socket| socket.send(packet))
    }

    /// Receives from the peer without waiting. `WouldBlock` if there is nothing.
    pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_once(Direction::Read, |socket| socket.recv(buffer))
    }

    /// Sends without waiting. `WouldBlock` if there is no space.
    pub fn try_send_to(&self, packet: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.socket.try_once(Direction::Write, |socket| socket.send_to(packet, addr))
    }

    /// Receives without waiting. `WouldBlock` if there is nothing.
    pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.try_once(Direction::Read, |socket| socket.recv_from(buffer))
    }

    #[cfg(unix)]
    super::readiness::readable! {
        ///
        /// # Examples
        ///
        /// ```
        /// # use selvedge::net::UdpSocket;
        /// use std::io::ErrorKind;
        ///
        /// # async fn example(socket: UdpSocket) -> selvedge::Result<Vec<u8>> {
        /// loop {
        ///     socket.readable().await?;
        ///     // Allocated only when there is something to receive.
        ///     let mut buffer = vec![0; 65_536];
        ///     match socket.try_recv_from(&mut buffer) {
        ///         Ok((n, _)) => return Ok(buffer[..n].to_vec()),
        ///         Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        ///         Err(error) => return Err(error.into()),
        ///     }
        /// }
        /// # }
        /// # selvedge::run(async {
        /// # let one = UdpSocket::bind("127.0.0.1:0").await?;
        /// # let other = UdpSocket::bind("127.0.0.1:0").await?;
        /// # one.send_to(b"ping", other.local_addr()?).await?;
        /// # assert_eq!(example(other).await?, b"ping");
        /// # Ok(())
        /// # }).unwrap();
        /// ```
    }

    #[cfg(unix)]
    super::readiness::writable!();

    #[cfg(unix)]
    fn socket(&self) -> &Socket<mio::net::UdpSocket> {
        &self.socket
    }

    /// The address of this end.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> Result<SocketAddr> {
        Ok(self.socket.peer_addr()?)
    }

    /// Whether packets may be sent to all hosts of a network.
    pub fn set_broadcast(&self, on: bool) -> Result<()> {
        Ok(self.socket.set_broadcast(on)?)
    }
}

descriptor!(UdpSocket);

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
