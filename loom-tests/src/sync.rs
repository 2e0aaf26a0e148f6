//! What `crates/api/src/sync.rs` is to the api, with loom's atomics.

use std::sync::OnceLock;

pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

/// The fault that this process builds in, if any.
pub(crate) fn mutation(name: &str) -> bool {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("SELVEDGE_MUTATION").ok()).as_deref() == Some(name)
}
