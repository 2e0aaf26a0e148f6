//! Which kinds of socket can carry a stream?

use std::io;
use std::net::{Shutdown, SocketAddr};

use selvedge_scheduler::Direction;

use crate::error::Result;
#[cfg(unix)]
use crate::net::UnixStream;
use crate::net::{Bytes, Done, TcpStream};

/// A connection, TCP or Unix.
#[derive(Debug)]
pub enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Transport {
    /// Moves the connection from its loop to the running loop.
    pub(super) fn move_here(self) -> Result<Transport> {
        Ok(match self {
            Transport::Tcp(stream) => Transport::Tcp(stream.move_here()?),
            #[cfg(unix)]
            Transport::Unix(stream) => Transport::Unix(stream.move_here()?),
        })
    }

    /// Repeats an io operation in one direction until it succeeds or fails. A leaf.
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

    /// Writes as much as there is space for, without waiting.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Tcp(stream) => stream.try_write(bytes),
            #[cfg(unix)]
            Transport::Unix(stream) => stream.try_write(bytes),
        }
    }

    pub(super) fn shutdown(&self, how: Shutdown) {
        // This fails if the connection is closed already, which is an end too.
        let _ = match self {
            Transport::Tcp(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Transport::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Discards bytes that came and were not read, up to a fixed amount.
    pub(super) fn discard(&self) {
        const MOST: usize = 16;
        let mut chunk = [0; 8 * 1024];
        for _ in 0..MOST {
            let read = match self {
                Transport::Tcp(stream) => stream.try_read(&mut chunk),
                // Closing a Unix socket resets nothing.
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
