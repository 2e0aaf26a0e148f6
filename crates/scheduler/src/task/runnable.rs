//! How is the right to poll a task represented?

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::cell::Header;
use super::harness::Polled;
use super::state::EndPoll;
use super::{PollEnd, TaskRef, Why, waker};

/// The only right to poll a task that is not complete. Queues hold values of this type.
///
/// Dropping one cancels the task: its future is dropped and its handle resolves to `Outcome::closed`.
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: the future and the slot are `Send`, and a runnable is the only right to touch the future
// (rule *Runner*).
unsafe impl Send for Runnable {}

/// The result of a poll.
#[must_use]
pub(crate) enum Ran {
    /// The task waits, or is complete.
    Released,
    /// The task was woken during its poll and must be queued again.
    Again(Runnable),
}

impl Runnable {
    /// # Safety
    ///
    /// The caller must hold the right to poll, and gives it up.
    #[inline]
    pub(super) unsafe fn from_raw(task: NonNull<Header>) -> Self {
        Self(task)
    }

    /// For a slot that is an atomic word; `from_word` is the inverse.
    #[inline]
    pub(crate) fn into_word(self) -> *mut () {
        ManuallyDrop::new(self).0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// `word` must come from `into_word`, and be used once.
    #[inline]
    pub(crate) unsafe fn from_word(word: *mut ()) -> Option<Self> {
        NonNull::new(word.cast()).map(Self)
    }

    /// Polls the task once.
    #[inline]
    pub(crate) fn run(self, end: &dyn PollEnd) -> Ran {
        let this = ManuallyDrop::new(self);
        // SAFETY: rule *Runner*: the task is not complete, so the cell is valid.
        let vtable = unsafe { this.0.as_ref() }.vtable;
        // SAFETY: this runnable is the right to poll; it is used up unless the answer is `Requeue`.
        match unsafe { (vtable.poll)(this.0, end) } {
            Polled::Done => Ran::Released,
            Polled::Requeue => Ran::Again(ManuallyDrop::into_inner(this)),
        }
    }

    /// Whether the task belongs to the scheduler at this address.
    pub(crate) fn is_of(&self, owner: *const ()) -> bool {
        // SAFETY: rule *Runner*: the task is not complete, so the cell is valid.
        let home = unsafe { self.0.as_ref() }.home;
        // SAFETY: rule *Home*: this is the right to poll.
        unsafe { home.scheduler() }.0 == owner
    }

    /// Gives up the right to poll without a poll. Returns it if the task was woken meanwhile.
    pub(crate) fn suspend(self) -> Option<Runnable> {
        let this = ManuallyDrop::new(self);
        // SAFETY: rule *Runner*: the task is not complete, so the cell is valid.
        let state = unsafe { &this.0.as_ref().state };
        match state.suspend() {
            EndPoll::Idle => None,
            EndPoll::Requeue => Some(ManuallyDrop::into_inner(this)),
        }
    }

    /// Queues a task that has not been polled yet.
    pub(crate) fn schedule_new(self) {
        self.submit(Why::Started);
    }

    /// Queues the task with its scheduler.
    pub(crate) fn schedule(self) {
        let has_weight = self.with_task(TaskRef::has_weight);
        self.submit(Why::Woken { has_weight });
    }

    fn submit(self, why: Why) {
        let task = ManuallyDrop::new(self).0;
        // SAFETY: this was the right to poll, which is given up here.
        unsafe { waker::submit(task, why) };
    }

    /// The same value as [`address_of`](super::address_of) returns for the task's wakers.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// As [`TaskRef::kind`].
    #[inline]
    pub(crate) fn kind(&self) -> usize {
        // SAFETY: rule *Runner*: the task is not complete, so the cell is valid.
        unsafe { self.0.as_ref() }.vtable.poll as usize
    }

    /// The task, without counting a reference.
    #[inline]
    pub(crate) fn with_task<R>(&self, f: impl FnOnce(&TaskRef) -> R) -> R {
        // SAFETY: the task is not complete while this runnable exists; the reference is never given
        // back.
        let task = ManuallyDrop::new(unsafe { TaskRef::from_raw(self.0) });
        f(&task)
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY: rule *Runner*: the task is not complete, so the cell is valid.
        let vtable = unsafe { self.0.as_ref() }.vtable;
        // SAFETY: this runnable is the right to the future, and ends here.
        unsafe { (vtable.cancel)(self.0) };
    }
}
