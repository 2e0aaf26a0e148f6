//! Who may hand in tasks and blocking jobs? Its steps stand in `close.rs`.

use crate::sync::{AtomicBool, HintU64, Ordering};

/// Who may hand in tasks and blocking jobs. It only narrows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    #[default]
    Open,
    /// Only the scheduler's own threads.
    OwnThreads,
    Closed,
}

impl Door {
    /// Whether a thread may come in, of which `is_own` says whether it is one of the scheduler's.
    pub(crate) fn lets_in(self, is_own: impl FnOnce() -> bool) -> bool {
        match self {
            Door::Open => true,
            Door::OwnThreads => is_own(),
            Door::Closed => false,
        }
    }
}

/// How far a scheduler has got with its end.
pub(crate) struct Closing {
    /// The door as a hint: the locks of the owned tasks and of the pool guard those that decide.
    door: HintU64,
    /// A thread sees to it that all tasks are dropped.
    pub(crate) has_closer: AtomicBool,
    /// The task that the closing thread is dropping, by its address.
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
