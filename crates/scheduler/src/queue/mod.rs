//! Where do runnable tasks wait?

mod deque;
mod next;

pub(crate) use deque::{Deque, Injector, Stealer};
pub(crate) use next::Next;

use crate::task::Runnable;

/// What one attempt to steal brought.
#[derive(Debug)]
pub(crate) enum Steal {
    /// A task to run; more may have been moved to the thief's own deque.
    Success(Runnable),
    /// There was nothing.
    Empty,
    /// Somebody was in the way.
    Retry,
}
