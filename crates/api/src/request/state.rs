//! What was requested of one scope, and how much of it was delivered?

use std::fmt;

use crate::sync::{AtomicU64, Ordering, update};

/// The requests of one scope, in one word.
///
/// ```text
///  63           43 42       35  34    33    32     31          0
/// +---------------+-----------+----+-----+-------+-------------+
/// |  cancelling   | rescinded |held|ended|pending|    made     |
/// +---------------+-----------+----+-----+-------+-------------+
/// ```
///
/// * `made` counts requests, except that a request which meets an undelivered one joins it.
/// * `pending`: the last request was not delivered yet. So `made - pending` were delivered.
/// * `rescinded` counts requests that were taken back before they were delivered, and wraps.
///   Without it a request that was rescinded and replaced within one poll would look like the first
///   one: both have the same `made`.
/// * `held`: the task must not take its first step yet. (Root scopes only.)
/// * `ended`: the task has ended, with a cancellation. (Root scopes only.)
/// * `cancelling`: asyncio's count, up with every `cancel()`, down with every `uncancel()`. (Root
///   scopes only.)
///
/// ```text
///          request                   deliver
///   quiet ---------> pending      -----------------> quiet, delivered + 1
///                    (made + 1)   <-----------------
///                        |         give_back (the error was not used)
///                        |  uncancel to zero
///                        v
///         quiet, made - 1, rescinded + 1
/// ```
///
/// All operations are relaxed: the word publishes nothing but itself. The caller that makes a
/// request wakes the task afterwards, and that wake is what makes the next poll see the request; a
/// message travels under a lock of its own.
pub(crate) struct CancelState(AtomicU64);

/// A snapshot of a [`CancelState`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requests(u64);

/// What a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the first request must wake the task, and may set the message"]
pub(crate) enum Request {
    /// Nothing was pending: the task must be woken.
    First,
    /// An undelivered request, which it joined; the caller that made that one wakes the task.
    Joined,
}

/// What a delivery found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Requests made, all of which are delivered now.
    pub(crate) made: u32,
    /// Whether this call delivered one.
    pub(crate) was_pending: bool,
}

const MADE: u64 = u32::MAX as u64;
const PENDING: u64 = 1 << 32;
const ENDED: u64 = 1 << 33;
const HELD: u64 = 1 << 34;
const RESCINDED_ONE: u64 = 1 << 35;
const RESCINDED: u64 = 0xff << 35;
const CANCELLING_ONE: u64 = 1 << 43;
const CANCELLING: u64 = !(CANCELLING_ONE - 1);

impl CancelState {
    pub(crate) fn new() -> CancelState {
        CancelState(AtomicU64::new(0))
    }

    #[inline]
    pub(crate) fn load(&self) -> Requests {
        Requests(self.0.load(Ordering::Relaxed))
    }

    /// `cancel()`: one more request, which `cancelling` counts.
    pub(crate) fn request_counted(&self) -> Request {
        // A saturated count stays where it is: an overflow would reset it.
        self.make(|now| if now & CANCELLING == CANCELLING { now } else { now + CANCELLING_ONE })
    }

    /// An expiry or a group's failure: a request that `cancelling` does not show.
    pub(crate) fn request(&self) -> Request {
        self.make(|now| now)
    }

    fn make(&self, count: impl Fn(u64) -> u64) -> Request {
        let before = self.update(|now| {
            let next = count(now);
            if now & PENDING == 0 { with_made(next, now.wrapping_add(1)) | PENDING } else { next }
        });
        if before.is_pending() { Request::Joined } else { Request::First }
    }

    /// Marks everything as delivered.
    pub(crate) fn deliver(&self) -> Delivery {
        let now = self.load();
        // Almost always there is nothing to mark; a plain load leaves the cache line shared.
        let before = if now.is_pending() { self.update(|now| now & !PENDING) } else { now };
        Delivery { made: before.made(), was_pending: before.is_pending() }
    }

    /// Takes a delivery back: the next leaf that starts to wait gets it.
    pub(crate) fn give_back(&self) {
        self.update(|now| now | PENDING);
    }

    /// `uncancel()`: one request less. If none is left, a request that was not delivered is
    /// rescinded. Returns the new count.
    pub(crate) fn uncancel(&self) -> u32 {
        let lower = |now: u64| {
            if now & CANCELLING == 0 {
                return now;
            }
            let next = now - CANCELLING_ONE;
            let rescinds = next & CANCELLING == 0 && next & PENDING != 0;
            if !rescinds {
                return next;
            }
            let rescinded = next.wrapping_add(RESCINDED_ONE) & RESCINDED;
            (with_made(next, next.wrapping_sub(1)) & !PENDING & !RESCINDED) | rescinded
        };
        Requests(lower(self.update(lower).0)).cancelling()
    }

    /// Notes that the task ended with a cancellation.
    pub(crate) fn end_cancelled(&self) {
        self.0.fetch_or(ENDED, Ordering::Relaxed);
    }

    /// The task takes no step before [`release`](Self::release), unless it gets a request.
    pub(crate) fn hold(&self) {
        self.0.fetch_or(HELD, Ordering::Relaxed);
    }

    /// The task may take its first step. The wake that follows is what makes the next poll see
    /// this.
    pub(crate) fn release(&self) {
        self.0.fetch_and(!HELD, Ordering::Relaxed);
    }

    fn update(&self, change: impl Fn(u64) -> u64) -> Requests {
        let before = update(&self.0, Ordering::Relaxed, Ordering::Relaxed, |now| Some(change(now)));
        Requests(before.unwrap_or_else(|now| now))
    }
}

fn with_made(word: u64, made: u64) -> u64 {
    (word & !MADE) | (made & MADE)
}

impl Requests {
    #[inline]
    pub(crate) fn made(self) -> u32 {
        (self.0 & MADE) as u32
    }

    #[inline]
    pub(crate) fn delivered(self) -> u32 {
        self.made().wrapping_sub(u32::from(self.is_pending()))
    }

    /// How often a request was taken back before it was delivered; wraps.
    pub(crate) fn rescinded(self) -> u8 {
        ((self.0 & RESCINDED) / RESCINDED_ONE) as u8
    }

    #[inline]
    pub(crate) fn is_pending(self) -> bool {
        self.0 & PENDING != 0
    }

    /// The task must not take its first step yet: it is held, and has no pending request.
    pub(crate) fn has_to_wait(self) -> bool {
        self.0 & (HELD | PENDING) == HELD
    }

    pub(crate) fn ended_cancelled(self) -> bool {
        self.0 & ENDED != 0
    }

    pub(crate) fn cancelling(self) -> u32 {
        (self.0 / CANCELLING_ONE) as u32
    }

    /// Whether the request that is pending here is pending in `later` too: in between it was
    /// neither taken nor taken back.
    pub(crate) fn is_still_pending_in(self, later: Requests) -> bool {
        let is_same = self.made() == later.made() && !self.was_rescinded_by(later);
        self.is_pending() && later.is_pending() && is_same
    }

    /// Whether a request was taken back between this snapshot and `later`.
    pub(crate) fn was_rescinded_by(self, later: Requests) -> bool {
        (self.0 ^ later.0) & RESCINDED != 0
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("made", &self.made())
            .field("pending", &self.is_pending())
            .field("ended_cancelled", &self.ended_cancelled())
            .field("cancelling", &self.cancelling())
            .finish()
    }
}

impl fmt::Debug for CancelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_disjoint_and_fill_the_word() {
        let fields = [MADE, PENDING, ENDED, HELD, RESCINDED, CANCELLING];
        assert_eq!(fields.iter().fold(0, |all, field| all | field), u64::MAX);
        assert_eq!(fields.iter().map(|field| field.count_ones()).sum::<u32>(), u64::BITS);
    }

    #[test]
    fn two_requests_before_a_delivery_are_one() {
        let state = CancelState::new();
        assert_eq!(state.request_counted(), Request::First);
        assert_eq!(state.request_counted(), Request::Joined);
        assert_eq!((state.load().made(), state.load().delivered(), state.load().cancelling()), (1, 0, 2));
        assert_eq!(state.deliver(), Delivery { made: 1, was_pending: true });
        assert_eq!(state.deliver(), Delivery { made: 1, was_pending: false });
        assert_eq!(state.request_counted(), Request::First);
        assert_eq!((state.load().made(), state.load().delivered(), state.load().cancelling()), (2, 1, 3));
    }

    #[test]
    fn the_last_uncancel_rescinds_only_what_is_undelivered() {
        let state = CancelState::new();
        assert_eq!(state.uncancel(), 0);
        let _ = state.request_counted();
        let _ = state.request_counted();
        assert_eq!(state.uncancel(), 1);
        assert!(state.load().is_pending());
        assert_eq!(state.uncancel(), 0);
        assert_eq!((state.load().made(), state.load().is_pending()), (0, false));
        let _ = state.request_counted();
        let _ = state.deliver();
        assert_eq!(state.uncancel(), 0);
        assert_eq!((state.load().made(), state.load().delivered()), (1, 1));
    }

    #[test]
    fn a_request_differs_from_one_that_takes_its_place() {
        let state = CancelState::new();
        for _ in 0..600 {
            let _ = state.request_counted();
            let began = state.load();
            assert!(began.is_still_pending_in(state.load()));
            assert_eq!(state.uncancel(), 0);
            let _ = state.request_counted();
            let now = state.load();
            assert_eq!((began.made(), began.is_pending()), (now.made(), now.is_pending()));
            assert!(!began.is_still_pending_in(now) && began.was_rescinded_by(now));
            assert_eq!((state.uncancel(), state.load().ended_cancelled()), (0, false));
        }
    }

    #[test]
    fn what_is_given_back_is_pending_again() {
        let state = CancelState::new();
        let _ = state.request();
        let _ = state.deliver();
        state.give_back();
        assert_eq!((state.load().made(), state.load().delivered(), state.load().cancelling()), (1, 0, 0));
    }

    #[test]
    fn a_full_count_of_requests_wraps_without_touching_its_neighbours() {
        let state = CancelState(AtomicU64::new(MADE));
        let _ = state.request();
        assert_eq!((state.load().made(), state.load().is_pending(), state.load().cancelling()), (0, true, 0));
    }
}
