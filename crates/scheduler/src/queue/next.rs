//! The task that runs next on a worker: the front of its queue while that is otherwise empty.
//!
//! A task that is woken by the running one goes here if nothing else waits on this worker, so that two tasks which talk to each
//! other stay on one warm core and wake no thread. Since nothing waits in front of it, the order stays first in, first
//! out, and a pair that plays ping-pong cannot starve the deque: as soon as something else is queued, both go behind it.
//!
//! Only the owner fills the slot. Anybody may empty it, and does when the owner is stuck in a poll.

use std::ptr;

use crate::sync::{AtomicPtr, Ordering, fill};
use crate::task::Runnable;

/// Room for one runnable task.
pub(crate) struct Next(AtomicPtr<()>);

impl Next {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Relaxed: a hint to everybody but the owner, who alone fills the slot and so cannot miss a task that lies there.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed).is_null()
    }

    /// Fills the slot. Only the owner may call this, and only when it has seen the slot empty.
    #[inline]
    pub(crate) fn put(&self, task: Runnable) {
        debug_assert!(self.is_empty());
        // Ordering: Release pairs with the Acquire of `take`: the task's cell is visible to whoever takes it.
        fill(&self.0, task.into_word(), Ordering::Release);
    }

    /// Empties the slot.
    #[inline]
    pub(crate) fn take(&self) -> Option<Runnable> {
        if self.is_empty() {
            return None;
        }
        // Ordering: Acquire pairs with the Release of `put`.
        let word = self.0.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: the word came from `into_word`, and the swap gave it to this caller alone.
        unsafe { Runnable::from_word(word) }
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        drop(self.take());
    }
}
