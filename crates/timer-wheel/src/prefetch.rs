//! How is a long list fetched faster than node by node?
//!
//! The nodes of a crowded slot have lain idle for long when their turn comes, so each is a cache miss; and as each names the next one, a
//! walk waits for them one after the other. A crowded slot therefore remembers some of its nodes, at even distances. A walk starts at all of
//! them at once, so that their misses overlap, and the one that does the work finds the nodes in the cache.
//!
//! Marks are hints. A node that has left the list, and perhaps come into another one, leads astray, so who follows marks counts the steps.

use crate::slab::{NIL, Slab};

/// Timers in a slot from which on it remembers marks: below it pays for nothing.
pub(crate) const CROWD: u32 = 64;

/// From one mark to the next, until there are more marks than there is room for.
const FIRST_STRIDE: u32 = 16;

/// Marks that are remembered at most: about as many misses as a core has under way at once. With the two counts they fill a cache line.
const MOST: usize = 14;

/// Nodes of one list, about `stride` apart.
#[derive(Debug)]
pub(crate) struct Marks {
    /// Arrivals since the last mark.
    since: u32,
    stride: u32,
    nodes: [u32; MOST],
}

impl Marks {
    /// Of the list that begins with `head`.
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

    /// `index` has come to the end of the list.
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

    /// Forgets every second mark. Returns the first place that is vacant now.
    fn thin_out(&mut self) -> usize {
        for kept in 0..MOST / 2 {
            self.nodes[kept] = self.nodes[2 * kept];
        }
        self.nodes[MOST / 2..].fill(NIL);
        self.stride = self.stride.saturating_mul(2);
        MOST / 2
    }

    /// Follows the list of `len` nodes from all marks at once.
    pub(crate) fn fetch<T>(&self, slab: &Slab<T>, len: u32) {
        let mut ahead = self.nodes;
        for _ in 0..self.steps(len) {
            for index in ahead.iter_mut().filter(|index| **index != NIL) {
                *index = slab.node(*index).next;
            }
        }
        // Or the walks might be found to be useless.
        std::hint::black_box(ahead);
    }

    /// The steps of each walk: to the next mark, but all walks together no more than the list has nodes. If most have been cancelled, the marks
    /// lead to others.
    fn steps(&self, len: u32) -> u32 {
        self.stride.min(len.div_ceil(self.walks()))
    }

    /// At least one.
    fn walks(&self) -> u32 {
        self.nodes.iter().map(|&node| u32::from(node != NIL)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of the nodes from 16 on.
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
            // Where every node leads back to itself, too.
            let mut slab = slab;
            for index in 16..16 + len {
                slab.node_mut(index).next = index;
            }
            marks.fetch(&slab, len);
        }
    }
}
