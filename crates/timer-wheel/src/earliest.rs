//! When will the next timer be due?

use crate::slab::NIL;
use crate::wheel::Wheel;

impl<T> Wheel<T> {
    /// The earliest deadline of all armed timers, or `None` if there are none.
    ///
    /// Exact: not a bound at which the wheel merely has work of its own to do. A timer that is overdue counts with the deadline it was
    /// given, so the answer may lie in the past.
    ///
    /// The answer is kept. It has to be found again only after the earliest timer of its slot has left, which is a look at the head of
    /// the slot if its timers were armed in order of their deadlines, and a scan of that one slot if not.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// assert_eq!(wheel.next_deadline(), None);
    /// wheel.insert(1_000_001, ());
    /// let first = wheel.insert(1_000_000, ());
    /// assert_eq!(wheel.next_deadline(), Some(1_000_000));
    /// wheel.cancel(first);
    /// assert_eq!(wheel.next_deadline(), Some(1_000_001));
    /// ```
    #[inline]
    pub fn next_deadline(&mut self) -> Option<u64> {
        let (place, level) = self.first()?;
        let slot = &level.slots[place.slot()];
        if level.exact & place.bit() != 0 {
            return Some(slot.least);
        }
        let least = if level.ragged & place.bit() == 0 {
            self.slab.node(slot.head).deadline
        } else {
            self.scan(slot.head, slot.least)
        };
        let level = self.levels[place.rank()].as_mut()?;
        level.slots[place.slot()].least = least;
        level.exact |= place.bit();
        Some(least)
    }

    /// The least deadline in the list from `head`, of which none is below `bound`.
    #[cold]
    fn scan(&self, head: u32, bound: u64) -> u64 {
        let mut least = u64::MAX;
        let mut index = head;
        // Nothing is below the bound, so the search is over when it is met.
        while index != NIL && least != bound {
            let node = self.slab.node(index);
            least = least.min(node.deadline);
            index = node.next;
        }
        least
    }
}
