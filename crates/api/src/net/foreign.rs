//! How do foreign read traits, which pass uninitialised memory, read without unsafe code?

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll};

use super::bytes::Bytes;
use super::io_operation::{IoDirection, Receiver};
use super::socket::Socket;

/// The most that one read takes: the usual size of the buffers that such traits pass.
const CHUNK: usize = 16 * 1024;

thread_local! {
    /// An initialised buffer for each thread. Filling this much memory with zeros before each read
    /// would cost as much as a short read.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads at most `room` bytes and passes them to `put`.
///
/// Reading straight into the traits' uninitialised memory takes unsafe code. Copying the bytes
/// costs a hundredth of the read.
pub(super) fn poll_read<S: Bytes>(
    receiver: Receiver,
    socket: &Socket<S>,
    io: &mut IoDirection,
    cx: &mut Context<'_>,
    room: usize,
    put: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // The buffer is taken, not borrowed: if a waker that is cloned below calls this function again,
    // or the thread is ending, a new buffer is allocated.
    let mut chunk = BUFFER.try_with(Cell::take).unwrap_or_default();
    chunk.resize(CHUNK, 0);
    let polled =
        io.poll_read(receiver, socket, cx, &mut chunk[..room.min(CHUNK)]).map_ok(|n| put(&chunk[..n]));
    let _ = BUFFER.try_with(|room| room.set(chunk));
    polled
}
