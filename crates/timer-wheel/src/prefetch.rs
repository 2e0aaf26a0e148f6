//! How is a long list loaded into the cache faster than node by node?
//!
//! The nodes of a long list have usually left the cache when the list is walked, so each is a cache
//! miss. Each node names the next one, so a walk waits for one miss after the other. A long list
//! therefore records some of its nodes, its prefetch points, at even distances. A prefetch walks
//! the list from all these points at once, so that their misses overlap. The real walk then finds
//! the nodes in the cache.
//!
//! Prefetch points are hints. A recorded node may have left the list and joined another one, so a
//! prefetch counts its steps and stops.

use crate::slab::{NIL, Slab};

/// The length from which a list records prefetch points. Shorter lists pay nothing.
pub(crate) const CROWD: u32 = 64;

/// The distance between two prefetch points, until the array of points is full.
const FIRST_STRIDE: u32 = 16;

/// The largest number of prefetch points: about as many cache misses as a core has under way at
/// once. Together with the two counts they fill a cache line.
const MOST: usize = 14;

/// The prefetch points of one list, about `stride` nodes apart.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The number of arrivals since the last prefetch point.
    since: u32,
    stride: u32,
    nodes: [u32; MOST],
}

impl Marks {
    /// The prefetch points of the list that begins with `head`.
    #[cold]
    pub(crate) fn of_list<T>(head: u32, slab: &Slab<T>) -> Self {
        let mut marks = Self { since: FIRST_STRIDE, stride: FIRST_STRIDE, nodes: [NIL; MOST] };
        let mut index = head;
        while index != NIL {
            marks.arrived(index);
            index = slab.node(index).next;
        }
        marks
    }

    /// Call this when `index` has been appended to the list.
    #[inline]
    pub(crate) fn arrived(&mut self, index: u32) {
        if self.since == self.stride {
            self.mark(index);
        }
        self.since += 1;
    }

    #[cold]
    fn mark(&mut self, index: u32) {
        let vacant = self.nodes.iter().position(|&node| node == NIL).unwrap_or_else(|| self.thin_out());
        self.nodes[vacant] = index;
        self.since = 0;
    }

    /// Forgets every second prefetch point. Returns the first index that is vacant now.
    fn thin_out(&mut self) -> usize {
        for kept in 0..MOST / 2 {
            self.nodes[kept] = self.nodes[2 * kept];
        }
        self.nodes[MOST / 2..].fill(NIL);
        self.stride = self.stride.saturating_mul(2);
        MOST / 2
    }

    /// Follows the list of `len` nodes from all prefetch points at once.
    pub(crate) fn fetch<T>(&self, slab: &Slab<T>, len: u32) {
        let mut ahead = self.nodes;
        for _ in 0..self.steps(len) {
            for index in ahead.iter_mut().filter(|index| **index != NIL) {
                *index = slab.node(*index).next;
            }
        }
        // Otherwise the compiler could remove the walks as useless.
        std::hint::black_box(ahead);
    }

    /// The number of steps of each walk. A walk ends at the next prefetch point, and all walks
    /// together take about as many steps as the list has nodes: if most of its timers have been
    /// cancelled, the points lead into other lists.
    fn steps(&self, len: u32) -> u32 {
        self.stride.min(len.div_ceil(self.walks()))
    }

    /// The number of walks, at least one.
    fn walks(&self) -> u32 {
        self.nodes.iter().map(|&node| u32::from(node != NIL)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of the nodes from number 16 on.
    fn list(len: u32) -> (Slab<()>, Marks) {
        let mut slab = Slab::new();
        let (mut prev, mut marks) = (NIL, None::<Marks>);
        for count in 1..=len {
            let index = slab.reserve();
            slab.occupy(index, 0, (), prev);
            if prev != NIL {
                slab.node_mut(prev).next = index;
            }
            match &mut marks {
                Some(marks) => marks.arrived(index),
                None if count == CROWD => marks = Some(Marks::of_list(16, &slab)),
                None => {}
            }
            prev = index;
        }
        (slab, marks.expect("a crowd"))
    }

    #[test]
    fn marks_are_evenly_spread_over_the_whole_list() {
        for len in [CROWD, 100, 224, 225, 1_000, 100_000] {
            let (_, marks) = list(len);
            let places: Vec<u32> =
                marks.nodes.iter().filter(|&&node| node != NIL).map(|node| node - 16).collect();
            assert!(places.len() >= CROWD.div_ceil(FIRST_STRIDE) as usize);
            for (number, place) in (0..).zip(&places) {
                assert_eq!(*place, number * marks.stride, "{len} nodes");
            }
            assert!(len - places.last().expect("some") <= marks.stride, "{len} nodes");
        }
    }

    #[test]
    fn the_walks_take_no_more_steps_than_there_are_nodes() {
        for len in [CROWD, 224, 1_000, 100_000] {
            let (slab, marks) = list(len);
            for left in [1, 3, len / 2, len] {
                assert!(marks.steps(left) * marks.walks() < left + marks.walks(), "{left} left of {len}");
            }
            assert!(marks.steps(len) > len / 2 / marks.walks(), "{len} nodes are not fetched");
            // The walks also end if every node leads back to itself.
            let mut slab = slab;
            for index in 16..16 + len {
                slab.node_mut(index).next = index;
            }
            marks.fetch(&slab, len);
        }
    }
}
