//! Sockets: TCP, UDP and Unix.
//!
//! Each wait for a socket is a leaf: a cancellation arrives there as `Err(CancelledError)`. It
//! loses no byte, because a wait that is still going on has neither read nor written anything.
//! Available bytes win over a request or a deadline that comes at the same time.
//!
//! Methods return [`selvedge::Result`](crate::Result); [`Error::io_kind`](crate::Error::io_kind)
//! returns the operating system's answer. For code that is written against traits the streams
//! implement [`futures_io::AsyncRead`] and [`futures_io::AsyncWrite`]; with the features `tokio-io`
//! and `hyper` also those of tokio and hyper. Through the traits of futures-io and tokio a
//! cancellation comes as a [`std::io::Error`], which turns back into a `CancelledError` when `?`
//! makes it a [`selvedge::Error`](crate::Error). hyper's traits are no leaves: see
//! the module `selvedge::hyper`.
//!
//! A socket belongs to the loop in which it was made. Any task, also of another loop, may use it as
//! long as the socket's loop runs. asyncio's streams that are made from such a socket
//! ([`open_connection_on`](crate::open_connection_on), [`start_server_on`](crate::start_server_on))
//! belong to the loop in which they were made.
//!
//! asyncio's own socket functions are methods of the loop (`sock_recv` and its kin) that take a
//! `socket`; here the sockets have the methods. asyncio's streams are built on them.
//!
//! # Examples
//!
//! An echo server, and a client:
//!
//! ```
//! use selvedge::net::{TcpListener, TcpStream};
//!
//! # selvedge::run(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let addr = listener.local_addr()?;
//! let server = selvedge::create_task(async move {
//!     let (stream, _) = listener.accept().await?;
//!     let mut buffer = [0; 1024];
//!     loop {
//!         let n = stream.read(&mut buffer).await?;
//!         if n == 0 {
//!             return Ok(());
//!         }
//!         stream.write_all(&buffer[..n]).await?;
//!     }
//! });
//! let stream = TcpStream::connect(addr).await?;
//! stream.write_all(b"hello").await?;
//! let mut answer = [0; 5];
//! stream.read_exact(&mut answer).await?;
//! assert_eq!(&answer, b"hello");
//! drop(stream);
//! server.await
//! # }).unwrap();
//! ```

mod bytes;
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
mod foreign;
mod io_operation;
mod listening;
mod methods;
#[cfg(unix)]
mod readiness;
mod resolve;
mod socket;
mod split;
mod stream;
mod tcp;
mod udp;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
mod unix_name;

pub(crate) use self::bytes::Bytes;
pub(crate) use self::io_operation::IoDirection;
#[cfg(unix)]
pub(crate) use self::listening::listen_at_name;
pub(crate) use self::listening::{DEFAULT_BACKLOG, listen_at};
pub(crate) use self::resolve::{Failures, Target, about, lookup};
pub use self::resolve::{ToSocketAddrs, lookup_host};
pub(crate) use self::socket::{Done, Socket};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use self::stream::ByteStream;
pub use self::tcp::{TcpListener, TcpStream};
pub use self::udp::UdpSocket;
#[cfg(unix)]
pub use self::unix::{UnixDatagram, UnixListener, UnixStream};
#[cfg(unix)]
pub(crate) use self::unix_name::{address as unix_address, is_abstract, shown};
