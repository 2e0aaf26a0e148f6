//! The api's part of the seam: what the models in `loom-tests` put something else in the place of.
//!
//! They compile `cancel/word.rs` a second time, over loom's atomics. Everything else in this crate decides under mutexes.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

/// A spot at which a model can break the code, to show that it would notice. Here the code is never broken.
#[inline]
pub(crate) const fn mutation(_name: &str) -> bool {
    false
}
