//! Which threads may add tasks and blocking jobs? (The steps are listed in `close.rs`.)

use crate::sync::{AtomicBool, HintU64, Ordering};

/// Which threads may add tasks and blocking jobs. It only narrows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    #[default]
    Open,
    /// Only the scheduler's own threads.
    OwnThreads,
    Closed,
}

impl Door {
    /// Whether a thread may add. `is_own` says whether the thread is one of the scheduler's.
    pub(crate) fn lets_in(self, is_own: impl FnOnce() -> bool) -> bool {
        match self {
            Door::Open => true,
            Door::OwnThreads => is_own(),
            Door::Closed => false,
        }
    }
}

/// The scheduler's progress in closing.
pub(crate) struct Closing {
    /// A hint only: the decisive doors are guarded by the locks of the owned tasks and of the pool.
    door: HintU64,
    /// A thread has been started that drops all tasks.
    pub(crate) has_closer: AtomicBool,
    /// The address of the task that the closing thread is dropping.
    pub(crate) dropping: HintU64,
}

/// No task has this address.
pub(crate) const NONE: u64 = 0;

impl Closing {
    pub(crate) fn new() -> Self {
        Self {
            door: HintU64::new(Door::Open as u64),
            has_closer: AtomicBool::new(false),
            dropping: HintU64::new(NONE),
        }
    }

    pub(crate) fn note(&self, door: Door) {
        // Relaxed: a hint, see the field.
        self.door.fetch_max(door as u64, Ordering::Relaxed);
    }

    pub(crate) fn has_reached(&self, door: Door) -> bool {
        self.door.load(Ordering::Relaxed) >= door as u64
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_door_lets_in_fewer_and_fewer() {
        let doors = [Door::Open, Door::OwnThreads, Door::Closed];
        assert!(doors.is_sorted());
        assert_eq!(doors.map(|door| door.lets_in(|| true)), [true, true, false]);
        assert_eq!(doors.map(|door| door.lets_in(|| false)), [true, false, false]);
    }
}
