//! How does a slot with many timers find its least deadline again, when its earliest timer has left
//! and its list is not sorted?
//!
//! A scan for each removal would cost n timers n * n steps. The first call makes a binary heap of
//! the slot, which is kept until the slot is emptied. A timer that arrives is added to the heap. A
//! timer that leaves stays behind as a stale entry, which is removed when it comes to the top, or
//! when the heap would have to grow. So each entry is added once and removed once, and each costs
//! log n.
//!
//! The heap takes memory for the timers of such a slot only. Rejected: sorting the slot, because
//! one earlier timer that comes and goes requires a scan of all timers again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use crate::key::Key;
use crate::slab::{NIL, Slab};

/// The timers of one slot by their deadlines, and stale entries of some that have left it.
#[derive(Debug)]
pub(crate) struct Order(BinaryHeap<Reverse<Entry>>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline: u64,
    index: u32,
    generation: u32,
}

impl Entry {
    fn new(index: u32, generation: u32, deadline: u64) -> Reverse<Self> {
        Reverse(Self { deadline, index, generation })
    }

    /// Whether the timer is still armed for this deadline, or is armed for it again. The deadline
    /// determines the place, so such a timer is in this slot.
    fn is_right<T>(&self, slab: &Slab<T>) -> bool {
        let key = NonZeroU32::new(self.index).map(|index| Key { index, generation: self.generation });
        key.and_then(|key| slab.lookup(key)).is_some_and(|node| node.deadline == self.deadline)
    }
}

impl Order {
    /// The order of the list that begins with `head`.
    #[cold]
    pub(crate) fn of_list<T>(head: u32, len: u32, slab: &Slab<T>) -> Self {
        let mut entries = Vec::with_capacity(len as usize);
        let mut index = head;
        while index != NIL {
            let node = slab.node(index);
            entries.push(Entry::new(index, node.generation(), node.deadline));
            index = node.next;
        }
        Self(entries.into())
    }

    /// Adds `index`, which has just been appended to the list. Its node may not contain the timer
    /// yet.
    #[cold]
    pub(crate) fn arrived<T>(&mut self, index: u32, deadline: u64, slab: &Slab<T>) {
        if self.0.len() == self.0.capacity() {
            self.tidy(slab);
        }
        self.0.push(Entry::new(index, slab.generation(index), deadline));
    }

    /// Removes the stale and the duplicate entries, and reserves space for as many as remain. So as
    /// many timers can arrive before the next call.
    fn tidy<T>(&mut self, slab: &Slab<T>) {
        let mut entries = std::mem::take(&mut self.0).into_vec();
        entries.retain(|entry| entry.0.is_right(slab));
        // A timer that left this deadline and came back has two entries.
        entries.sort_unstable();
        entries.dedup();
        entries.shrink_to(2 * entries.len());
        entries.reserve(entries.len().max(1));
        self.0 = entries.into();
    }

    /// The least deadline in the list.
    pub(crate) fn least<T>(&mut self, slab: &Slab<T>) -> Option<u64> {
        while !self.0.peek()?.0.is_right(slab) {
            self.0.pop();
        }
        self.0.peek().map(|entry| entry.0.deadline)
    }

    #[cfg(test)]
    pub(crate) fn room(&self) -> usize {
        self.0.capacity()
    }
}
