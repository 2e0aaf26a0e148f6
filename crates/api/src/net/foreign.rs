//! How do traits read that hand in memory without a value?

use std::io;
use std::task::{Context, Poll};

use super::attempt::Side;
use super::socket::Socket;
use super::stream::Bytes;

/// As much as one read takes: the size of the buffers that such traits come with.
const CHUNK: usize = 16 * 1024;

/// Reads at most `room` bytes and gives them to `put`.
///
/// To read into memory that has no value yet, and to say afterwards that it has one, takes unsafe code with these traits. A copy of what was
/// read costs a hundredth of the read.
pub(super) fn poll_read<S: Bytes>(
    socket: &Socket<S>,
    side: &mut Side,
    cx: &mut Context<'_>,
    room: usize,
    put: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    let mut chunk = [0; CHUNK];
    let chunk = &mut chunk[..room.min(CHUNK)];
    side.poll_read(socket, cx, chunk).map_ok(|n| put(&chunk[..n]))
}
