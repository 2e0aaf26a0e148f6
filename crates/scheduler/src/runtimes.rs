//! Which schedulers exist in this process?
//!
//! Each has a number, under which a timer that has left the scheduler's threads finds it: a timer
//! may outlive its scheduler.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// The erased type of what a scheduler's threads share.
type Scheduler = dyn Any + Send + Sync;

static RUNTIMES: parking_lot::Mutex<BTreeMap<u32, Weak<Scheduler>>> =
    parking_lot::Mutex::new(BTreeMap::new());

/// The scheduler with this number, if it still exists.
pub(crate) fn find<T: Any + Send + Sync>(number: u32) -> Option<Arc<T>> {
    let found = RUNTIMES.lock().get(&number)?.upgrade()?;
    found.downcast().ok()
}

/// All schedulers.
pub(crate) fn all<T: Any + Send + Sync>() -> Vec<Arc<T>> {
    // Upgraded under the lock, but dropped by the caller: the drop of the last reference to a
    // scheduler takes the lock itself.
    let all: Vec<_> = RUNTIMES.lock().values().filter_map(Weak::upgrade).collect();
    all.into_iter().filter_map(|scheduler| scheduler.downcast().ok()).collect()
}

/// Gives a new scheduler its number.
pub(crate) fn register(scheduler: Weak<Scheduler>) -> u32 {
    /// Numbers are never used again: a timer must not find another scheduler than its own.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: a counter.
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let number = u32::try_from(number).expect("a process makes at most four billion schedulers");
    RUNTIMES.lock().insert(number, scheduler);
    number
}

/// Forgets a scheduler that ends.
pub(crate) fn unregister(number: u32) {
    RUNTIMES.lock().remove(&number);
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_that_ends_is_forgotten() {
        let number = register(Weak::<()>::new());
        assert!(RUNTIMES.lock().contains_key(&number));
        unregister(number);
        assert!(!RUNTIMES.lock().contains_key(&number) && find::<()>(number).is_none());
    }
}
