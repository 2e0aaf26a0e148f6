//! Which kinds of tasks have had long polls?
//!
//! A kind is the type of a task's future. The record of a kind decides whether a new task of it
//! begins on probation (`cpu_bound.rs`).

use crate::sync::{AtomicUsize, HintU64, Ordering};

/// The weight of a new task whose kind has a record: one short poll makes it light.
const ON_PROBATION: u8 = 1;
const KINDS: usize = 64;
const SCORE_BITS: u32 = 8;
const SCORE_MASK: u64 = (1 << SCORE_BITS) - 1;
/// What a long poll adds to the score of its kind. A short poll of a task on probation takes one
/// off, so one long poll in this many keeps the record. The creation of a task does not change
/// the score. Otherwise, of many tasks that are spawned at once, half would be on probation and
/// half light, and they would compute on twice as many threads as there are workers.
const LONG_POLL: u64 = 16;
const MAX_SCORE: u64 = 64;

/// A small table of hints. Every access is Relaxed: collisions and lost updates cost precision,
/// nothing else.
pub(crate) struct Kinds {
    entries: [HintU64; KINDS],
    /// Stays zero in programs without long polls, which then read nothing else.
    ever: AtomicUsize,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self { entries: std::array::from_fn(|_| HintU64::new(0)), ever: AtomicUsize::new(0) }
    }

    fn entry(&self, kind: usize) -> (&HintU64, u64) {
        let hash = (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (&self.entries[(hash >> 58) as usize], hash & !SCORE_MASK)
    }

    /// A poll of a task of this kind was long.
    pub(crate) fn note_long_poll(&self, kind: usize) {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        let score = if old & !SCORE_MASK == key { old & SCORE_MASK } else { 0 };
        entry.store(key | (score + LONG_POLL).min(MAX_SCORE), Ordering::Relaxed);
        self.ever.store(1, Ordering::Relaxed);
    }

    /// The first poll of a task of this kind on probation was short.
    pub(crate) fn note_short_poll(&self, kind: usize) {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        if old & !SCORE_MASK == key && old & SCORE_MASK > 0 {
            entry.store(old - 1, Ordering::Relaxed);
        }
    }

    /// The weight with which a new task of this kind begins.
    #[inline]
    pub(crate) fn weight_at_birth(&self, kind: usize) -> u8 {
        if self.ever.load(Ordering::Relaxed) == 0 { 0 } else { self.look_up(kind) }
    }

    fn look_up(&self, kind: usize) -> u8 {
        let (entry, key) = self.entry(kind);
        let old = entry.load(Ordering::Relaxed);
        if old & !SCORE_MASK != key || old & SCORE_MASK == 0 { 0 } else { ON_PROBATION }
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
        kinds.note_long_poll(KIND);
        for _ in 0..LONG_POLL {
            assert_eq!(
                (kinds.weight_at_birth(KIND), kinds.weight_at_birth(KIND)),
                (ON_PROBATION, ON_PROBATION)
            );
            kinds.note_short_poll(KIND);
        }
        assert_eq!(kinds.weight_at_birth(KIND), 0);
        kinds.note_short_poll(KIND);
        assert_eq!(kinds.weight_at_birth(KIND), 0);
    }

    #[test]
    fn a_record_is_bounded_and_of_one_kind() {
        let kinds = Kinds::new();
        (0..1_000).for_each(|_| kinds.note_long_poll(KIND));
        assert_eq!(kinds.weight_at_birth(KIND + 0x1000), 0);
        kinds.note_short_poll(KIND + 0x1000);
        let mut short = 0;
        while kinds.weight_at_birth(KIND) > 0 {
            kinds.note_short_poll(KIND);
            short += 1;
        }
        assert_eq!(short, MAX_SCORE);
    }
}
