//! How is the waker of a task's awaiter stored in one word?
//!
//! The awaiter is nearly always another task, for which a pointer is enough. Any other waker is
//! boxed.

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::cell::Header;
use super::{TaskRef, waker};

/// Set if the word points to a boxed waker. Cells and boxed wakers are aligned to more than a byte.
const BOXED: usize = 1;

/// Null, a counted reference to a task, or a boxed waker.
pub(super) struct JoinWaker(*mut ());

// SAFETY: a counted reference to a task and a waker may both be used and dropped on any thread.
unsafe impl Send for JoinWaker {}
// SAFETY: as above; waking by reference needs no exclusive access.
unsafe impl Sync for JoinWaker {}

enum Target<'a> {
    Nobody,
    Task(ManuallyDrop<TaskRef>),
    Other(&'a Waker),
}

impl JoinWaker {
    pub(super) fn none() -> Self {
        Self(ptr::null_mut())
    }

    pub(super) fn new(waker: &Waker) -> Self {
        if let Some(task) = waker::task_of(waker) {
            // SAFETY: the waker keeps its task alive; the reference that is copied stays the waker's.
            let task = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
            let counted = ManuallyDrop::new(TaskRef::clone(&task));
            return Self(counted.as_raw().as_ptr().cast());
        }
        let boxed = Box::into_raw(Box::new(waker.clone()));
        Self(boxed.map_addr(|address| address | BOXED).cast())
    }

    fn target(&self) -> Target<'_> {
        if self.0.addr() & BOXED != 0 {
            // SAFETY: the word owns a boxed waker.
            return Target::Other(unsafe { &*self.boxed() });
        }
        match NonNull::new(self.0.cast::<Header>()) {
            // SAFETY: the word owns a reference, which the result does not give back.
            Some(task) => Target::Task(ManuallyDrop::new(unsafe { TaskRef::from_raw(task) })),
            None => Target::Nobody,
        }
    }

    fn boxed(&self) -> *mut Waker {
        self.0.cast::<Waker>().map_addr(|address| address & !BOXED)
    }

    /// Wakes the awaiter, if there is one. A task's reference is used up by the wake, but the word
    /// still points to the task: call [`forget_task`](Self::forget_task) before the word is
    /// dropped. The word is not changed here because the handle may be reading it.
    ///
    /// # Safety
    ///
    /// Only once, and only by the runner that completed the task.
    pub(super) unsafe fn wake(&self) {
        match self.target() {
            Target::Nobody => {}
            // SAFETY: the word owns a reference, which the caller uses up.
            Target::Task(task) => unsafe { waker::wake_and_unref(task.as_raw()) },
            Target::Other(waker) => waker.wake_by_ref(),
        }
    }

    /// Called when `wake` has used up the reference to a task.
    pub(super) fn forget_task(&mut self) {
        if self.0.addr() & BOXED == 0 {
            self.0 = ptr::null_mut();
        }
    }

    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        match self.target() {
            Target::Nobody => false,
            // The addresses are compared and not followed: `wake` may be using up the reference.
            Target::Task(task) => waker::task_of(waker) == Some(task.as_raw()),
            Target::Other(own) => own.will_wake(waker),
        }
    }
}

impl Drop for JoinWaker {
    fn drop(&mut self) {
        match self.target() {
            Target::Nobody => {}
            Target::Task(task) => drop(ManuallyDrop::into_inner(task)),
            Target::Other(_) => {
                // SAFETY: the word owns the box, and ends here.
                drop(unsafe { Box::from_raw(self.boxed()) });
            }
        }
    }
}
