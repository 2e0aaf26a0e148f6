//! Where are the timers of virtual time stored that lie too far ahead for a wheel?
//!
//! A wheel counts 584 years in nanoseconds. Virtual time goes as far as a
//! [`Duration`](std::time::Duration) does, so later timers are stored here, in an ordered map of
//! the scheduler. That is slower than a wheel, but few programs need it. Every timer in a wheel
//! comes before every timer here.
//!
//! With a real clock this map stays empty: such a time never comes.

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

use crate::moment::Moment;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// The tick that stands for "there is a far timer" among the wheels' earliest ticks. It is later
/// than all of them.
pub(crate) const TICK: u64 = u64::MAX - 1;

#[derive(Default)]
pub(crate) struct FarTimers {
    waiting: Mutex<Waiting>,
    /// Written under the lock. Relaxed: the fences in `driver.rs` order it, as they do the wheels'
    /// earliest ticks.
    any: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    /// Timers with the same deadline are in the order in which they were armed: their numbers
    /// decrease.
    order: BTreeMap<(Moment, std::cmp::Reverse<u64>), Waker>,
    deadlines: HashMap<u64, Moment>,
    /// How many far timers have ever been armed.
    ever_armed: u64,
}

impl FarTimers {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Returns the timer's number, which is at least [`FAR`](crate::moment::FAR).
    pub(crate) fn insert(&self, deadline: Moment, waker: Waker) -> u64 {
        let mut waiting = self.waiting.lock();
        let number = u64::MAX - waiting.ever_armed;
        waiting.ever_armed += 1;
        waiting.order.insert((deadline, std::cmp::Reverse(number)), waker);
        waiting.deadlines.insert(number, deadline);
        self.any.store(true, Ordering::Relaxed);
        number
    }

    /// The caller drops the waker outside the lock.
    pub(crate) fn cancel(&self, number: u64) -> Option<Waker> {
        let mut waiting = self.waiting.lock();
        let deadline = waiting.deadlines.remove(&number)?;
        let waker = waiting.order.remove(&(deadline, std::cmp::Reverse(number)));
        self.any.store(!waiting.order.is_empty(), Ordering::Relaxed);
        waker
    }

    /// Whether the timer is armed for this deadline, and would wake this waker.
    pub(crate) fn is_armed_for(&self, number: u64, deadline: Moment, waker: &Waker) -> bool {
        let waiting = self.waiting.lock();
        let entry = waiting.order.get(&(deadline, std::cmp::Reverse(number)));
        entry.is_some_and(|armed| armed.will_wake(waker))
    }

    pub(crate) fn first(&self) -> Option<Moment> {
        self.waiting.lock().order.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Removes a timer that is due; the caller wakes it, outside the lock.
    pub(crate) fn take_due(&self, now: Moment) -> Option<Waker> {
        let mut waiting = self.waiting.lock();
        let first = waiting.order.first_entry()?;
        let (deadline, std::cmp::Reverse(number)) = *first.key();
        if deadline > now {
            return None;
        }
        let waker = first.remove();
        waiting.deadlines.remove(&number);
        self.any.store(!waiting.order.is_empty(), Ordering::Relaxed);
        Some(waker)
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().order.len()
    }
}
