//! Which timers are due?
//!
//! [`Expired`] goes from one occupied slot to the next in order of their starts, and moves the
//! wheel's cursor along. It empties a slot that is a single tick. It distributes a slot that is a
//! window over the levels below. When no timer is due any more, the cursor moves to the time that
//! was passed to `poll`. The iterator has no state of its own, and every step leaves the wheel
//! consistent. So the iterator can be dropped, or a value's destructor can panic, between any two
//! timers.

use std::iter::FusedIterator;

use crate::key::Key;
use crate::level::Remaining;
use crate::place::{Place, Reached};
use crate::slab::NIL;
use crate::wheel::Wheel;

/// A timer that has left the wheel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T> {
    /// The key that the timer had. It is stale now, but it still identifies the timer in the
    /// caller's own tables.
    pub key: Key,
    /// The deadline that the timer was given.
    pub deadline: u64,
    /// The value that the timer carried.
    pub value: T,
}

/// The timers that are due, in ascending order of deadlines, equal ones in the order in which they
/// were armed.
///
/// Made by [`Wheel::poll`]. A timer leaves the wheel when it is yielded. Timers that were not
/// fetched stay armed, and the next poll begins with them.
#[derive(Debug)]
#[must_use = "timers leave the wheel only as they are fetched"]
pub struct Expired<'a, T> {
    wheel: &'a mut Wheel<T>,
}

impl<T> Wheel<T> {
    /// Moves time to `now` and returns the timers that are due.
    ///
    /// A `now` that lies before an earlier `now` counts as that earlier one: time never runs
    /// backwards.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// for deadline in [30, 10, 20] {
    ///     wheel.insert(deadline, ());
    /// }
    /// let first = wheel.poll(25).next().unwrap(); // the iterator ends here; 20 is not lost
    /// assert_eq!(first.deadline, 10);
    /// let rest: Vec<u64> = wheel.poll(25).map(|entry| entry.deadline).collect();
    /// assert_eq!(rest, [20]);
    /// ```
    #[inline]
    pub fn poll(&mut self, now: u64) -> Expired<'_, T> {
        self.now = self.now.max(now);
        Expired { wheel: self }
    }

    #[inline]
    fn pop_due(&mut self) -> Option<Entry<T>> {
        loop {
            let Some((place, level)) = self.first() else {
                self.cursor = self.now;
                return None;
            };
            let Some(reached) = place.reached(self.cursor, self.now) else {
                self.cursor = self.now;
                return None;
            };
            match reached {
                Reached::Late => {
                    if level.ragged & place.bit() != 0 {
                        self.sort(place);
                    }
                    return self.pop(place);
                }
                Reached::Tick(tick) => {
                    self.cursor = tick;
                    return self.pop(place);
                }
                // If the only timer of the slot is due, it has no order to keep with others and
                // need not move down first.
                Reached::Window(_) if self.is_lone_and_due(place) => return self.pop(place),
                Reached::Window(start) => self.cascade(place, start),
            }
        }
    }

    #[inline]
    fn is_lone_and_due(&self, place: Place) -> bool {
        let lone = self.levels[place.rank()].as_ref().and_then(|level| level.lone(place));
        lone.is_some_and(|index| self.slab.node(index).deadline <= self.now)
    }

    /// Takes out the first timer of an occupied slot.
    #[inline]
    pub(crate) fn pop(&mut self, place: Place) -> Option<Entry<T>> {
        let head = self.levels[place.rank()].as_ref()?.slots[place.slot()].head;
        let key = self.slab.key(head);
        let taken = self.slab.take(key)?;
        self.unlink(taken.deadline, taken.prev, taken.next);
        Some(Entry { key, deadline: taken.deadline, value: taken.value })
    }

    /// Moves the cursor to the start of the window at `place`, and each of its timers to its place
    /// for the new cursor.
    fn cascade(&mut self, place: Place, start: u64) {
        let Some(level) = self.levels[place.rank()].as_mut() else { return };
        let slot = &level.slots[place.slot()];
        slot.fetch(&self.slab);
        let mut index = slot.head;
        if level.vacate(place) == Remaining::None {
            self.ranks &= !(1 << place.rank());
        }
        self.cursor = start;
        while index != NIL {
            let node = self.slab.node(index);
            let (deadline, next) = (node.deadline, node.next);
            self.relink(index, deadline);
            index = next;
        }
    }

    fn sort(&mut self, place: Place) {
        if let Some(level) = self.levels[place.rank()].as_mut() {
            level.sort(place, &mut self.slab);
        }
    }
}

impl<T> Iterator for Expired<'_, T> {
    type Item = Entry<T>;

    #[inline]
    fn next(&mut self) -> Option<Entry<T>> {
        self.wheel.pop_due()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.wheel.len()))
    }
}

impl<T> FusedIterator for Expired<'_, T> {}
