//! How do bytes become a program?
//!
//! Every string of bytes is a program, so no input of a fuzzer is wasted. A count of bytes is part
//! of the instruction, so small numbers are short.

use super::{Op, When};

/// Reads a starting time, then instructions until the bytes run out.
pub fn decode(bytes: &[u8]) -> (u64, impl Iterator<Item = Op>) {
    let mut bytes = Bytes(bytes);
    let start = match bytes.byte() % 4 {
        0 => 0,
        1 => bytes.wide(8),
        2 => u64::MAX - bytes.wide(2),
        _ => {
            let edge = 1_u64 << (6 * (bytes.byte() % 11));
            edge.wrapping_mul(1 + bytes.wide(1)).wrapping_sub(bytes.wide(1) % 8)
        }
    };
    (start, std::iter::from_fn(move || bytes.op()))
}

struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    /// The next byte; past the end, zero.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn wide(&mut self, bytes: u8) -> u64 {
        (0..bytes).fold(0, |sum, _| sum << 8 | u64::from(self.byte()))
    }

    fn pick(&mut self) -> usize {
        self.wide(2) as usize
    }

    fn when(&mut self) -> When {
        let kind = self.byte();
        let bytes = kind / 8 % 8 + 1;
        match kind % 8 {
            0..=2 => When::After(self.wide(bytes)),
            3 => When::Before(self.wide(bytes)),
            4 => When::Edge(u32::from(self.byte()), i8::from_ne_bytes([self.byte()])),
            5 => When::End(self.wide(bytes.min(2))),
            _ => When::Same(self.pick()),
        }
    }

    fn op(&mut self) -> Option<Op> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.byte() % 16 {
            0..=4 => Op::Insert(self.when()),
            5..=6 => Op::Cancel(self.pick()),
            7..=8 => Op::Reschedule(self.pick(), self.when()),
            9..=11 => Op::Poll(self.when(), usize::MAX),
            12 => Op::Poll(self.when(), usize::from(self.byte())),
            13 => Op::NextDeadline,
            14 => Op::Look(self.pick()),
            _ if self.byte() == 0 => Op::Clear,
            _ => Op::NextDeadline,
        })
    }
}
