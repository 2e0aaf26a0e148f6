//! What does a slot record about its timers?
//!
//! A slot is a list of nodes in order of arrival. Besides the two ends of the list, it stores a
//! lower bound of its deadlines: `least` is never above any deadline in the list. Two bits of the
//! level say what else is true:
//!
//! | bit | while it is set |
//! |---|---|
//! | `exact` | `least` is the deadline of some timer in the list |
//! | `ragged` | the list may be out of order; while clear, its head has the least deadline |
//!
//! An insert keeps both up to date with a comparison each. The removal of a timer at `least` clears
//! `exact`, because there may or may not be another timer with that deadline. The next call of
//! `next_deadline` then reads the head or, if the list is ragged, the whole list. If the list is
//! ragged and long, that call also makes an `Order` of it, which is kept up to date from then on:
//! so only this one call goes through the whole list. Timeouts of one length arrive in order, so
//! the common long list never needs an `Order`, even if the cancelled timer is always the earliest
//! one. And each slot keeps its own `least`, so a short timer that is armed and cancelled never
//! causes another scan of the slot of the long ones.

use crate::order::Order;
use crate::place::{Place, SLOTS};
use crate::prefetch::{CROWD, Marks};
use crate::slab::{NIL, Slab};

/// The list of one slot. Its fields have a meaning only while the slot's bit in the level's
/// `occupied` is set.
pub(crate) struct Slot {
    pub(crate) head: u32,
    pub(crate) tail: u32,
    pub(crate) least: u64,
    len: u32,
    /// Prefetch points, if the list is long and will be walked.
    marks: Option<Box<Marks>>,
}

impl Slot {
    const EMPTY: Self = Self { head: NIL, tail: NIL, least: 0, len: 0, marks: None };

    /// Loads the nodes of a long list into the cache.
    pub(crate) fn fetch<T>(&self, slab: &Slab<T>) {
        if let Some(marks) = &self.marks {
            marks.fetch(slab, self.len);
        }
    }

    /// Makes `index` the last node. Returns the node before it, whose `next` link the caller must
    /// set.
    #[inline]
    fn push<T>(&mut self, index: u32, is_window: bool, slab: &Slab<T>) -> u32 {
        self.len += 1;
        if is_window && self.len == CROWD && self.marks.is_none() {
            self.marks = Some(Box::new(Marks::of_list(self.head, slab)));
        }
        if let Some(marks) = &mut self.marks {
            marks.arrived(index);
        }
        std::mem::replace(&mut self.tail, index)
    }
}

/// The slots of one rank.
pub(crate) struct Level {
    occupied: u64,
    pub(crate) exact: u64,
    pub(crate) ragged: u64,
    pub(crate) slots: [Slot; SLOTS],
    /// Which slots have an order, and these orders with their slot numbers. Few slots ever have
    /// one.
    ordered: u64,
    orders: Vec<(usize, Order)>,
}

/// Whether the level is still occupied after a removal.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Remaining {
    Some,
    /// The level is empty: the caller must clear its bit among the ranks.
    None,
}

impl Level {
    pub(crate) const fn new() -> Self {
        let slots = [const { Slot::EMPTY }; SLOTS];
        Self { occupied: 0, exact: 0, ragged: 0, slots, ordered: 0, orders: Vec::new() }
    }

    /// The first occupied slot.
    #[inline]
    pub(crate) const fn first(&self) -> Option<usize> {
        if self.occupied == 0 { None } else { Some(self.occupied.trailing_zeros() as usize) }
    }

    /// The node in an occupied slot, if it is the only one.
    #[inline]
    pub(crate) fn lone(&self, place: Place) -> Option<u32> {
        let slot = &self.slots[place.slot()];
        (slot.head == slot.tail).then_some(slot.head)
    }

    /// Appends node `index` to the list of `place` and returns its predecessor, which the caller
    /// stores in the node.
    #[inline]
    #[must_use]
    pub(crate) fn append<T>(&mut self, place: Place, index: u32, deadline: u64, slab: &mut Slab<T>) -> u32 {
        let bit = place.bit();
        let slot = &mut self.slots[place.slot()];
        if self.occupied & bit == 0 {
            self.occupied |= bit;
            self.exact |= bit;
            self.ragged &= !bit;
            (slot.head, slot.tail, slot.least, slot.len) = (index, index, deadline, 1);
            return NIL;
        }
        if self.ordered & bit != 0 {
            if let Some(order) = order_of(&mut self.orders, place) {
                order.arrived(index, deadline, slab);
            }
        }
        let prev = slot.push(index, place.is_window(), slab);
        let tail = slab.node_mut(prev);
        tail.next = index;
        // Arithmetic instead of branches: with mixed deadlines, the processor could not predict
        // them.
        self.ragged |= u64::from(deadline < tail.deadline) << place.slot();
        self.exact |= u64::from(deadline <= slot.least) << place.slot();
        slot.least = slot.least.min(deadline);
        prev
    }

    /// Closes the gap that a node with `deadline` leaves between `prev` and `next`.
    #[inline]
    pub(crate) fn unlink<T>(
        &mut self,
        place: Place,
        deadline: u64,
        prev: u32,
        next: u32,
        slab: &mut Slab<T>,
    ) -> Remaining {
        let slot = &mut self.slots[place.slot()];
        slot.len -= 1;
        if prev == NIL {
            slot.head = next;
        } else {
            slab.node_mut(prev).next = next;
        }
        if next == NIL {
            slot.tail = prev;
        } else {
            slab.node_mut(next).prev = prev;
        }
        self.exact &= !(u64::from(deadline == slot.least) << place.slot());
        if prev == NIL && next == NIL { self.vacate(place) } else { Remaining::Some }
    }

    /// The least deadline of an occupied slot whose `exact` bit is clear. All that is known is that
    /// none is below `slot.least`.
    #[cold]
    pub(crate) fn least<T>(&mut self, place: Place, slab: &Slab<T>) -> u64 {
        let slot = &self.slots[place.slot()];
        if slot.len < CROWD {
            return scan(slot.head, slot.least, slab);
        }
        if self.ordered & place.bit() == 0 {
            self.ordered |= place.bit();
            self.orders.push((place.slot(), Order::of_list(slot.head, slot.len, slab)));
        }
        let least = order_of(&mut self.orders, place).and_then(|order| order.least(slab));
        least.expect("the slot is occupied, and all its timers are in its order")
    }

    fn forget_order(&mut self, place: Place) {
        if self.ordered & place.bit() != 0 {
            self.ordered &= !place.bit();
            self.orders.retain(|(slot, _)| *slot != place.slot());
        }
    }

    /// Forgets the list of `place`. The caller must place its nodes elsewhere.
    pub(crate) fn vacate(&mut self, place: Place) -> Remaining {
        self.occupied &= !place.bit();
        self.slots[place.slot()].marks = None;
        self.forget_order(place);
        if self.occupied == 0 { Remaining::None } else { Remaining::Some }
    }

    /// Sorts the list of `place` by deadline, and keeps the order of equal ones.
    ///
    /// Only late timers need this, and only if they were armed out of order. That is rare enough
    /// for a temporary array.
    #[cold]
    pub(crate) fn sort<T>(&mut self, place: Place, slab: &mut Slab<T>) {
        let slot = &mut self.slots[place.slot()];
        let mut order = Vec::new();
        let mut index = slot.head;
        while index != NIL {
            let node = slab.node(index);
            order.push((node.deadline, index));
            index = node.next;
        }
        order.sort_by_key(|&(deadline, _)| deadline); // stable
        let mut prev = NIL;
        for &(_, index) in &order {
            slab.node_mut(index).prev = prev;
            if prev == NIL {
                slot.head = index;
            } else {
                slab.node_mut(prev).next = index;
            }
            prev = index;
        }
        slab.node_mut(prev).next = NIL;
        slot.tail = prev;
        self.ragged &= !place.bit();
        self.forget_order(place);
    }
}

fn order_of(orders: &mut [(usize, Order)], place: Place) -> Option<&mut Order> {
    orders.iter_mut().find(|(slot, _)| *slot == place.slot()).map(|(_, order)| order)
}

/// The least deadline in the list from `head`. No deadline in it is below `bound`.
fn scan<T>(head: u32, bound: u64, slab: &Slab<T>) -> u64 {
    let mut least = u64::MAX;
    let mut index = head;
    // No deadline is below the bound, so the search ends when it finds the bound.
    while index != NIL && least != bound {
        let node = slab.node(index);
        least = least.min(node.deadline);
        index = node.next;
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_that_has_to_come_down_has_marks_until_it_is_gone() {
        const TICK: Place = Place::of(1, 0);
        const WINDOW: Place = Place::of(64, 0);
        for (place, has_marks) in [(TICK, false), (WINDOW, true)] {
            let (mut level, mut slab) = (Level::new(), Slab::new());
            let mut keys = Vec::new();
            for _ in 0..CROWD {
                assert!(level.slots[place.slot()].marks.is_none());
                let index = slab.reserve();
                let prev = level.append(place, index, 64, &mut slab);
                keys.push(slab.occupy(index, 64, (), prev));
            }
            assert_eq!(level.slots[place.slot()].marks.is_some(), has_marks);
            for key in keys {
                let taken = slab.take(key).expect("it is there");
                let _ = level.unlink(place, taken.deadline, taken.prev, taken.next, &mut slab);
            }
            assert_eq!(level.slots[place.slot()].len, 0);
            assert!(level.slots[place.slot()].marks.is_none());
        }
    }

    /// Covers a timer that moves to and fro, and many timers that come and go.
    #[test]
    fn an_order_takes_no_more_room_than_its_slot_needs() {
        const COUNT: u64 = 1000;
        let mut wheel = crate::Wheel::new(0);
        let deadline = |late: u64| (1 << 40) + 100 + late;
        let keys: Vec<_> = (0..COUNT).rev().map(|late| wheel.insert(deadline(late), ())).collect();
        let room = |wheel: &crate::Wheel<()>| {
            let levels = wheel.levels.iter().flatten();
            levels.flat_map(|level| &level.orders).map(|(_, order)| order.room()).collect::<Vec<_>>()
        };
        wheel.cancel(keys[999]);
        assert_eq!(wheel.next_deadline(), Some(deadline(1)), "which makes an order");
        for turn in 0..20 * COUNT {
            assert!(wheel.reschedule(keys[499], deadline(500 + turn % 2)));
            let other = wheel.insert(deadline(COUNT - turn % 700), ());
            wheel.next_deadline();
            wheel.cancel(other);
        }
        assert!(matches!(room(&wheel)[..], [room] if room <= 3 * COUNT as usize), "{:?}", room(&wheel));
        wheel.clear();
        assert_eq!(room(&wheel), [0; 0], "an empty slot has none");
    }
}
