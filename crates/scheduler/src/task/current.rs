//! Which task does this thread poll, and has that task woken itself?
//!
//! A task that wakes itself during its own poll (a yield) needs no read-modify-write: its runner is
//! this thread, which reads a thread-local flag when the poll ends.

use std::cell::Cell as StdCell;
use std::ptr::{self, NonNull};

use super::cell::Header;

crate::sync::thread_locals! {
    static CURRENT: StdCell<*const Header> = const { StdCell::new(ptr::null()) };
    static WOKE_ITSELF: StdCell<bool> = const { StdCell::new(false) };
}

/// Marks `task` as the one that this thread polls, until this is dropped. Then the task that was
/// polled before is current again (polls nest when a coroutine drives another executor).
pub(super) struct Enter {
    task: *const Header,
    outer: *const Header,
    outer_woke_itself: bool,
}

impl Enter {
    #[inline]
    pub(super) fn new(task: NonNull<Header>) -> Self {
        Self {
            task: task.as_ptr(),
            outer: CURRENT.replace(task.as_ptr()),
            outer_woke_itself: WOKE_ITSELF.replace(false),
        }
    }

    #[inline]
    pub(super) fn woke_itself(&self) -> bool {
        debug_assert_eq!(CURRENT.get(), self.task);
        WOKE_ITSELF.get()
    }
}

impl Drop for Enter {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        WOKE_ITSELF.set(self.outer_woke_itself);
    }
}

/// The task that this thread polls.
#[inline]
pub(super) fn current() -> Option<NonNull<Header>> {
    NonNull::new(CURRENT.get().cast_mut())
}

/// Whether the task that this thread polls has noted a wake in [`wake_if_current`].
#[inline]
pub(super) fn has_woken_itself() -> bool {
    WOKE_ITSELF.get()
}

/// Notes the wake if this thread polls `task`. False: the task must be woken through its state.
#[inline]
pub(super) fn wake_if_current(task: NonNull<Header>) -> bool {
    let is_current = ptr::eq(CURRENT.get(), task.as_ptr());
    if is_current {
        WOKE_ITSELF.set(true);
    }
    is_current
}
