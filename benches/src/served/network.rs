//! What must a runtime offer to serve?

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::rival::Rival;

/// A runtime with its own sockets.
pub trait Network: Rival {
    /// TCP's listener.
    type Tcp: Listener;
    /// Unix sockets' listener.
    type Unix: Listener;

    /// Listens on a free port of the loopback. Only for use inside a task.
    fn listen_tcp() -> impl Future<Output = io::Result<(Self::Tcp, SocketAddr)>> + Send + 'static;
    /// Listens at a path. Only for use inside a task.
    fn listen_unix(path: PathBuf) -> impl Future<Output = io::Result<Self::Unix>> + Send + 'static;
}

/// Accepts connections. TCP connections have `TCP_NODELAY` set.
pub trait Listener: Send + Sync + 'static {
    /// A connection.
    type Stream: Stream;

    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Reads and writes.
pub trait Stream: Send + 'static {
    /// Reads the available bytes.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;
    /// Writes all of `bytes`.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;
}

/// A runtime on which hyper runs, by the adapters that its own documentation names.
pub trait Http: Network {
    /// A connection as hyper takes it.
    type Io: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static;
    /// hyper's time limits.
    type Timer: hyper::rt::Timer + Send + Sync + 'static;

    /// Hands a connection to hyper.
    fn io(stream: <Self::Tcp as Listener>::Stream) -> Self::Io;
    /// hyper's time limits.
    fn timer() -> Self::Timer;
}
