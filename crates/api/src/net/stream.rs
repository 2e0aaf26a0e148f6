//! What do all streams of bytes have in common?

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::task::{Context, Poll};

use mio::event::Source;
use selvedge_scheduler::Direction;

use super::attempt::{Side, Teller};
use super::socket::{Done, Socket};
use crate::error::Result;

/// A stream that can be split: TCP's and Unix's. There is nothing to implement.
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

/// An operating system's stream, which is read and written through a shared reference.
pub trait Bytes: Source + 'static {
    fn read_once(&self, buffer: &mut [u8]) -> io::Result<Done<usize>>;
    fn read_once_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<Done<usize>>;
    fn write_once(&self, bytes: &[u8]) -> io::Result<usize>;
    fn write_once_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    fn end(&self) -> io::Result<()>;
}

macro_rules! bytes {
    ($source:ty, $read:path, $read_vectored:path) => {
        impl Bytes for $source {
            fn read_once(&self, buffer: &mut [u8]) -> io::Result<Done<usize>> {
                $read(self, buffer)
            }
            fn read_once_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<Done<usize>> {
                $read_vectored(self, buffers)
            }
            fn write_once(mut self: &Self, bytes: &[u8]) -> io::Result<usize> {
                self.write(bytes)
            }
            fn write_once_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                write_vectored(self, slices)
            }
            fn end(&self) -> io::Result<()> {
                self.shutdown(std::net::Shutdown::Write)
            }
        }
    };
}

bytes!(mio::net::TcpStream, plain::read, plain::read_vectored);
#[cfg(unix)]
bytes!(mio::net::UnixStream, with_descriptors::read, with_descriptors::read_vectored);

/// So few bytes are copied together: the system takes longer to pick them up in several places. An HTTP server's short answers are such.
const TOGETHER: usize = 1024;

fn write_vectored(mut source: impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut together = [0; TOGETHER];
    let mut length = 0;
    for slice in slices {
        let Some(room) = together[length..].get_mut(..slice.len()) else {
            return source.write_vectored(slices);
        };
        room.copy_from_slice(slice);
        length += slice.len();
    }
    source.write(&together[..length])
}

/// A read that got less than it asked for has taken all there was.
mod plain {
    use super::{Done, IoSliceMut, Read, at_least, io};

    pub(super) fn read(mut source: impl Read, buffer: &mut [u8]) -> io::Result<Done<usize>> {
        Ok(Done::bytes(source.read(buffer)?, buffer.len()))
    }

    pub(super) fn read_vectored(
        mut source: impl Read,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<Done<usize>> {
        let asked = at_least(buffers.iter().map(|buffer| buffer.len()));
        Ok(Done::bytes(source.read_vectored(buffers)?, asked))
    }
}

/// A message that carries descriptors ends a read, whatever is behind it. They are not wanted; Linux says that they were cut off.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod with_descriptors {
    use mio::net::UnixStream;
    use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, recvmsg};

    use super::{Done, IoSliceMut, at_least, io};

    pub(super) fn read(source: &UnixStream, buffer: &mut [u8]) -> io::Result<Done<usize>> {
        read_vectored(source, &mut [IoSliceMut::new(buffer)])
    }

    pub(super) fn read_vectored(
        source: &UnixStream,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<Done<usize>> {
        let asked = at_least(buffers.iter().map(|buffer| buffer.len()));
        let got = recvmsg(source, buffers, &mut RecvAncillaryBuffer::default(), RecvFlags::empty())?;
        let read = Done::bytes(got.bytes, asked);
        Ok(Done { is_drained: read.is_drained && !got.flags.contains(ReturnFlags::CTRUNC), ..read })
    }
}

/// A message that carries descriptors ends a read, whatever is behind it. To ask costs less than to try.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod with_descriptors {
    use mio::net::UnixStream;

    use super::{Done, IoSliceMut, io, plain};

    pub(super) fn read(source: &UnixStream, buffer: &mut [u8]) -> io::Result<Done<usize>> {
        plain::read(source, buffer).map(|read| look_behind(source, read))
    }

    pub(super) fn read_vectored(
        source: &UnixStream,
        buffers: &mut [IoSliceMut<'_>],
    ) -> io::Result<Done<usize>> {
        plain::read_vectored(source, buffers).map(|read| look_behind(source, read))
    }

    fn look_behind(source: &UnixStream, read: Done<usize>) -> Done<usize> {
        let is_empty = || rustix::io::ioctl_fionread(source).is_ok_and(|left| left == 0);
        Done { is_drained: read.is_drained && is_empty(), ..read }
    }
}

/// What coroutines do with a stream. Each is a leaf.
impl<S: Bytes> Socket<S> {
    // Not `async`: each layer of those keeps the arguments once more, for as long as a connection waits.
    pub(super) fn read(&self, buffer: &mut [u8]) -> impl Future<Output = Result<usize>> {
        let attempt = |source: &S| source.read_once(buffer);
        self.attempt(Direction::Read, attempt)
    }

    pub(super) async fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let attempt = |source: &S| source.read_once_vectored(buffers);
        self.attempt(Direction::Read, attempt).await
    }

    pub(super) async fn read_exact(&self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            match self.read(buffer).await? {
                0 => {
                    let missing = format!("the stream ended {} bytes early", buffer.len());
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, missing).into());
                }
                n => buffer = &mut buffer[n..],
            }
        }
        Ok(())
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
        let attempt = |source: &S| Ok(Done::bytes(source.write_once(bytes)?, bytes.len()));
        self.attempt(Direction::Write, attempt)
    }

    pub(super) async fn write_vectored(&self, slices: &[IoSlice<'_>]) -> Result<usize> {
        let asked = at_least(slices.iter().map(|slice| slice.len()));
        let attempt = |source: &S| Ok(Done::bytes(source.write_once_vectored(slices)?, asked));
        self.attempt(Direction::Write, attempt).await
    }

    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                n => bytes = &bytes[n..],
            }
        }
        Ok(())
    }
}

/// What the traits' `poll_` methods do with a stream.
impl Side {
    pub(super) fn poll_read<S: Bytes>(
        &mut self,
        teller: Teller,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(teller, socket, Direction::Read, cx, |source| source.read_once(buffer))
    }

    pub(super) fn poll_read_vectored<S: Bytes>(
        &mut self,
        teller: Teller,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(teller, socket, Direction::Read, cx, |source| source.read_once_vectored(buffers))
    }

    pub(super) fn poll_write<S: Bytes>(
        &mut self,
        teller: Teller,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(teller, socket, Direction::Write, cx, |source| {
            Ok(Done::bytes(source.write_once(bytes)?, bytes.len()))
        })
    }

    pub(super) fn poll_write_vectored<S: Bytes>(
        &mut self,
        teller: Teller,
        socket: &Socket<S>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let asked = at_least(slices.iter().map(|slice| slice.len()));
        self.poll_io(teller, socket, Direction::Write, cx, |source| {
            Ok(Done::bytes(source.write_once_vectored(slices)?, asked))
        })
    }
}

/// So many bytes a call with several buffers asks for, or more. The system takes the first ones only, at least as many as POSIX demands, and who gets
/// all of those has not learned that nothing is left.
fn at_least(lengths: impl Iterator<Item = usize>) -> usize {
    const TAKEN: usize = 16;
    lengths.take(TAKEN).sum()
}

/// The least room that `read_to_end` offers.
const CHUNK: usize = 8 * 1024;

/// A buffer that is longer than what has been read, while it lives.
struct Filling<'a> {
    buffer: &'a mut Vec<u8>,
    filled: usize,
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.filled);
    }
}

/// The traits of reading for a type with `reader(&mut self) -> (&Socket<_>, &mut Side)`.
macro_rules! reading_traits {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> futures_io::AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, side) = self.get_mut().reader();
                side.poll_read($crate::net::attempt::Teller::Leaf, socket, cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let (socket, side) = self.get_mut().reader();
                side.poll_read_vectored($crate::net::attempt::Teller::Leaf, socket, cx, buffers)
            }
        }

        #[cfg(feature = "tokio-io")]
        impl<$($generics)*> tokio::io::AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut tokio::io::ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let (socket, side) = self.get_mut().reader();
                $crate::net::foreign::poll_read($crate::net::attempt::Teller::Leaf, socket, side, cx, buffer.remaining(), |bytes| buffer.put_slice(bytes))
            }
        }

        #[cfg(feature = "hyper")]
        impl<$($generics)*> hyper::rt::Read for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buffer: hyper::rt::ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                let (socket, side) = self.get_mut().reader();
                $crate::net::foreign::poll_read($crate::net::attempt::Teller::Frame, socket, side, cx, buffer.remaining(), |bytes| buffer.put_slice(bytes))
            }
        }
    };
}

/// The traits of writing for a type with `writer(&mut self) -> (&Socket<_>, &mut Side)`.
macro_rules! writing_traits {
    ([$($generics:tt)*] $type:ty) => {
        impl<$($generics)*> futures_io::AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, side) = self.get_mut().writer();
                side.poll_write($crate::net::attempt::Teller::Leaf, socket, cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let (socket, side) = self.get_mut().writer();
                side.poll_write_vectored($crate::net::attempt::Teller::Leaf, socket, cx, slices)
            }

            /// There is nothing to flush: what is written is with the operating system.
            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Ends this side.
            fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.get_mut().writer().0.end())
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
    ([$($generics:tt)*] $trait:path, $type:ty, $teller:ident) => {
        impl<$($generics)*> $trait for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let (socket, side) = self.get_mut().writer();
                side.poll_write($crate::net::attempt::Teller::$teller, socket, cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let (socket, side) = self.get_mut().writer();
                side.poll_write_vectored($crate::net::attempt::Teller::$teller, socket, cx, slices)
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
