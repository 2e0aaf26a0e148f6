//! In which slot does a deadline belong?
//!
//! Read a `u64` as eleven digits of six bits. Level `l` has a slot for every value of digit `l`,
//! and a deadline belongs to the level of the highest digit in which it differs from the wheel's
//! own time, the *cursor* (to level 0 if it does not differ at all):
//!
//! ```text
//!   cursor      07 51 12 | 40 | 03 22        all digits above level 2 are equal,
//!   deadline    07 51 12 | 44 | 60 01        44 > 40 because the deadline is not in the past:
//!               equal      ^ level 2         level 2, slot 44
//! ```
//!
//! Deadlines behind the cursor have a place of their own, which is one more rank before all levels.
//!
//! # Why the order of insertion survives cascading
//!
//! The place is a function of the deadline and the cursor alone. *Every* armed timer is always at
//! the place that this function gives for the present cursor (**the invariant**), so timers with
//! equal deadlines are always in the same list. Lists grow at the tail, and a cascade walks its
//! list from the head, so two such timers never change their order. A timer is never put on level 0
//! ahead of an older one that still has to move down, because both have the same place at all
//! times.
//!
//! The invariant holds because the cursor moves in two ways only, both in `expire`, and only when
//! no timer is behind it or on it:
//!
//! 1. **Strictly before the start of the first occupied slot.** For a deadline `d` on level `l`,
//!    the new cursor lies between the old one and the start of `d`'s slot. Above `l`, both ends
//!    have the same digits, so the new cursor has them too; digit `l` stays below `d`'s digit. So
//!    `l` remains the highest digit that differs.
//! 2. **Exactly to the start of the first occupied slot**, when that slot's list is taken out and
//!    every timer of it is placed afresh. All other slots start later and are covered by the first
//!    case. On level 0, the slot is a single tick, and its timers are already at the right place.
//!
//! Two more facts follow. All timers of a lower level are due before all timers of a higher one,
//! since a lower level lies within the present slot of the higher one. And slot numbers on a level
//! are never below the cursor's digit, so a count of trailing zeros finds the first occupied slot,
//! without any rotation.
//!
//! Rejected: placing by the *distance* between now and the deadline, as the Linux kernel does. A
//! slot then covers two laps at once: a timer near its deadline may be on a higher level than a
//! younger one with the same deadline, and the order among equal deadlines is lost.

/// Bits of a deadline that one level resolves.
const DIGIT: u32 = 6;

/// Slots on a level, as many as an occupancy word has bits.
pub(crate) const SLOTS: usize = 1 << DIGIT;

/// The last slot of a level, and the mask of a digit.
const LAST: u64 = (1 << DIGIT) - 1;

/// Levels that cover every bit of a `u64`.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;

/// The late rank and all levels.
pub(crate) const RANKS: usize = 1 + LEVELS;

/// The rank of deadlines behind the cursor. They all share slot 0.
const LATE: usize = 0;

/// The rank of level 0, on which a slot is a single tick.
const TICKS: usize = 1;

/// A rank, and a slot in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    rank: usize,
    slot: usize,
}

/// What the caller must do with a slot whose start has been reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Reached {
    /// It holds deadlines of the past in any order.
    Late,
    /// It holds timers of exactly this tick.
    Tick(u64),
    /// It is a window that starts now. From here on, its timers belong on lower levels.
    Window(u64),
}

impl Place {
    #[inline]
    pub(crate) const fn new(rank: usize, slot: usize) -> Self {
        Self { rank, slot }
    }

    /// The place of `deadline` while the wheel's own time is `cursor`.
    #[inline]
    pub(crate) const fn of(deadline: u64, cursor: u64) -> Self {
        if deadline < cursor {
            return Self::new(LATE, 0);
        }
        // Setting the lowest digit makes "no difference" and "differs in digit 0" the same case.
        let differing = (deadline ^ cursor) | LAST;
        let level = differing.ilog2() / DIGIT;
        let slot = ((deadline >> (level * DIGIT)) & LAST) as usize;
        Self::new(TICKS + level as usize, slot)
    }

    #[inline]
    pub(crate) const fn rank(self) -> usize {
        self.rank
    }

    /// The slot within the rank, below [`SLOTS`].
    #[inline]
    pub(crate) const fn slot(self) -> usize {
        self.slot % SLOTS
    }

    /// Whether its timers have to move to a lower level before they fire.
    #[inline]
    pub(crate) const fn is_window(self) -> bool {
        self.rank > TICKS
    }

    /// The slot as a bit of an occupancy word.
    #[inline]
    pub(crate) const fn bit(self) -> u64 {
        1 << (self.slot % SLOTS)
    }

    /// What to do with this place at time `now`, or `None` if its slot starts later.
    #[inline]
    pub(crate) const fn reached(self, cursor: u64, now: u64) -> Option<Reached> {
        if self.rank == LATE {
            return Some(Reached::Late);
        }
        let shift = (self.rank - TICKS) * DIGIT as usize;
        // The digits above come from the cursor. The mask is applied in two steps, because on the
        // top level a single mask would be wider than the word.
        let start = ((cursor >> shift) & !LAST | self.slot as u64) << shift;
        if start > now {
            None
        } else if self.rank == TICKS {
            Some(Reached::Tick(start))
        } else {
            Some(Reached::Window(start))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_only_behind_the_cursor() {
        assert_eq!(Place::of(9, 10), Place::new(LATE, 0));
        assert_eq!(Place::of(10, 10), Place::new(TICKS, 10));
        assert_eq!(Place::of(u64::MAX, u64::MAX), Place::new(TICKS, 63));
    }

    #[test]
    fn level_is_the_highest_digit_that_differs() {
        for level in 0..LEVELS {
            let unit = 1_u64 << (level * 6);
            assert_eq!(Place::of(unit, 0), Place::new(TICKS + level, 1));
            assert_eq!(Place::of(unit | (unit - 1), unit - 1), Place::new(TICKS + level, 1));
        }
        assert_eq!(Place::of(u64::MAX, 0), Place::new(RANKS - 1, 15));
    }

    #[test]
    fn a_slot_is_reached_at_its_start() {
        for cursor in [0, 63, 64, 0x1234_5678_9abc_def0, 1 << 60, u64::MAX - 70] {
            for distance in [0, 1, 63, 64, 65, 4096, 1 << 30, 1 << 60, u64::MAX] {
                let deadline = cursor.saturating_add(distance);
                let place = Place::of(deadline, cursor);
                let Some(Reached::Tick(start) | Reached::Window(start)) = place.reached(cursor, deadline)
                else {
                    panic!("{place:?} of {deadline} is not reached at its deadline");
                };
                assert!(cursor <= start && start <= deadline);
                assert_eq!(Place::of(start, cursor), place, "the start of a slot belongs to the slot");
                assert!(start == cursor || place.reached(cursor, start - 1).is_none());
            }
        }
    }
}
