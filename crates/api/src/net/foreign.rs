//! How do traits read that hand in memory without a value?

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll};

use super::bytes::Bytes;
use super::io_operation::{IoDirection, Receiver};
use super::socket::Socket;

/// As much as one read takes: the size of the buffers that such traits come with.
const CHUNK: usize = 16 * 1024;

thread_local! {
    /// Room that has a value, once for each thread: to write zeros over so much memory before each read costs as much as a short read.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads at most `room` bytes and gives them to `put`.
///
/// To read into memory that has no value yet, and to say afterwards that it has one, takes unsafe code with these traits. A copy of what was
/// read costs a hundredth of the read.
pub(super) fn poll_read<S: Bytes>(
    receiver: Receiver,
    socket: &Socket<S>,
    io: &mut IoDirection,
    cx: &mut Context<'_>,
    room: usize,
    put: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    // Taken, not borrowed: should a waker that is cloned below come back here, or the thread be ending, there is a new one.
    let mut chunk = ROOM.try_with(Cell::take).unwrap_or_default();
    chunk.resize(CHUNK, 0);
    let polled =
        io.poll_read(receiver, socket, cx, &mut chunk[..room.min(CHUNK)]).map_ok(|n| put(&chunk[..n]));
    let _ = ROOM.try_with(|room| room.set(chunk));
    polled
}
