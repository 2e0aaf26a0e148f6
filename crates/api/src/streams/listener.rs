//! How does a server listen, and what does it accept?

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use super::transport::Transport;
use crate::error::{Result, retold};
use crate::net::{Failures, IoDirection, TcpListener, TcpStream, listen_at};
#[cfg(unix)]
use crate::net::{UnixListener, UnixStream, about, is_abstract, listen_at_name, shown, unix_address};

/// An accepted connection that is not registered with any loop yet.
pub(super) enum Accepted {
    Tcp(mio::net::TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

impl Accepted {
    /// Registers the connection with the running loop, and returns the peer's address if it has
    /// one. Must not be called under a lock: a loop that is being closed wakes foreign wakers here.
    pub(super) fn watch(self) -> Result<(Transport, Option<SocketAddr>)> {
        match self {
            Accepted::Tcp(stream, peer) => Ok((Transport::Tcp(TcpStream::watch(stream)?), Some(peer))),
            #[cfg(unix)]
            Accepted::Unix(stream) => Ok((Transport::Unix(UnixStream::watch(stream)?), None)),
        }
    }
}

/// A listening socket, TCP or Unix.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        /// The file that the server has created and must remove.
        file: Option<SocketFile>,
    },
}

impl Listener {
    /// Listens at every address, except those whose family this machine does not have.
    pub(super) fn bind(addrs: Vec<SocketAddr>, backlog: u32) -> Result<Vec<Listener>> {
        let mut listeners = Vec::new();
        let mut failures = Failures::default();
        for addr in addrs {
            match listen_at(addr, backlog, true) {
                Ok(listener) => listeners.push(Listener::Tcp(TcpListener::from_std(listener)?)),
                Err(error) if is_missing_family(&error) => failures.note(error.into())?,
                Err(error) => {
                    return Err(retold(error, |error| format!("cannot listen at {addr}: {error}")).into());
                }
            }
        }
        if listeners.is_empty() { Err(failures.into_error()) } else { Ok(listeners) }
    }

    /// Listens at a path. An existing socket at the path is removed: as in asyncio, the server that
    /// left it there is assumed to have ended.
    #[cfg(unix)]
    pub(super) fn bind_unix(path: &Path, backlog: u32) -> Result<Listener> {
        use std::os::unix::fs::FileTypeExt;

        if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let address = unix_address(path).map_err(about(shown(path)))?;
        let listener = listen_at_name(&address, backlog).map_err(about(shown(path)))?;
        let file = (!is_abstract(path)).then(|| SocketFile::at(path));
        let listener = UnixListener::from_std(listener)?;
        Ok(Listener::Unix { listener, file })
    }

    /// Moves the listener from its loop to the running loop.
    pub(super) fn move_here(self) -> Result<Listener> {
        Ok(match self {
            Listener::Tcp(listener) => Listener::Tcp(listener.move_here()?),
            #[cfg(unix)]
            Listener::Unix { listener, file } => Listener::Unix { listener: listener.move_here()?, file },
        })
    }

    pub(super) fn poll_accept(&self, io: &mut IoDirection, cx: &mut Context<'_>) -> Poll<Result<Accepted>> {
        match self {
            Listener::Tcp(listener) => {
                listener.poll_accept(io, cx).map_ok(|(stream, peer)| Accepted::Tcp(stream, peer))
            }
            #[cfg(unix)]
            Listener::Unix { listener, .. } => listener.poll_accept(io, cx).map_ok(Accepted::Unix),
        }
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix { .. } => None,
        }
    }
}

/// A name may have IPv6 addresses although the machine has no IPv6.
fn is_missing_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.kind() == io::ErrorKind::Unsupported
}

/// The file of a Unix socket, which is removed with its server, as in asyncio, unless another file
/// has replaced it.
#[cfg(unix)]
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode number.
    identity: Option<(u64, u64)>,
}

#[cfg(unix)]
impl SocketFile {
    fn at(path: &Path) -> SocketFile {
        SocketFile { path: path.into(), identity: identity(path) }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;

    path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(unix)]
impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
