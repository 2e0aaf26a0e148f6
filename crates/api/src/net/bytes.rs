//! How are the operating system's byte streams read and written?
//!
//! Writes use `send` and `sendmsg` with `MSG_NOSIGNAL`; where that does not exist (Apple), sockets
//! get `SO_NOSIGPIPE`.
//!
//! A read of a Unix socket that gets fewer bytes than it asked for may leave more, because a
//! message with descriptors ends it too. On Linux `recvmsg` reports that (`MSG_CTRUNC`), and a
//! packet socket is refused where a stream is taken over. Elsewhere Selvedge asks the system how
//! much is left (`FIONREAD`), which costs another call. One case is left that the system does not
//! report: if urgent data is fetched through the descriptor directly, a read that ended there is
//! not followed by another one until more bytes come.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::Shutdown;

use mio::event::Source;

use super::socket::Done;

/// An operating system's stream, which is read and written through a shared reference.
pub trait Bytes: Source + 'static {
    fn read_once(&self, buffer: &mut [u8]) -> io::Result<Done<usize>>;
    fn read_once_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<Done<usize>>;
    fn write_once(&self, bytes: &[u8]) -> io::Result<Done<usize>>;
    fn write_once_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<Done<usize>>;
    fn end(&self, how: Shutdown) -> io::Result<()>;
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
            fn write_once(&self, bytes: &[u8]) -> io::Result<Done<usize>> {
                write(self, bytes)
            }
            fn write_once_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<Done<usize>> {
                write_vectored(self, slices)
            }
            fn end(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }
        }
    };
}

bytes!(mio::net::TcpStream, plain::read, plain::read_vectored);
#[cfg(unix)]
bytes!(mio::net::UnixStream, with_descriptors::read, with_descriptors::read_vectored);

fn write(sink: &impl Sink, bytes: &[u8]) -> io::Result<Done<usize>> {
    Ok(Done::bytes(sink.send(bytes)?, bytes.len()))
}

/// Slices of up to this many bytes in total are copied into one buffer before a write. The system
/// takes longer to collect bytes from several places. Short answers of an HTTP server are of this
/// size.
const TOGETHER: usize = 1024;

fn write_vectored(sink: &impl Sink, slices: &[IoSlice<'_>]) -> io::Result<Done<usize>> {
    let mut together = [0; TOGETHER];
    let mut length = 0;
    for slice in slices {
        let Some(room) = together[length..].get_mut(..slice.len()) else {
            let asked = at_least(slices.iter().map(|slice| slice.len()));
            return Ok(Done::bytes(sink.send_vectored(slices)?, asked));
        };
        room.copy_from_slice(slice);
        length += slice.len();
    }
    write(sink, &together[..length])
}

/// How bytes are sent. A peer that has closed the connection causes an error, never a signal that
/// ends the process, whatever the program has set for `SIGPIPE`. Where a call has no flag that
/// suppresses the signal (Apple's systems), an option of the socket does so ([`without_signal`]).
trait Sink {
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

#[cfg(unix)]
impl<S: std::os::fd::AsFd> Sink for S {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(self, bytes, NO_SIGNAL)?)
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        /// Linux refuses a call with more slices than this.
        const MOST: usize = 1024;
        let taken = &slices[..slices.len().min(MOST)];
        let mut nothing_else = rustix::net::SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(self, taken, &mut nothing_else, NO_SIGNAL)?)
    }
}

#[cfg(all(unix, not(target_vendor = "apple")))]
const NO_SIGNAL: rustix::net::SendFlags = rustix::net::SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: rustix::net::SendFlags = rustix::net::SendFlags::empty();

/// Called before a socket is used: afterwards no write to it sends a signal.
#[cfg(target_vendor = "apple")]
pub(super) fn without_signal(socket: &impl std::os::fd::AsFd) {
    // A socket whose peer has gone refuses the option; the first write reports that.
    let _ = rustix::net::sockopt::set_socket_nosigpipe(socket, true);
}

#[cfg(not(unix))]
impl Sink for mio::net::TcpStream {
    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, bytes)
    }

    fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        io::Write::write_vectored(&mut &*self, slices)
    }
}

/// A lower bound of the bytes that a call with several buffers asks for. The system uses only the
/// first buffers, at least as many as POSIX demands. A caller that gets this many bytes cannot
/// conclude that nothing is left.
fn at_least(lengths: impl Iterator<Item = usize>) -> usize {
    const TAKEN: usize = 16;
    lengths.take(TAKEN).sum()
}

/// A read that got fewer bytes than it asked for has taken everything there was.
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

/// A message that carries descriptors or the sender's credentials ends a read, even if more bytes
/// follow. Selvedge has no use for the descriptors; Linux reports that they were cut off.
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
        /// Linux refuses a call with more buffers than this, instead of ignoring the rest.
        const MOST: usize = 1024;
        let asked = at_least(buffers.iter().map(|buffer| buffer.len()));
        let taken = buffers.len().min(MOST);
        let got =
            recvmsg(source, &mut buffers[..taken], &mut RecvAncillaryBuffer::default(), RecvFlags::empty())?;
        let read = Done::bytes(got.bytes, asked);
        Ok(Done { is_drained: read.is_drained && !got.flags.contains(ReturnFlags::CTRUNC), ..read })
    }
}

/// A message that carries descriptors ends a read, even if more bytes follow. Asking whether bytes
/// are left costs less than another read.
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::Write;

    use super::*;

    /// Takes all bytes that it is given, and counts the calls.
    #[derive(Default)]
    struct Taken {
        bytes: Vec<u8>,
        writes: usize,
        vectored: usize,
    }

    struct Counting(RefCell<Taken>);

    impl Sink for Counting {
        fn send(&self, bytes: &[u8]) -> io::Result<usize> {
            let mut taken = self.0.borrow_mut();
            taken.writes += 1;
            taken.bytes.write(bytes)
        }

        fn send_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut taken = self.0.borrow_mut();
            taken.vectored += 1;
            taken.bytes.write_vectored(slices)
        }
    }

    #[test]
    fn slices_are_written_in_order_and_together_while_they_are_short() {
        for lengths in
            [&[][..], &[0, 0], &[TOGETHER], &[1000, 0, 23, 1], &[TOGETHER, 1], &[1, 1000, 24], &[5000]]
        {
            let all: Vec<u8> = (0..lengths.iter().sum()).map(|index: usize| (index % 251) as u8).collect();
            let mut rest = &all[..];
            let slices: Vec<_> = lengths
                .iter()
                .map(|&length| {
                    let (slice, others) = rest.split_at(length);
                    rest = others;
                    IoSlice::new(slice)
                })
                .collect();
            let sink = Counting(RefCell::default());
            let written = write_vectored(&sink, &slices).expect("it takes all");
            let sink = sink.0.into_inner();
            assert_eq!((written.value, &sink.bytes), (all.len(), &all), "{lengths:?}");
            assert_eq!(
                (sink.writes, sink.vectored),
                if all.len() <= TOGETHER { (1, 0) } else { (0, 1) },
                "{lengths:?}"
            );
        }
    }
}
