//! Which fault is switched on in this process?
//!
//! Code that ships never asks. The patches in `loom-tests/faults` insert these calls into a copy of it.

use std::sync::OnceLock;

use crate::sync::Ordering;

/// The environment variable `SELVEDGE_FAULT` names the fault.
pub fn fault(name: &str) -> bool {
    static SWITCHED_ON: OnceLock<Option<String>> = OnceLock::new();
    SWITCHED_ON.get_or_init(|| std::env::var("SELVEDGE_FAULT").ok()).as_deref() == Some(name)
}

/// The ordering, or `Relaxed` where the fault is switched on.
pub fn weaken(name: &str, ordering: Ordering) -> Ordering {
    if fault(name) { Ordering::Relaxed } else { ordering }
}
