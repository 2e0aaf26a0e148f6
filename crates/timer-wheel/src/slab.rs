//! Where is an armed timer stored?
//!
//! In a node, and nodes are in chunks that never move. So a growing wheel copies nothing, and no
//! insert has to wait for a copy of millions of nodes. The first chunk is small, because most
//! wheels stay small. Each new chunk doubles the capacity until chunks have their full size; from
//! then on at most one chunk is unused. Node numbers start at the size of the first chunk. So the
//! highest bit of a number gives its chunk, and the number 0 can mean "none" in links and in the
//! niche of [`Key`].
//!
//! A vacant node is linked into the free list through `next`, and its generation goes up by one,
//! which makes all keys to it stale. The list is last-in, first-out, because a node that was freed
//! a moment ago is still in the cache.

use std::num::NonZeroU32;

use crate::key::Key;

/// Ends a list of nodes.
pub(crate) const NIL: u32 = 0;

/// Nodes in the first chunk, as a power of two: an idle wheel stays below a kilobyte of them.
const FIRST_BITS: u32 = 4;

/// Nodes in a full chunk, as a power of two: large enough for the table of chunks to stay in the
/// cache with millions of timers, small enough for an unfinished chunk not to matter with
/// thousands.
const FULL_BITS: u32 = 10;

/// In `prev`: the node is in the free list. A key from another wheel may still match its
/// generation.
const VACANT: u32 = u32::MAX;

/// A generation that no key ever carries. A node that reaches it is never used again: to lose a few
/// bytes after four billion uses of one node is better than a very old key that cancels an
/// unrelated timer.
const RETIRED: u32 = u32::MAX;

/// A timer, or a vacant node. Links are node numbers.
pub(crate) struct Node<T> {
    pub(crate) deadline: u64,
    /// `None` exactly while the node is vacant or held.
    value: Option<T>,
    pub(crate) prev: u32,
    pub(crate) next: u32,
    generation: u32,
}

impl<T> Node<T> {
    /// Distinguishes the timers that use this node one after the other.
    #[inline]
    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }
}

/// The contents of a node whose timer has been taken out: its value, its deadline, and the two
/// neighbours that must be linked to each other.
pub(crate) struct Taken<T> {
    pub(crate) value: T,
    pub(crate) deadline: u64,
    pub(crate) prev: u32,
    pub(crate) next: u32,
}

pub(crate) struct Slab<T> {
    chunks: Vec<Vec<Node<T>>>,
    /// Head of the list of vacant nodes.
    free: u32,
    /// The lowest number that has never been used.
    fresh: u32,
    len: usize,
}

/// The chunk of a node, and its offset in the chunk.
#[inline]
const fn locate(index: u32) -> (usize, usize) {
    if index >> FULL_BITS == 0 {
        // Number 0 has no chunk. It gets a chunk number beyond all chunks, so that a lookup finds
        // nothing.
        let bits = (index | 1).ilog2();
        let chunk = bits.wrapping_sub(FIRST_BITS) as usize;
        (chunk, (index ^ (1 << bits)) as usize)
    } else {
        let chunk = (index >> FULL_BITS) + FULL_BITS - FIRST_BITS - 1;
        (chunk as usize, (index % (1 << FULL_BITS)) as usize)
    }
}

#[cfg(test)]
std::thread_local! {
    /// How often this thread has read a node.
    pub(crate) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: NIL, fresh: 1 << FIRST_BITS, len: 0 }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn node(&self, index: u32) -> &Node<T> {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let (chunk, offset) = locate(index);
        &self.chunks[chunk][offset]
    }

    #[inline]
    pub(crate) fn node_mut(&mut self, index: u32) -> &mut Node<T> {
        let (chunk, offset) = locate(index);
        &mut self.chunks[chunk][offset]
    }

    /// The node that `key` names, if it still stores the same timer.
    #[inline]
    pub(crate) fn lookup(&self, key: Key) -> Option<&Node<T>> {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let (chunk, offset) = locate(key.index.get());
        let node = self.chunks.get(chunk)?.get(offset)?;
        (node.generation == key.generation).then_some(node)
    }

    #[inline]
    fn lookup_mut(&mut self, key: Key) -> Option<&mut Node<T>> {
        let (chunk, offset) = locate(key.index.get());
        let node = self.chunks.get_mut(chunk)?.get_mut(offset)?;
        (node.generation == key.generation).then_some(node)
    }

    #[inline]
    pub(crate) fn value(&self, key: Key) -> Option<&T> {
        self.lookup(key)?.value.as_ref()
    }

    #[inline]
    pub(crate) fn value_mut(&mut self, key: Key) -> Option<&mut T> {
        self.lookup_mut(key)?.value.as_mut()
    }

    /// The node that [`occupy`](Self::occupy) will use. Everything that can fail happens here,
    /// before any list is touched.
    #[inline]
    pub(crate) fn reserve(&mut self) -> u32 {
        if self.free == NIL { self.reserve_fresh() } else { self.free }
    }

    #[cold]
    fn reserve_fresh(&mut self) -> u32 {
        assert!(self.fresh != u32::MAX, "a timer wheel holds at most four billion timers");
        let (chunk, offset) = locate(self.fresh);
        if offset == 0 && chunk == self.chunks.len() {
            let room = 1 << (FIRST_BITS as usize + chunk).min(FULL_BITS as usize);
            self.chunks.push(Vec::with_capacity(room));
        }
        self.fresh
    }

    /// Puts a timer into the reserved node. The timer becomes the last of its list, after `prev`.
    #[inline]
    pub(crate) fn occupy(&mut self, index: u32, deadline: u64, value: T, prev: u32) -> Key {
        self.len += 1;
        let generation = if index == self.fresh {
            self.fresh += 1;
            let (chunk, _) = locate(index);
            self.chunks[chunk].push(Node { deadline, value: Some(value), prev, next: NIL, generation: 0 });
            0
        } else {
            let node = self.node_mut(index);
            let next = std::mem::replace(&mut node.next, NIL);
            node.deadline = deadline;
            node.value = Some(value);
            node.prev = prev;
            let generation = node.generation;
            self.free = next;
            generation
        };
        let index = NonZeroU32::new(index).expect("node numbers start above zero");
        Key { index, generation }
    }

    /// Takes a node out of the free list for a timer that will be put into it later.
    pub(crate) fn hold(&mut self) -> Key {
        let index = self.reserve();
        let generation = if index == self.fresh {
            self.fresh += 1;
            let (chunk, _) = locate(index);
            self.chunks[chunk].push(Node { deadline: 0, value: None, prev: NIL, next: NIL, generation: 0 });
            0
        } else {
            let node = self.node_mut(index);
            let next = std::mem::replace(&mut node.next, NIL);
            node.prev = NIL;
            let generation = node.generation;
            self.free = next;
            generation
        };
        Key { index: NonZeroU32::new(index).expect("node numbers start above zero"), generation }
    }

    /// Whether the node that `key` names is held and still empty.
    #[inline]
    pub(crate) fn is_held(&self, key: Key) -> bool {
        self.lookup(key).is_some_and(|node| node.value.is_none() && node.prev != VACANT)
    }

    /// Puts a timer into a held node. The timer becomes the last of its list, after `prev`.
    #[inline]
    pub(crate) fn fill(&mut self, index: u32, deadline: u64, value: T, prev: u32) {
        self.len += 1;
        let node = self.node_mut(index);
        (node.deadline, node.prev, node.next) = (deadline, prev, NIL);
        node.value = Some(value);
    }

    /// Returns a held and still empty node to the free list.
    pub(crate) fn let_go(&mut self, key: Key) {
        let free = self.free;
        let node = self.node_mut(key.index.get());
        (node.prev, node.next) = (VACANT, free);
        node.generation += 1;
        if node.generation != RETIRED {
            self.free = key.index.get();
        }
    }

    /// Takes the timer that `key` names out of its node. The node is free at once.
    #[inline]
    pub(crate) fn take(&mut self, key: Key) -> Option<Taken<T>> {
        let free = self.free;
        let node = self.lookup_mut(key)?;
        let value = node.value.take()?;
        let taken = Taken { value, deadline: node.deadline, prev: node.prev, next: node.next };
        (node.prev, node.next) = (VACANT, free);
        node.generation += 1;
        if node.generation != RETIRED {
            self.free = key.index.get();
        }
        self.len -= 1;
        Some(taken)
    }

    /// The generation of the timer that uses this node, or will use it next.
    #[inline]
    pub(crate) fn generation(&self, index: u32) -> u32 {
        if index == self.fresh { 0 } else { self.node(index).generation }
    }

    /// The key of the timer in an occupied node.
    #[inline]
    pub(crate) fn key(&self, index: u32) -> Key {
        let generation = self.node(index).generation;
        Key { index: NonZeroU32::new(index).expect("only occupied nodes have keys"), generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(slab: &mut Slab<u32>, value: u32) -> Key {
        let index = slab.reserve();
        slab.occupy(index, 0, value, NIL)
    }

    #[test]
    fn numbers_fill_chunk_after_chunk() {
        let (mut chunk, mut offset) = (0, 0);
        for index in (1 << FIRST_BITS)..20_000 {
            assert_eq!(locate(index), (chunk, offset));
            offset += 1;
            if offset == 1 << (FIRST_BITS as usize + chunk).min(FULL_BITS as usize) {
                (chunk, offset) = (chunk + 1, 0);
            }
        }
    }

    #[test]
    fn chunks_never_grow() {
        let mut slab = Slab::new();
        let mut keys = Vec::new();
        for value in 0..5_000 {
            keys.push(put(&mut slab, value));
            for (number, chunk) in slab.chunks.iter().enumerate() {
                assert_eq!(chunk.capacity(), 1 << (FIRST_BITS as usize + number).min(FULL_BITS as usize));
            }
        }
        for (value, key) in (0..).zip(keys) {
            assert_eq!(slab.value(key), Some(&value));
        }
    }

    #[test]
    fn latest_room_is_reused_first() {
        let mut slab = Slab::new();
        let (a, b) = (put(&mut slab, 1), put(&mut slab, 2));
        slab.take(a).unwrap();
        slab.take(b).unwrap();
        assert_eq!(put(&mut slab, 3).index, b.index);
        assert_eq!(put(&mut slab, 4).index, a.index);
        assert!(slab.lookup(a).is_none() && slab.lookup(b).is_none());
    }

    #[test]
    fn generations_do_not_wrap() {
        let mut slab = Slab::new();
        let first = put(&mut slab, 1);
        slab.take(first).unwrap();
        slab.node_mut(first.index.get()).generation = RETIRED - 1;
        let last = put(&mut slab, 2);
        assert_eq!(last.index, first.index);
        assert_eq!(slab.take(last).unwrap().value, 2);
        let other = put(&mut slab, 3);
        assert_ne!(other.index, first.index, "a retired node is not used again");
        assert!(slab.take(last).is_none());
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn foreign_keys_find_nothing() {
        let slab = Slab::<u32>::new();
        for index in [1, 15, 16, 1023, 1024, u32::MAX] {
            let index = NonZeroU32::new(index).unwrap();
            assert!(slab.lookup(Key { index, generation: 0 }).is_none());
        }
    }
}
