//! How is a connection opened?

use std::fmt;
use std::future::{Future, IntoFuture};
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use super::given::IntoConnection;
use super::happy_eyeballs;
use super::link::Link;
use super::reader::{DEFAULT_LIMIT, StreamReader, check_limit};
use super::transport::Transport;
use super::writer::StreamWriter;
use crate::error::Result;
#[cfg(unix)]
use crate::net::UnixStream;
use crate::net::{Target, TcpStream, ToSocketAddrs, lookup};

/// Connects by TCP, and returns a reader and a writer.
///
/// # Examples
///
/// ```
/// use selvedge::{open_connection, start_server};
///
/// # selvedge::run(async {
/// let server = start_server(async |mut reader, writer| {
///     let name = reader.readline().await?;
///     writer.write(b"hello ")?;
///     writer.write(name)
/// }, "127.0.0.1:0").await?;
///
/// let (mut reader, writer) = open_connection(&server.local_addrs()[..]).await?;
/// writer.write("anna\n")?;
/// assert_eq!(reader.readline().await?, b"hello anna\n");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`std::io::Error`] of the last address that was tried (`ConnectionRefused` …);
/// [`RuntimeError`](crate::RuntimeError) outside of a loop, or for a limit of zero. The only time
/// limit is the operating system's, which is minutes long: wrap the call in a
/// [`timeout`](crate::timeout()).
///
/// # Cancellation
///
/// The connection that was being made is closed.
pub fn open_connection(target: impl ToSocketAddrs) -> OpenConnection {
    OpenConnection { target: Where::Inet(target.target()), limit: DEFAULT_LIMIT, delay: None }
}

/// Connects to a Unix socket, by its path or its [abstract
/// name](crate::net::UnixListener#abstract-names), and returns a reader and a writer. Otherwise as
/// [`open_connection`].
///
/// # Errors
///
/// [`std::io::Error`]: `NotFound`, `ConnectionRefused` …; [`RuntimeError`](crate::RuntimeError)
/// outside of a loop, or for a limit of zero.
#[cfg(unix)]
pub fn open_unix_connection(path: impl AsRef<Path>) -> OpenConnection {
    OpenConnection { target: Where::Unix(path.as_ref().into()), limit: DEFAULT_LIMIT, delay: None }
}

/// Makes a reader and a writer from a connected [`TcpStream`] or
/// [`UnixStream`](crate::net::UnixStream): asyncio's `open_connection(sock=…)`.
///
/// For a stream that was accepted, was made elsewhere (`from_std`), or has options of its own,
/// which it keeps. The stream is closed when both the reader and the writer have finished with it.
///
/// A stream that was made in another loop belongs to the running loop from then on; the other loop
/// may end.
///
/// # Examples
///
/// ```
/// use selvedge::net::UnixStream;
/// use selvedge::open_connection_on;
///
/// # selvedge::run(async {
/// let (one, other) = UnixStream::pair()?;
/// let (_reader, writer) = open_connection_on(one).await?;
/// let (mut reader, _writer) = open_connection_on(other).limit(1024).await?;
/// writer.write("hello\n")?;
/// assert_eq!(reader.readline().await?, b"hello\n");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`RuntimeError`](crate::RuntimeError) outside of a loop, or for a limit of zero;
/// [`std::io::Error`] if the loop cannot watch the stream. In these cases the stream is closed.
///
/// # Cancellation
///
/// There is nothing to wait for: the await ends at once. Dropping an [`OpenConnection`] closes its
/// stream.
pub fn open_connection_on(stream: impl IntoConnection) -> OpenConnection {
    OpenConnection { target: Where::On(stream.into_transport()), limit: DEFAULT_LIMIT, delay: None }
}

/// A connection that is opened when this is awaited. Made by [`open_connection`],
/// [`open_unix_connection`] and [`open_connection_on`].
#[derive(Debug)]
#[must_use = "nothing connects unless it is awaited"]
pub struct OpenConnection {
    target: Where<Transport>,
    limit: usize,
    delay: Option<Duration>,
}

/// The address to connect to or to listen at, or an existing socket.
#[derive(Debug)]
pub(super) enum Where<S> {
    Inet(Target),
    #[cfg(unix)]
    Unix(PathBuf),
    On(S),
}

impl OpenConnection {
    /// The [reader's limit](StreamReader). 64 KiB by default.
    pub fn limit(mut self, limit: usize) -> OpenConnection {
        self.limit = limit;
        self
    }

    /// If a name stands for several addresses, tries the next address when the one before has not
    /// answered for `delay`, and uses the first that answers ("Happy Eyeballs", RFC 8305, which
    /// recommends 250 ms). IPv6 and IPv4 addresses alternate. By default each address is tried
    /// until it answers or fails. Without effect for a Unix socket and for a stream that is already
    /// connected.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::{Ipv4Addr, SocketAddr};
    /// use std::time::Duration;
    ///
    /// # selvedge::run(async {
    /// let server = selvedge::start_server(async |_, _| Ok(()), "127.0.0.1:0").await?;
    /// let good = server.local_addrs()[0];
    /// let bad = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    /// let connection = selvedge::open_connection(&[bad, good][..]);
    /// let (_, writer) = connection.happy_eyeballs_delay(Duration::from_millis(250)).await?;
    /// assert_eq!(writer.peer_addr(), Some(good));
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn happy_eyeballs_delay(mut self, delay: impl Into<Option<Duration>>) -> OpenConnection {
        self.delay = delay.into();
        self
    }

    async fn open(self) -> Result<(StreamReader, StreamWriter)> {
        check_limit(self.limit)?;
        let transport = match self.target {
            Where::Inet(target) => {
                let addrs = lookup(target).await?;
                Transport::Tcp(match self.delay {
                    None => TcpStream::connect(&addrs[..]).await?,
                    Some(delay) => happy_eyeballs::connect(addrs, delay).await?,
                })
            }
            #[cfg(unix)]
            Where::Unix(path) => Transport::Unix(UnixStream::connect(path).await?),
            Where::On(transport) => transport.move_here()?,
        };
        let peer = transport.peer_addr();
        let link = Link::new(transport, peer)?;
        Ok((StreamReader::of(link.clone(), self.limit), StreamWriter::of(link)))
    }
}

impl IntoFuture for OpenConnection {
    type Output = Result<(StreamReader, StreamWriter)>;
    type IntoFuture = Opening;

    fn into_future(self) -> Opening {
        Opening(Box::pin(self.open()))
    }
}

/// The future of [`OpenConnection`].
#[must_use = "futures do nothing unless awaited"]
pub struct Opening(Pin<Box<dyn Future<Output = Opened> + Send>>);

type Opened = Result<(StreamReader, StreamWriter)>;

impl Future for Opening {
    type Output = Result<(StreamReader, StreamWriter)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}
