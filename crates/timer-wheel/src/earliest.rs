//! When will the next timer be due?

use crate::wheel::Wheel;

impl<T> Wheel<T> {
    /// The earliest deadline of all armed timers, or `None` if there are none.
    ///
    /// The answer is exact. It is not a bound at which the wheel merely has internal work to do. An
    /// overdue timer counts with the deadline that it was given, so the answer may lie in the past.
    ///
    /// The wheel caches the answer. It computes a new one only after the earliest timer of a slot
    /// has left. If that slot's timers were armed in order of their deadlines, the new answer is at
    /// the head of the slot. If not, the first call goes through that one slot, and each later one
    /// of n calls takes O(log n), amortised.
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
        let (place, _) = self.first()?;
        let level = self.levels[place.rank()].as_mut()?;
        let slot = &level.slots[place.slot()];
        if level.exact & place.bit() != 0 {
            return Some(slot.least);
        }
        let least = if level.ragged & place.bit() == 0 {
            self.slab.node(slot.head).deadline
        } else {
            level.least(place, &self.slab)
        };
        level.slots[place.slot()].least = least;
        level.exact |= place.bit();
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use crate::key::Key;
    use crate::slab::LOOKS;
    use crate::wheel::Wheel;

    /// Not the start of a slot.
    const BASE: u64 = (1 << 40) + 100;

    /// All numbers below `count`, which is a power of two, in a shuffled order.
    fn shuffled(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |index| index.wrapping_mul(0x9e37_79b1) % count)
    }

    /// A wheel with `count` timers in one slot, and their keys in order of their deadlines.
    fn crowd(count: u64) -> (Wheel<u64>, Vec<Key>) {
        let mut wheel = Wheel::new(0);
        let mut keys: Vec<_> = shuffled(count).map(|late| (late, wheel.insert(BASE + late, late))).collect();
        keys.sort_unstable_by_key(|&(late, _)| late);
        assert_eq!(wheel.next_deadline(), Some(BASE));
        (wheel, keys.into_iter().map(|(_, key)| key).collect())
    }

    type Step = fn(&mut Wheel<u64>, &mut Vec<Key>, u64, u64);

    /// Each step asks for the next deadline at its end, as a thread does before it sleeps.
    const STEPS: &[(&str, Step)] = &[
        ("the earliest is cancelled", |wheel, keys, turn, count| {
            wheel.cancel(keys[turn as usize]).expect("it is armed");
            let next = (turn + 1 < count).then_some(BASE + turn + 1);
            assert_eq!(wheel.next_deadline(), next);
        }),
        ("the earliest moves behind all others", |wheel, keys, turn, count| {
            assert!(wheel.reschedule(keys[turn as usize], BASE + count + turn));
            assert_eq!(wheel.next_deadline(), Some(BASE + turn + 1));
        }),
        ("the earliest is cancelled, another one comes", |wheel, keys, turn, count| {
            wheel.cancel(keys[turn as usize]).expect("it is armed");
            wheel.insert(BASE + 2 * count - 1 - turn, turn);
            assert_eq!(wheel.next_deadline(), Some(BASE + turn + 1));
        }),
        ("an earlier one comes and goes", |wheel, _, turn, _| {
            let earlier = wheel.insert(BASE - 1, turn);
            assert_eq!(wheel.next_deadline(), Some(BASE - 1));
            wheel.cancel(earlier).expect("it is armed");
            assert_eq!(wheel.next_deadline(), Some(BASE));
        }),
        ("the earliest moves to and fro", |wheel, keys, turn, _| {
            assert!(wheel.reschedule(keys[0], BASE + 2 + turn % 7));
            assert_eq!(wheel.next_deadline(), Some(BASE + 1));
            assert!(wheel.reschedule(keys[0], BASE));
            assert_eq!(wheel.next_deadline(), Some(BASE));
        }),
        ("a few of an earlier slot come and go", |wheel, _, _, _| {
            let few = [3, 2, 1].map(|early| wheel.insert(BASE / 2 + early, early));
            assert_eq!(wheel.next_deadline(), Some(BASE / 2 + 1));
            for (key, next) in few.into_iter().rev().zip([BASE / 2 + 2, BASE / 2 + 3, BASE]) {
                wheel.cancel(key).expect("it is armed");
                assert_eq!(wheel.next_deadline(), Some(next));
            }
        }),
    ];

    /// The number of nodes that each step reads, averaged over as many steps as there are timers.
    fn looks_each(step: Step, count: u64) -> usize {
        let (mut wheel, mut keys) = crowd(count);
        LOOKS.set(0);
        (0..count).for_each(|turn| step(&mut wheel, &mut keys, turn, count));
        LOOKS.get() / count as usize
    }

    #[test]
    fn the_next_deadline_costs_no_more_among_many() {
        for (name, step) in STEPS {
            let (few, many) = (looks_each(*step, 1 << 8), looks_each(*step, 1 << 13));
            println!("{name}: {few} of few, {many} of many");
            assert!(many <= 2 * few.max(16), "{name}: {few} of few, {many} of many");
        }
    }
}
