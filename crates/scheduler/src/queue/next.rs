//! Which task runs next on a worker? The task in its next-task slot, the front of its queue while
//! the queue is otherwise empty.
//!
//! A task that is woken by the running one goes here if no other task waits on this worker. So two
//! tasks that wake each other in turn stay on one warm core and wake no thread. Since no task waits
//! in front of the slot, the order stays first in, first out, and such a pair cannot starve the
//! deque: as soon as another task is queued, both tasks of the pair go behind it.
//!
//! Only the owner fills the slot. Any thread may empty it; the watchdog does when the owner is
//! stuck in a poll.

use std::ptr;

use crate::sync::{AtomicPtr, Ordering, fill};
use crate::task::Runnable;

/// Holds at most one runnable task.
pub(crate) struct Next(AtomicPtr<()>);

impl Next {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Relaxed: a hint to every thread but the owner. Only the owner fills the slot, so it cannot
    /// miss a task there.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Fills the slot. Only the owner may call this, and only when it has seen the slot empty.
    #[inline]
    pub(crate) fn put(&self, task: Runnable) {
        debug_assert!(self.is_empty());
        // Ordering: Release pairs with the Acquire of `take`: the thread that takes the task sees
        // its cell.
        fill(&self.0, task.into_word(), Ordering::Release);
    }

    /// Empties the slot.
    #[inline]
    pub(crate) fn take(&self) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        // Ordering: Acquire pairs with the Release of `put`, Release with the fence of `Local::park`.
        let word = self.0.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: the word came from `into_word`, and the swap gave it to this caller alone.
        unsafe { Runnable::from_word(word) }
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        drop(self.take());
    }
}
