//! What carries a stream?

use std::io;
use std::net::{Shutdown, SocketAddr};

use selvedge_scheduler::Direction;

use crate::error::Result;
#[cfg(unix)]
use crate::net::UnixStream;
use crate::net::{Bytes, Done, TcpStream};

/// A connection of either kind.
#[derive(Debug)]
pub enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    /// Has the running loop watch it, whichever has done so until now.
    pub(super) fn move_here(self) -> Result<Transport> {
        Ok(match self {
            Transport::Tcp(stream) => Transport::Tcp(stream.move_here()?),
            #[cfg(unix)]
            Transport::Unix(stream) => Transport::Unix(stream.move_here()?),
        })
    }

    /// Makes attempts in one direction until one comes to something. A leaf.
    pub(super) async fn operation<T>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut(&dyn Bytes) -> io::Result<Done<T>>,
    ) -> Result<T> {
        match self {
            Transport::Tcp(stream) => stream.socket().operation(direction, |bytes| attempt(bytes)).await,
            #[cfg(unix)]
            Transport::Unix(stream) => stream.socket().operation(direction, |bytes| attempt(bytes)).await,
        }
    }

    /// Writes what there is room for, without waiting.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Transport::Unix(stream) => stream.try_write(bytes),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        // It fails if the connection is gone, which is an end too.
        let _ = match self {
            Transport::Tcp(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Transport::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Throws away what has come and was not read, within reason.
    pub(super) fn discard(&self) {
        const MOST: usize = 16;
        let mut chunk = [0; 8 * 1024];
        for _ in 0..MOST {
            let read = match self {
                Transport::Tcp(stream) => stream.try_read(&mut chunk),
                // Here a close resets nothing.
                #[cfg(unix)]
                Transport::Unix(_) => return,
            };
            if !read.is_ok_and(|n| n == chunk.len()) {
                return;
            }
        }
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Transport::Tcp(stream) => stream.local_addr().ok(),
            #[cfg(unix)]
            Transport::Unix(_) => None,
        }
    }

    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Transport::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Transport::Unix(_) => None,
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Transport {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match self {
            Transport::Tcp(stream) => stream.as_fd(),
            Transport::Unix(stream) => stream.as_fd(),
        }
    }
}
