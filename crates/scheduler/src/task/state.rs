//! What is a task doing, and how many references to it exist? One word, changed only by the methods
//! below.
//!
//! ```text
//!  63            32 31              8   7  6    4   3        2       1           0
//! +----------------+-----------------+-----+------+--------+--------+------------+----------+
//! |      refs      |      wakes      | NEW |weight| WATCHED| HANDLE | JOIN_WAKER | COMPLETE |
//! +----------------+-----------------+-----+------+--------+--------+------------+----------+
//! ```
//!
//! `wakes` counts the wakes since the last poll began. Zero means *idle*: the right to poll does
//! not exist. The wake that raises `wakes` from zero creates that right as a `Runnable`, which its
//! caller must queue; every later wake only counts. The runner remembers how many wakes it saw when
//! its poll began, and subtracts them when the poll ends pending. If any are left, they came during
//! the poll, and another poll must follow. So a poll needs no write to announce that it begins, and
//! a wake that is merged into an earlier one is still a read-modify-write on this word: what the
//! waker wrote before is visible to the poll.
//!
//! ```text
//!            wake: Submit                     begin_poll
//!   idle ------------------> queued(wakes>0) ------------> running(wakes>0)
//!     ^                          ^                              |   |
//!     |        end_poll: Idle    |      end_poll: Requeue       |   |
//!     +--------------------------|------------------------------+   | complete
//!                                +------------------------------+   v
//!                                                                COMPLETE
//! ```
//!
//! `claim` takes the same step from idle as a wake does, but only from there: a probe of a
//! suspended task polls it at once instead of queueing it, and leaves a task in any other state
//! unchanged.
//!
//! `refs` counts the handles, the wakers, and one reference of the runtime as long as the task is
//! not complete. A queue's entry needs no count of its own: it exists only while the task is not
//! complete.

use crate::sync::{AtomicU64, Ordering, acquire_after_last, look, update};
use std::fmt;

const COMPLETE: u64 = 1 << 0;
const JOIN_WAKER: u64 = 1 << 1;
const HANDLE: u64 = 1 << 2;
const WATCHED: u64 = 1 << 3;
const WEIGHT_SHIFT: u32 = 4;
const WEIGHT_ONE: u64 = 1 << WEIGHT_SHIFT;
const WEIGHT_MASK: u64 = 0b111 << WEIGHT_SHIFT;
const NEW: u64 = 1 << 7;
const WAKE_SHIFT: u32 = 8;
const WAKE_ONE: u64 = 1 << WAKE_SHIFT;
const WAKE_MASK: u64 = 0x00ff_ffff << WAKE_SHIFT;
const REF_SHIFT: u32 = 32;
const REF_ONE: u64 = 1 << REF_SHIFT;

/// From this number on, wakes are no longer counted one by one. The distance to the end of the
/// field is greater than the number of threads that can pass the check at the same time.
const WAKES_ENOUGH: u64 = 1 << 20;
/// A number of references that only a leak in a loop reaches. Above it the process aborts, as with
/// `Arc`.
const REFS_TOO_MANY: u64 = 1 << 30;

/// The greatest weight of a cpu-bound task, see [`State::set_weight`].
pub(crate) const MAX_WEIGHT: u8 = 7;

/// A task's state word.
pub(crate) struct State(AtomicU64);

/// A snapshot of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot(u64);

impl Snapshot {
    pub(crate) fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }
    /// The `join_waker` field is filled, and the handle does not write it.
    pub(crate) fn has_join_waker(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }
    /// A handle owns, or will own, the output.
    pub(crate) fn has_handle(self) -> bool {
        self.0 & HANDLE != 0
    }
    /// `Slot::completed` was requested.
    pub(crate) fn is_watched(self) -> bool {
        self.0 & WATCHED != 0
    }
    pub(crate) fn has_weight(self) -> bool {
        self.0 & WEIGHT_MASK != 0
    }
    pub(crate) fn weight(self) -> u8 {
        ((self.0 & WEIGHT_MASK) >> WEIGHT_SHIFT) as u8
    }
    /// No poll has ended yet.
    pub(crate) fn is_new(self) -> bool {
        self.0 & NEW != 0
    }
    fn wakes(self) -> u64 {
        (self.0 & WAKE_MASK) >> WAKE_SHIFT
    }
    fn refs(self) -> u64 {
        self.0 >> REF_SHIFT
    }
    pub(crate) fn is_only_reference(self) -> bool {
        self.refs() == 1
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut set = f.debug_set();
        for (flag, name) in [
            (COMPLETE, "COMPLETE"),
            (JOIN_WAKER, "JOIN_WAKER"),
            (HANDLE, "HANDLE"),
            (WATCHED, "WATCHED"),
            (NEW, "NEW"),
        ] {
            if self.0 & flag != 0 {
                set.entry(&format_args!("{name}"));
            }
        }
        set.entry(&format_args!("weight={}", self.weight()))
            .entry(&format_args!("wakes={}", self.wakes()))
            .entry(&format_args!("refs={}", self.refs()))
            .finish()
    }
}

/// What the caller of a wake must do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The caller now holds the only right to poll the task, and must queue it.
    Submit {
        /// The task goes to the queue of the cpu-bound tasks.
        has_weight: bool,
    },
    /// The right to poll exists already, or the task is complete.
    Nothing,
}

/// The result of an attempt to take the right to poll.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The task was idle: the caller now holds the only right to poll it.
    Granted,
    /// The right to poll exists already. Nothing was counted.
    Busy,
    /// The task is complete.
    Complete,
}

/// What the runner must do after a poll.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EndPoll {
    /// The runner has lost the right to poll, and must not touch the task any more.
    Idle,
    /// The task was woken during the poll: the runner still holds the right to poll and must queue
    /// the task.
    Requeue,
}

/// What the caller must do after dropping a reference.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unref {
    /// That was the last reference: free the cell.
    Dealloc,
    /// Other references are left.
    Nothing,
}

/// What the caller must do after dropping the output's owner. In each case the owner's reference
/// must still be dropped.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DropHandle {
    /// The output is in the cell and belongs to the caller: drop it.
    DropOutput,
    /// The `join_waker` field belongs to the caller: empty it.
    DropWaker,
    /// Only the reference has to be dropped.
    Nothing,
}

/// What a poll answers, as bits of the word: the wakes, and NEW if it is the first poll. Passed from
/// `begin_poll` to `end_poll`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen(u64);

impl Seen {
    pub(super) fn wakes(self) -> u64 {
        Snapshot(self.0).wakes()
    }
    pub(crate) fn is_first_poll(self) -> bool {
        Snapshot(self.0).is_new()
    }
}

impl State {
    /// A new task: queued, with one reference for the runtime and one for the handle.
    pub(crate) fn new(weight: u8) -> Self {
        Self(AtomicU64::new(
            (2 * REF_ONE) | WAKE_ONE | HANDLE | NEW | (u64::from(weight.min(MAX_WEIGHT)) << WEIGHT_SHIFT),
        ))
    }

    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        // Ordering: Acquire pairs with the Release of `complete` and `end_poll`: a thread that sees
        // COMPLETE sees the output.
        Snapshot(self.0.load(Ordering::Acquire))
    }

    /// Counts a wake.
    #[inline]
    pub(crate) fn wake(&self) -> Wake {
        loop {
            let now = Snapshot(look(&self.0, Ordering::Relaxed));
            // Relaxed is sufficient for a complete task: no poll will follow that could miss the
            // caller's writes.
            if now.is_complete() {
                return Wake::Nothing;
            }
            // At the limit the write changes nothing, but it is still a write: it publishes.
            let one = if now.wakes() < WAKES_ENOUGH { WAKE_ONE } else { 0 };
            // Ordering: Release pairs with the Acquire of `begin_poll` and `end_poll`, also when
            // the wake is merged into an earlier one: what happened before it is seen by the poll
            // that answers it. Acquire pairs with the Release of `end_poll`, so that the next
            // runner inherits what the last one wrote.
            let before = Snapshot(self.0.fetch_add(one, Ordering::AcqRel));
            if before.is_complete() || before.wakes() > 0 {
                return Wake::Nothing;
            }
            if one != 0 {
                return Wake::Submit { has_weight: before.has_weight() };
            }
            // The runner became idle between the load and the write that changed nothing: count
            // this wake after all.
        }
    }

    /// Takes the right to poll an idle task, as a wake would, and leaves any other task as it is.
    pub(crate) fn claim(&self) -> Claim {
        let mut now = Snapshot(self.0.load(Ordering::Relaxed));
        loop {
            if now.is_complete() {
                return Claim::Complete;
            }
            if now.wakes() > 0 {
                return Claim::Busy;
            }
            // Relaxed: a claim publishes nothing, and what the last runner wrote is acquired by
            // `begin_poll`: a read-modify-write continues the release sequence of `end_poll`.
            let new = now.0 + WAKE_ONE;
            match self.0.compare_exchange_weak(now.0, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Claim::Granted,
                Err(other) => now = Snapshot(other),
            }
        }
    }

    /// Whether the task has been woken since the caller claimed it. The caller must still hold the
    /// right to poll. The claim itself counts as one wake.
    pub(crate) fn is_woken_since_claim(&self) -> bool {
        self.load().wakes() > 1
    }

    /// Counts a wake and drops a reference, in one step. `None`: nothing was done, because the task
    /// is complete or its wakes are no longer counted.
    #[inline]
    pub(crate) fn wake_and_unref(&self) -> Option<Wake> {
        let mut now = Snapshot(look(&self.0, Ordering::Relaxed));
        // On a task that is not complete the runtime's reference remains, so this is never the last
        // one.
        while !now.is_complete() && now.wakes() < WAKES_ENOUGH {
            // Ordering: as in `wake`; Release also hands the caller's uses of the cell to the last
            // dropper.
            let new = now.0 + WAKE_ONE - REF_ONE;
            match self.0.compare_exchange_weak(now.0, new, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if now.wakes() == 0 => return Some(Wake::Submit { has_weight: now.has_weight() }),
                Ok(_) => return Some(Wake::Nothing),
                Err(other) => now = Snapshot(other),
            }
        }
        None
    }

    /// Called when the runner begins a poll.
    #[inline]
    pub(crate) fn begin_poll(&self) -> Seen {
        // Ordering: Acquire pairs with the Release of `wake`.
        let now = Snapshot(self.0.load(Ordering::Acquire));
        debug_assert!(now.wakes() > 0 && !now.is_complete(), "polled without the right to: {now:?}");
        // A wake that came during a poll with a full count would leave no trace: so one wake is
        // kept for another poll.
        Seen((now.wakes().min(WAKES_ENOUGH - 1) << WAKE_SHIFT) | (now.0 & NEW))
    }

    /// Called instead of [`end_poll`](Self::end_poll) if the first poll ended pending and another one
    /// follows it in any case.
    pub(crate) fn end_first_poll(&self) {
        // Relaxed: a hint to the thread that runs the task next, which takes the task from a queue.
        self.0.fetch_and(!NEW, Ordering::Relaxed);
    }

    /// The runner gives up the right to poll without a poll.
    pub(crate) fn suspend(&self) -> EndPoll {
        let Seen(seen) = self.begin_poll();
        self.end_poll(Seen(seen & !NEW))
    }

    /// Called when the poll that began with `seen` ended pending.
    #[inline]
    pub(crate) fn end_poll(&self, seen: Seen) -> EndPoll {
        // Ordering: Release hands the future to the next runner through `wake`; Acquire pairs with
        // the wakes that came during the poll and are answered by the next one.
        let before = Snapshot(self.0.fetch_sub(seen.0, Ordering::AcqRel));
        debug_assert!(before.wakes() >= seen.wakes());
        if before.wakes() > seen.wakes() { EndPoll::Requeue } else { EndPoll::Idle }
    }

    /// Called when the output is in its place (or there is none, because the runner found no
    /// handle).
    ///
    /// Returns the state before: the caller must serve a join waker or watcher that it finds there.
    #[inline]
    pub(crate) fn complete(&self) -> Snapshot {
        // Ordering: Release publishes the output to `load`, `set_join_waker` and `drop_handle`;
        // Acquire pairs with `set_join_waker`, whose waker the caller reads.
        let before = Snapshot(self.0.fetch_or(COMPLETE, Ordering::AcqRel));
        debug_assert!(!before.is_complete());
        before
    }

    /// `complete` and the drop of the runtime's reference in one step, if a handle exists and
    /// neither a join waker nor a watcher waits for the end.
    #[inline]
    pub(crate) fn complete_quietly(&self) -> bool {
        let seen = look(&self.0, Ordering::Relaxed);
        if seen & (HANDLE | JOIN_WAKER | WATCHED) != HANDLE {
            return false;
        }
        debug_assert!(Snapshot(seen).refs() >= 2, "the runtime's reference and the handle's");
        // Ordering: as in `complete`; the failure publishes nothing.
        self.0
            .compare_exchange(seen, (seen | COMPLETE) - REF_ONE, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Called when the handle has written a waker into the `join_waker` field. False: the task
    /// completed first, and the field still belongs to the handle.
    pub(crate) fn set_join_waker(&self) -> bool {
        // Ordering: Release publishes the waker to `complete`; Acquire pairs with its Release.
        let before = update(&self.0, Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & COMPLETE == 0).then_some(word | JOIN_WAKER)
        });
        before.is_ok()
    }

    /// The handle takes the `join_waker` field back. False: the task completed first, and its
    /// runner may be reading the field.
    pub(crate) fn take_join_waker(&self) -> bool {
        // Ordering: as in `set_join_waker`; nothing is published.
        let before = update(&self.0, Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & COMPLETE == 0).then_some(word & !JOIN_WAKER)
        });
        before.is_ok()
    }

    /// Called when the handle has moved the output out.
    #[inline]
    pub(crate) fn output_taken(&self) {
        let now = Snapshot(self.0.load(Ordering::Acquire));
        debug_assert!(now.is_complete() && now.has_handle());
        // Relaxed: only the handle reads HANDLE once the task is complete, and the handle calls
        // this. If it also holds the only reference, no other thread can change the word, and a
        // store is sufficient.
        if now.is_only_reference() {
            self.0.store(now.0 & !HANDLE, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!HANDLE, Ordering::Relaxed);
        }
    }

    /// Called when the handle is dropped.
    pub(crate) fn drop_handle(&self) -> DropHandle {
        let before = update(&self.0, Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & COMPLETE == 0).then_some(word & !(HANDLE | JOIN_WAKER))
        });
        // Ordering: Acquire pairs with the Release of `complete` (the output, or the end of its
        // reads of the waker).
        match before {
            Ok(word) if word & JOIN_WAKER != 0 => DropHandle::DropWaker,
            Err(word) if word & HANDLE != 0 => DropHandle::DropOutput,
            Ok(_) | Err(_) => DropHandle::Nothing,
        }
    }

    /// Requests `Slot::completed`. True: too late, the task is complete.
    pub(crate) fn watch(&self) -> bool {
        // Ordering: Release publishes what the watcher prepared to `complete`; Acquire pairs with
        // its Release.
        Snapshot(self.0.fetch_or(WATCHED, Ordering::AcqRel)).is_complete()
    }

    /// Sets the task's weight. Only the runner calls this.
    pub(crate) fn set_weight(&self, weight: u8) {
        let now = Snapshot(self.0.load(Ordering::Relaxed)).weight();
        let weight = weight.min(MAX_WEIGHT);
        // Relaxed: a hint to the next waker; only the runner writes these bits, so the sum cannot
        // leave the field.
        if weight > now {
            self.0.fetch_add(u64::from(weight - now) * WEIGHT_ONE, Ordering::Relaxed);
        } else if weight < now {
            self.0.fetch_sub(u64::from(now - weight) * WEIGHT_ONE, Ordering::Relaxed);
        }
    }

    /// Adds a reference, copied from one that exists.
    #[inline]
    pub(crate) fn add_ref(&self) {
        // Relaxed: the reference that is copied keeps the cell alive, as in `Arc`.
        let before = Snapshot(self.0.fetch_add(REF_ONE, Ordering::Relaxed));
        if before.refs() > REFS_TOO_MANY {
            std::process::abort();
        }
    }

    /// Drops a reference.
    #[inline]
    pub(crate) fn drop_ref(&self) -> Unref {
        // Ordering: Acquire pairs with the Release of the other droppers. The only reference to a
        // complete task belongs to the caller: no other thread can add one, so no read-modify-write
        // is needed.
        let now = Snapshot(look(&self.0, Ordering::Acquire));
        if now.is_complete() && now.is_only_reference() {
            return Unref::Dealloc;
        }
        // Ordering: Release hands the caller's uses of the cell to the last dropper, whose
        // `acquire_after_last` pairs with it.
        let before = Snapshot(self.0.fetch_sub(REF_ONE, Ordering::Release));
        debug_assert!(before.refs() > 0);
        if before.is_only_reference() {
            acquire_after_last(&self.0);
            Unref::Dealloc
        } else {
            Unref::Nothing
        }
    }
}

#[cfg(selvedge_loom)]
impl State {
    /// Declares to a model that no other thread uses the word from here on.
    pub(super) fn seal(&mut self) {
        self.0.with_mut(|_| ());
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

#[cfg(test)]
#[cfg(not(selvedge_loom))]
mod tests;
