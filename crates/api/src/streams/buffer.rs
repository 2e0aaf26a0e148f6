//! Where are bytes stored between the socket and the program?

use std::fmt;

/// Bytes that are appended at the end and taken from the front. When it is empty it holds little
/// memory.
#[derive(Default)]
pub(super) struct Buffer {
    /// All of it is initialised, so that a socket can read into the part after `end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

/// The most memory that an empty buffer keeps for the next bytes.
const KEPT: usize = 4 * 1024;

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// `n` bytes of space after the content; [`fill`](Self::fill) then says how many of them were
    /// filled.
    pub(super) fn room(&mut self, n: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < n {
            // Moving the content pays only if it frees at least as much space as it moves.
            if self.start >= self.len() {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.bytes.len() - self.end < n {
                self.bytes.resize(self.end + n, 0);
            }
        }
        &mut self.bytes[self.end..self.end + n]
    }

    /// The first `n` bytes of the space are content now.
    pub(super) fn fill(&mut self, n: usize) {
        self.end += n;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.fill(bytes.len());
    }

    /// Removes the first `n` bytes.
    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.end, "only what is there can go");
        if self.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        if self.bytes.len() > KEPT {
            self.bytes = Vec::new();
        }
    }

    /// Releases the memory of an empty buffer, for a wait that may be long.
    pub(super) fn rest(&mut self) {
        if self.is_empty() {
            *self = Buffer::default();
        }
    }

    /// Takes the first `n` bytes out, or all if there are fewer.
    pub(super) fn take(&mut self, n: usize) -> Vec<u8> {
        let n = n.min(self.len());
        // If all content is taken and the buffer is mostly full, the buffer itself is returned,
        // without a copy.
        if self.start == 0 && n == self.end && 2 * n > self.bytes.len() {
            self.bytes.truncate(n);
            return std::mem::take(self).bytes;
        }
        let taken = self.bytes()[..n].to_vec();
        self.consume(n);
        taken
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_whatever_the_sizes() {
        let mut buffer = Buffer::default();
        let (mut given, mut taken) = (0_u32, 0_u32);
        for round in 0..2_000_u32 {
            let n = (round * 7919) % 311;
            let bytes: Vec<u8> = (given..given + n).map(|i| (i % 251) as u8).collect();
            given += n;
            if round % 3 == 0 {
                let room = buffer.room(bytes.len() + 10);
                room[..bytes.len()].copy_from_slice(&bytes);
                buffer.fill(bytes.len());
            } else {
                buffer.push(&bytes);
            }
            let n = (round * 6661) % 330;
            let out = buffer.take(n as usize);
            assert!(out.iter().enumerate().all(|(i, byte)| u32::from(*byte) == (taken + i as u32) % 251));
            taken += out.len() as u32;
            assert_eq!(buffer.len(), (given - taken) as usize);
            assert!(
                buffer.bytes.len() <= 4 * (buffer.len() + 311) + KEPT,
                "{} for {buffer:?}",
                buffer.bytes.len()
            );
        }
        assert_eq!(buffer.take(usize::MAX).len(), (given - taken) as usize);
        buffer.rest();
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
