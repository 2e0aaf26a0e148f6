//! How long does a thread of a model wait awake? Not at all.

pub(super) fn until(_is_done: impl Fn() -> bool) {}
