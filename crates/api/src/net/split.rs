//! How do two tasks share a stream, one that reads and one that writes?

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use selvedge_scheduler::Direction;

use super::io_operation::IoDirection;
use super::methods::{reading, writing};
use super::socket::Socket;
use super::stream::{ByteStream, reading_traits, writing_traits};
use crate::error::Result;

/// The half of a borrowed stream that reads. Made by `split`.
pub struct ReadHalf<'a, S: ByteStream> {
    stream: &'a S,
    io: IoDirection,
}

/// The half of a borrowed stream that writes. Made by `split`.
pub struct WriteHalf<'a, S: ByteStream> {
    stream: &'a S,
    io: IoDirection,
}

/// The half of a stream that reads. Made by `into_split`.
///
/// The connection is closed when both halves are gone.
pub struct OwnedReadHalf<S: ByteStream> {
    stream: Arc<S>,
    io: IoDirection,
}

/// The half of a stream that writes. Made by `into_split`.
///
/// Dropping it ends its direction: the peer gets everything that was written, and then the end.
///
/// # Examples
///
/// ```
/// use selvedge::net::{TcpListener, TcpStream};
///
/// # selvedge::run(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let client = TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// let (reader, writer) = client.into_split();
/// writer.write_all(b"all of it").await?;
/// drop(writer);
/// let mut read = Vec::new();
/// server.read_to_end(&mut read).await?;
/// assert_eq!(read, b"all of it");
/// // The other direction is still open.
/// server.write_all(b"thanks").await?;
/// let mut answer = [0; 6];
/// reader.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"thanks");
/// # Ok(())
/// # }).unwrap();
/// ```
pub struct OwnedWriteHalf<S: ByteStream> {
    stream: Arc<S>,
    io: IoDirection,
    /// After `reunite` the drop must not end the direction.
    is_reunited: bool,
}

/// The halves belong to different streams. The error returns them.
pub struct ReuniteError<S: ByteStream>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

pub(super) fn borrowed<S: ByteStream>(stream: &S) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf { stream, io: IoDirection::new() }, WriteHalf { stream, io: IoDirection::new() })
}

pub(super) fn owned<S: ByteStream>(stream: S) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let stream = Arc::new(stream);
    let read = OwnedReadHalf { stream: Arc::clone(&stream), io: IoDirection::new() };
    (read, OwnedWriteHalf { stream, io: IoDirection::new(), is_reunited: false })
}

macro_rules! half {
    ([$($generics:tt)*] $half:ident, $type:ty, $parts:ident, $direction:expr, $methods:ident, $traits:ident) => {
        impl<$($generics)*> $type {
            fn socket(&self) -> &Socket<S::Source> {
                self.stream.socket()
            }

            fn $parts(&mut self) -> (&Socket<S::Source>, &mut IoDirection) {
                (self.stream.socket(), &mut self.io)
            }

            $methods!();
        }

        $traits!([$($generics)*] $type);

        impl<$($generics)*> fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($half)).finish_non_exhaustive()
            }
        }
    };
}

half!(['a, S: ByteStream] ReadHalf, ReadHalf<'a, S>, reader, Direction::Read, reading, reading_traits);
half!(['a, S: ByteStream] WriteHalf, WriteHalf<'a, S>, writer, Direction::Write, writing, writing_traits);
half!([S: ByteStream] OwnedReadHalf, OwnedReadHalf<S>, reader, Direction::Read, reading, reading_traits);
half!([S: ByteStream] OwnedWriteHalf, OwnedWriteHalf<S>, writer, Direction::Write, writing, writing_traits);

impl<S: ByteStream> OwnedReadHalf<S> {
    /// The stream, for its addresses and options.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Joins the halves to the stream again.
    ///
    /// # Errors
    ///
    /// If the halves belong to different streams, the error returns them.
    pub fn reunite(self, mut other: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.stream, &other.stream) {
            return Err(ReuniteError(self, other));
        }
        other.is_reunited = true;
        drop(other);
        let stream = Arc::clone(&self.stream);
        drop(self);
        Ok(Arc::into_inner(stream).expect("there are two halves, and both are gone"))
    }
}

impl<S: ByteStream> OwnedWriteHalf<S> {
    /// The stream, for its addresses and options.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Joins the halves to the stream again; see [`OwnedReadHalf::reunite`].
    pub fn reunite(self, other: OwnedReadHalf<S>) -> Result<S, ReuniteError<S>> {
        other.reunite(self)
    }
}

impl<S: ByteStream> Drop for ReadHalf<'_, S> {
    fn drop(&mut self) {
        self.io.end(self.stream.socket(), Direction::Read);
    }
}

impl<S: ByteStream> Drop for WriteHalf<'_, S> {
    fn drop(&mut self) {
        self.io.end(self.stream.socket(), Direction::Write);
    }
}

impl<S: ByteStream> Drop for OwnedReadHalf<S> {
    fn drop(&mut self) {
        self.io.end(self.stream.socket(), Direction::Read);
    }
}

impl<S: ByteStream> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        self.io.end(self.stream.socket(), Direction::Write);
        if !self.is_reunited {
            // This fails if the connection is closed already, which is an end too.
            let _ = self.stream.socket().shut_down(Shutdown::Write);
        }
    }
}

impl<S: ByteStream> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<S: ByteStream> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different streams: put those together that one `into_split` returned")
    }
}

impl<S: ByteStream> std::error::Error for ReuniteError<S> {}
