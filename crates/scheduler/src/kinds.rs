//! Which kinds of tasks have had long polls?
//!
//! A kind is the type of a task's future. Its record decides where a new task of it is queued
//! (`cpu_bound.rs`). A kind is entered when the watchdog finds that one of its polls computes for long, or
//! lasts and the system does not say why. From then on its new tasks are on probation. If the first polls of
//! four in a row were long, new ones are cpu-bound from birth, until one first poll is short.
//!
//! The compiler may merge the code of two types; then they share a record.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicBool, HintU64, Ordering};

/// The weight of a new task whose kind has a mixed record: one short poll makes it light.
pub(crate) const ON_PROBATION: u8 = 1;
/// The weight of a task after a long poll, or whose kind has a record of nothing else. Each poll that is
/// short takes one off; at zero the task is light again.
pub(crate) const CPU_BOUND: u8 = 4;
const KINDS: usize = 64;
/// The lowest bits of an entry count first polls in a row that were long.
const STREAK_BITS: u32 = 8;
const STREAK_MASK: u64 = (1 << STREAK_BITS) - 1;
/// The bits above are the score, and the rest is the kind's key.
const SCORE_BITS: u32 = 16;
const SCORE_ONE: u64 = 1 << STREAK_BITS;
const SCORE_MASK: u64 = ((1 << SCORE_BITS) - 1) << STREAK_BITS;
const RECORD_MASK: u64 = STREAK_MASK | SCORE_MASK;
/// What a long poll adds to the score of its kind. A short first poll takes one off: in a server whose
/// handlers take between microseconds and a second, one long poll in a thousand keeps the record. The
/// creation of a task does not change the score.
const LONG_POLL: u64 = 1_000;
const MAX_SCORE: u64 = 4_000;
/// So many long first polls in a row make new tasks cpu-bound from birth.
const ALL_LONG: u64 = 4;

/// A small table of hints. Every access is Relaxed: collisions and lost updates cost precision,
/// nothing else.
pub(crate) struct Kinds {
    entries: [HintU64; KINDS],
    /// Stays false in programs without long polls, which then read nothing else.
    ever: CachePadded<AtomicBool>,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self {
            entries: std::array::from_fn(|_| HintU64::new(0)),
            ever: CachePadded::new(AtomicBool::new(false)),
        }
    }

    fn entry(&self, kind: usize) -> (&HintU64, u64) {
        let hash = (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (&self.entries[(hash >> 58) as usize], hash & !RECORD_MASK)
    }

    /// A poll of a task of this kind is long.
    pub(crate) fn note_long_poll(&self, kind: usize) {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        let (score, streak) =
            if old & !RECORD_MASK == key { (old & SCORE_MASK, old & STREAK_MASK) } else { (0, 0) };
        let score = (score / SCORE_ONE + LONG_POLL).min(MAX_SCORE) * SCORE_ONE;
        entry.store(key | score | streak, Ordering::Relaxed);
        if !self.ever.load(Ordering::Relaxed) {
            self.ever.store(true, Ordering::Relaxed);
        }
    }

    /// The first poll of a task of this kind has ended.
    pub(crate) fn note_first_poll(&self, kind: usize, was_long: bool) {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        if old & !RECORD_MASK != key || old & SCORE_MASK == 0 {
            return;
        }
        let new = if was_long {
            old + u64::from(old & STREAK_MASK < STREAK_MASK)
        } else {
            (old & !STREAK_MASK) - SCORE_ONE
        };
        entry.store(new, Ordering::Relaxed);
    }

    /// The weight with which a new task of this kind begins.
    #[inline]
    pub(crate) fn weight_at_birth(&self, kind: usize) -> u8 {
        if self.ever.load(Ordering::Relaxed) { self.look_up(kind) } else { 0 }
    }

    fn look_up(&self, kind: usize) -> u8 {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        if old & !RECORD_MASK != key || old & SCORE_MASK == 0 {
            0
        } else if old & STREAK_MASK >= ALL_LONG {
            CPU_BOUND
        } else {
            ON_PROBATION
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    /// An address of code, as every kind is, and not zero in the bits that the key of a kind keeps.
    const KIND: usize = 0x5555_1234_5670;

    #[test]
    fn a_record_is_used_up_by_short_polls() {
        let kinds = Kinds::new();
        assert_eq!(kinds.weight_at_birth(KIND), 0);
        kinds.note_first_poll(KIND, true);
        assert_eq!(kinds.weight_at_birth(KIND), 0, "only the watchdog enters a kind");
        kinds.note_long_poll(KIND);
        for _ in 0..LONG_POLL {
            assert_eq!(
                (kinds.weight_at_birth(KIND), kinds.weight_at_birth(KIND)),
                (ON_PROBATION, ON_PROBATION)
            );
            kinds.note_first_poll(KIND, false);
        }
        assert_eq!(kinds.weight_at_birth(KIND), 0);
        kinds.note_first_poll(KIND, false);
        assert_eq!(kinds.weight_at_birth(KIND), 0);
    }

    #[test]
    fn a_streak_of_long_polls_ends_with_one_short_poll() {
        let kinds = Kinds::new();
        kinds.note_long_poll(KIND);
        for _ in 0..ALL_LONG {
            assert_eq!(kinds.weight_at_birth(KIND), ON_PROBATION);
            kinds.note_first_poll(KIND, true);
        }
        (0..2 * STREAK_MASK).for_each(|_| kinds.note_first_poll(KIND, true));
        assert_eq!(kinds.weight_at_birth(KIND), CPU_BOUND);
        kinds.note_first_poll(KIND, false);
        assert_eq!(kinds.weight_at_birth(KIND), ON_PROBATION);
    }

    #[test]
    fn a_record_is_bounded_and_of_one_kind() {
        let kinds = Kinds::new();
        (0..100_000).for_each(|_| kinds.note_long_poll(KIND));
        assert_eq!(kinds.weight_at_birth(KIND + 0x1000), 0);
        kinds.note_first_poll(KIND + 0x1000, false);
        let mut short = 0;
        while kinds.weight_at_birth(KIND) > 0 {
            kinds.note_first_poll(KIND, false);
            short += 1;
        }
        assert_eq!(short, MAX_SCORE);
    }
}
