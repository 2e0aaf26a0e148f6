//! Where do runnable tasks wait?

mod deque;
#[cfg(any(selvedge_loom, test))]
mod loom_deque;
#[expect(unsafe_code, reason = "a slot is one atomic word")]
mod next;

pub(crate) use deque::{Deque, Injector, Stealer};
#[cfg(selvedge_loom)]
pub use loom_deque::retries;
pub(crate) use next::Next;

use crate::task::Runnable;

/// The result of one attempt to steal.
#[derive(Debug)]
pub(crate) enum Steal<T = Runnable> {
    /// A task to run; more may have been moved to the thief's own deque.
    Success(T),
    /// There was nothing.
    Empty,
    /// Another thread was in the way.
    Retry,
}
