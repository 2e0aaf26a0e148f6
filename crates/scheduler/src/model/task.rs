//! Which parts of the task cell can the models reach?

use std::ptr::NonNull;

use super::Slot;
use super::cell::Cell;
use super::state::{Claim, EndPoll, Seen, State, Wake};

/// Lets a model check that no other thread uses the cell from here on: each access by another
/// thread must have happened before.
///
/// # Safety
///
/// As for `harness::dealloc`.
pub(super) unsafe fn seal<F: Future, S: Slot>(cell: NonNull<Cell<F, S>>) {
    // SAFETY: no reference is left, so the cell is the caller's.
    let cell = unsafe { &mut *cell.as_ptr() };
    cell.header.state.seal();
    cell.header.join_waker.with_mut(|_| ());
    cell.for_handle.with_mut(|_| ());
    cell.stage.with_mut(|_| ());
}

/// A state word without a task around it.
pub struct Word(State);

/// What `Word::begin_poll` saw.
pub struct Begun(Seen);

impl Word {
    /// As a new task has it: queued.
    #[expect(clippy::new_without_default, reason = "a word is born queued, which is no default")]
    pub fn new() -> Self {
        Self(State::new(0))
    }

    /// True: the caller holds the right to poll now.
    pub fn wake(&self) -> bool {
        matches!(self.0.wake(), Wake::Submit { .. })
    }

    /// True: the caller holds the right to poll now, because no other thread held it.
    pub fn claim(&self) -> bool {
        self.0.claim() == Claim::Granted
    }

    /// The caller must hold the right to poll since its claim.
    pub fn is_woken_since_claim(&self) -> bool {
        self.0.is_woken_since_claim()
    }

    /// The caller must hold the right to poll.
    pub fn begin_poll(&self) -> Begun {
        Begun(self.0.begin_poll())
    }

    /// True: the caller still holds the right, and must poll again.
    pub fn end_poll(&self, begun: Begun) -> bool {
        self.0.end_poll(begun.0) == EndPoll::Requeue
    }
}

impl Begun {
    /// How many wakes the poll answers.
    pub fn wakes(&self) -> u64 {
        self.0.wakes()
    }
}
