//! Which operations do all byte streams share?
//!
//! An idle connection should take few bytes (`make bench-http` counts them). So the second wait of
//! a socket is in a box, and coroutines read and write with a leaf instead of an `async fn` around
//! one: each such layer would keep the arguments once more.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::task::{Context, Poll};

use selvedge_scheduler::Direction;

use super::bytes::Bytes;
use super::io_operation::{IoDirection, Receiver};
use super::socket::Socket;
use crate::error::Result;

/// A stream that can be split: [`TcpStream`](crate::net::TcpStream) or `UnixStream`. Sealed: there
/// is nothing to implement.
pub trait ByteStream: sealed::Sealed {}

pub(super) mod sealed {
    use super::{Bytes, Socket};

    pub trait Sealed: Send + Sync + 'static {
        #[cfg(unix)]
        #[doc(hidden)]
        type Source: Bytes + std::os::fd::AsFd;
        #[cfg(not(unix))]
        #[doc(hidden)]
        type Source: Bytes;
        #[doc(hidden)]
        fn socket(&self) -> &Socket<Self::Source>;
    }
}

/// What coroutines do with a stream. Each wait is a leaf.
impl<S: Bytes> Socket<S> {
    // Not `async`: each layer of async functions would store the arguments once more for as long as
    // a connection waits.
    pub(super) fn read(&self, buffer: &mut [u8]) -> impl Future<Output = Result<usize>> {
        self.operation(Direction::Read, |source| source.read_once(buffer))
    }

    pub(super) fn read_vectored(
        &self,
        buffers: &mut [IoSliceMut<'_>],
    ) -> impl Future<Output = Result<usize>> {
        self.operation(Direction::Read, |source| source.read_once_vectored(buffers))
    }

    pub(super) fn read_exact(&self, buffer: &mut [u8]) -> impl Future<Output = Result<()>> {
        let mut filled = 0;
        self.operations(Direction::Read, buffer.is_empty(), move |source| {
            let read = source.read_once(&mut buffer[filled..])?;
            filled += read.value;
            let missing = buffer.len() - filled;
            match read.value {
                0 => {
                    let missing = format!("the stream ended {missing} bytes early");
                    Err(io::Error::new(io::ErrorKind::UnexpectedEof, missing))
                }
                _ => Ok(read.map(|_| missing == 0)),
            }
        })
    }

    pub(super) async fn read_to_end(&self, buffer: &mut Vec<u8>) -> Result<usize> {
        let began = buffer.len();
        let mut filling = Filling { filled: began, buffer };
        loop {
            let room = filling.buffer.capacity().max(filling.filled + CHUNK);
            filling.buffer.resize(room, 0);
            match self.read(&mut filling.buffer[filling.filled..]).await? {
                0 => return Ok(filling.filled - began),
                n => filling.filled += n,
            }
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> impl Future<Output = Result<usize>> {
        self.operation(Direction::Write, |source| source.write_once(bytes))
    }

    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> impl Future<Output = Result<usize>> {
        self.operation(Direction::Write, |source| source.write_once_vectored(slices))
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_once(Direction::Read, |source| source.read_once(buffer).map(|read| read.value))
    }

    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_once(Direction::Write, |source| source.write_once(bytes).map(|written| written.value))
    }

    /// Ends one direction or both, and wakes the tasks that wait for it.
    pub(super) fn shut_down(&self, how: Shutdown) -> io::Result<()> {
        self.end(how)?;
        self.note_end(how);
        Ok(())
    }

    pub(super) fn write_all(&self, mut bytes: &[u8]) -> impl Future<Output = Result<()>> {
        self.operations(Direction::Write, bytes.is_empty(), move |source| {
            let written = source.write_once(bytes)?;
            bytes = &bytes[written.value..];
            match written.value {
                0 => Err(io::ErrorKind::WriteZero.into()),
                _ => Ok(written.map(|_| bytes.is_empty())),
            }
        })
    }
}

/// The operations behind the traits' `poll_` methods.
impl IoDirection {
    pub(super) fn poll_read<S: Bytes>(
        &mut self,
        receiver: Receiver,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(receiver, socket, Direction::Read, cx, |source| source.read_once(buffer))
    }

    pub(super) fn poll_read_vectored<S: Bytes>(
        &mut self,
        receiver: Receiver,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(receiver, socket, Direction::Read, cx, |source| source.read_once_vectored(buffers))
    }

    pub(super) fn poll_write<S: Bytes>(
        &mut self,
        receiver: Receiver,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(receiver, socket, Direction::Write, cx, |source| source.write_once(bytes))
    }

    pub(super) fn poll_write_vectored<S: Bytes>(
        &mut self,
        receiver: Receiver,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(receiver, socket, Direction::Write, cx, |source| source.write_once_vectored(slices))
    }
}

/// The least space that `read_to_end` offers to a read.
const CHUNK: usize = 8 * 1024;

/// Guards a buffer that is temporarily longer than what has been read; its drop shortens the
/// buffer.
struct Filling<'a> {
    buffer: &'a mut Vec<u8>,
    filled: usize,
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.filled);
    }
}

/// The traits for reading, for a type with `reader(&mut self) -> (&Socket<_>, &mut IoDirection)`.
macro_rules! reading_traits {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> futures_io::AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, io) = self.get_mut().reader();
                io.poll_read($crate::net::io_operation::Receiver::Leaf, socket, cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let (socket, io) = self.get_mut().reader();
                io.poll_read_vectored($crate::net::io_operation::Receiver::Leaf, socket, cx, buffers)
            }
        }

        #[cfg(feature = "tokio-io")]
        impl<$($generics)*> tokio::io::AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let (socket, io) = self.get_mut().reader();
                $crate::net::foreign::poll_read($crate::net::io_operation::Receiver::Leaf, socket, io, cx, buffer.remaining(), |bytes| buffer.put_slice(bytes))
            }
        }

        #[cfg(feature = "hyper")]
        impl<$($generics)*> hyper::rt::Read for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buffer: hyper::rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                let (socket, io) = self.get_mut().reader();
                $crate::net::foreign::poll_read($crate::net::io_operation::Receiver::Frame, socket, io, cx, buffer.remaining(), |bytes| buffer.put_slice(bytes))
            }
        }
    };
}

/// The traits for writing, for a type with `writer(&mut self) -> (&Socket<_>, &mut IoDirection)`.
macro_rules! writing_traits {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> futures_io::AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, io) = self.get_mut().writer();
                io.poll_write($crate::net::io_operation::Receiver::Leaf, socket, cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let (socket, io) = self.get_mut().writer();
                io.poll_write_vectored($crate::net::io_operation::Receiver::Leaf, socket, cx, slices)
            }

            /// There is nothing to flush: written bytes are already with the operating system.
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Ends this direction.
            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().writer().0.shut_down(std::net::Shutdown::Write))
            }
        }

        #[cfg(feature = "tokio-io")]
        $crate::net::stream::foreign_writing_traits!([$($generics)*] tokio::io::AsyncWrite, $type, Leaf);
        #[cfg(feature = "hyper")]
        $crate::net::stream::foreign_writing_traits!([$($generics)*] hyper::rt::Write, $type, Frame);
    };
}

/// tokio's trait and hyper's have the same methods.
#[cfg(any(feature = "tokio-io", feature = "hyper"))]
macro_rules! foreign_writing_traits {
    ([$($generics:tt)*] $trait:path, $type:ty, $receiver:ident) => {
        impl<$($generics)*> $trait for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, io) = self.get_mut().writer();
                io.poll_write($crate::net::io_operation::Receiver::$receiver, socket, cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let (socket, io) = self.get_mut().writer();
                io.poll_write_vectored($crate::net::io_operation::Receiver::$receiver, socket, cx, slices)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_flush(self, cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_close(self, cx)
            }
        }
    };
}

#[cfg(any(feature = "tokio-io", feature = "hyper"))]
pub(super) use foreign_writing_traits;
pub(super) use {reading_traits, writing_traits};
