//! Where does a server listen?

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

/// A connection that no loop watches yet.
pub(super) enum Accepted {
    Tcp(mio::net::TcpStream, SocketAddr),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

impl Accepted {
    /// Has the running loop watch it; also says where it comes from if that can be told. A loop that is being closed wakes foreign wakers here, so not under
    /// a lock.
    pub(super) fn watch(self) -> Result<(Transport, Option<SocketAddr>)> {
        match self {
            Accepted::Tcp(stream, peer) => Ok((Transport::Tcp(TcpStream::watch(stream)?), Some(peer))),
            #[cfg(unix)]
            Accepted::Unix(stream) => Ok((Transport::Unix(UnixStream::watch(stream)?), None)),
        }
    }
}

/// A listening socket of either kind.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
        /// What the server has made, and removes.
        file: Option<SocketFile>,
    },
}

impl Listener {
    /// Listens at every one of the addresses, but those whose family this machine does not have.
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

    /// Listens at a path. A socket that lies there makes way: as in asyncio, the server that left it is taken to be gone.
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

    /// Has the running loop watch it, whichever has done so until now.
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

/// A name may have addresses of IPv6 on a machine that has none.
fn is_missing_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.kind() == io::ErrorKind::Unsupported
}

/// The file of a Unix socket, which goes with its server, as in asyncio, if nobody has put another one there.
#[cfg(unix)]
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and number.
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
