//! How are waiters stored, so that the cost of each operation hardly grows with their number?
//!
//! A wait list is guarded by the lock of the object that is waited for: a future, task, stream or
//! socket. Each waiter has a key from a counter, so keys are in the order of arrival. Waiters may
//! be added, updated and removed in any order, or all taken at once.
//!
//! Usually at most one task waits: the first waiter is stored in the list itself, without an
//! allocation. The others are stored in blocks of [`BLOCK`] successive keys, which a B-tree finds.
//! Each operation costs O(log n) comparisons in the *worst* case. A vector that marks removed
//! waiters and is compacted now and then would cost less on average, but compacting n waiters under
//! the lock makes other threads wait for it. For the same reason nothing here iterates under the
//! lock: the caller moves the list out ([`take`](WaitList::take), constant time) and iterates
//! outside the lock.
//!
//! A tree without blocks costs two to three times as much when many waiters leave in random order:
//! it has up to `BLOCK` times as many entries, and each step of a search misses the cache.
//!
//! A block is freed with its last waiter, so a list that many waiters have left is as small as
//!
//! Also rejected: an intrusive list, which needs unsafe code outside of the `task` folder.
//! before.

use std::collections::{BTreeMap, btree_map};
use std::iter::Flatten;
use std::vec;

/// Successive keys of one block.
const BLOCK: usize = 16;

/// Waiters of type `T`, each under a key that the owner chooses. They are in the order of their
/// keys, except that the waiter that was added to the empty list comes first.
#[derive(Debug)]
pub struct WaitList<T> {
    /// The waiter that was added when the list was empty.
    first: Option<(u64, T)>,
    /// Never empty. Boxed, because there are many lists, and few with more than one waiter.
    more: Option<Box<Crowd<T>>>,
}

#[derive(Debug)]
struct Crowd<T> {
    /// Keyed by the waiters' keys divided by the size of a block. No block is empty.
    blocks: BTreeMap<BlockNumber, Block<T>>,
    len: usize,
}

#[derive(Debug)]
struct Block<T> {
    waiters: Box<[Option<T>; BLOCK]>,
    len: usize,
}

/// A key divided by [`BLOCK`]. A type of its own, so that a test can count comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockNumber(u64);

impl BlockNumber {
    /// The block of a key, and the index in it.
    fn of(key: u64) -> (Self, usize) {
        (Self(key / BLOCK as u64), (key % BLOCK as u64) as usize)
    }
}

impl Ord for BlockNumber {
    #[inline]
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        #[cfg(all(test, not(selvedge_loom)))]
        tests::COMPARED.set(tests::COMPARED.get() + 1);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for BlockNumber {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Crowd<T> {
    fn get(&self, key: u64) -> Option<&T> {
        let (block, place) = BlockNumber::of(key);
        self.blocks.get(&block)?.waiters[place].as_ref()
    }

    fn put(&mut self, key: u64, waiter: T) -> Option<T> {
        let (block, place) = BlockNumber::of(key);
        let empty = || Block { waiters: Box::new([const { None }; BLOCK]), len: 0 };
        let block = self.blocks.entry(block).or_insert_with(empty);
        let former = block.waiters[place].replace(waiter);
        let is_new = usize::from(former.is_none());
        block.len += is_new;
        self.len += is_new;
        former
    }

    fn remove(&mut self, key: u64) -> Option<T> {
        let (number, place) = BlockNumber::of(key);
        let block = self.blocks.get_mut(&number)?;
        let gone = block.waiters[place].take()?;
        block.len -= 1;
        self.len -= 1;
        if block.len == 0 {
            self.blocks.remove(&number);
        }
        Some(gone)
    }
}

impl<T> WaitList<T> {
    /// An empty list.
    #[inline]
    pub const fn new() -> Self {
        Self { first: None, more: None }
    }

    /// Whether the list is empty.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_none()
    }

    /// The number of waiters.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.as_ref().map_or(0, |more| more.len)
    }

    /// Takes all waiters out, in constant time.
    #[inline]
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// The waiter with this key.
    #[inline]
    pub fn get(&self, key: u64) -> Option<&T> {
        match &self.first {
            Some((first, waiter)) if *first == key => Some(waiter),
            _ => self.more.as_ref()?.get(key),
        }
    }

    /// Adds or replaces a waiter. Returns the one that had this key before.
    #[inline]
    pub fn put(&mut self, key: u64, waiter: T) -> Option<T> {
        match &mut self.first {
            None if self.more.is_none() => {
                self.first = Some((key, waiter));
                None
            }
            Some((first, known)) if *first == key => Some(std::mem::replace(known, waiter)),
            _ => self.put_behind(key, waiter),
        }
    }

    #[cold]
    fn put_behind(&mut self, key: u64, waiter: T) -> Option<T> {
        let none = || Box::new(Crowd { blocks: BTreeMap::new(), len: 0 });
        self.more.get_or_insert_with(none).put(key, waiter)
    }

    /// Removes one waiter, if it is still there.
    #[inline]
    pub fn remove(&mut self, key: u64) -> Option<T> {
        if self.first.as_ref().is_some_and(|(first, _)| *first == key) {
            return self.first.take().map(|(_, waiter)| waiter);
        }
        self.remove_behind(key)
    }

    #[cold]
    fn remove_behind(&mut self, key: u64) -> Option<T> {
        let more = self.more.as_mut()?;
        let gone = more.remove(key);
        if more.len == 0 {
            self.more = None;
        }
        gone
    }
}

impl<T> Default for WaitList<T> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

/// The waiters of a list that was taken, in the order in which they came.
#[derive(Debug)]
pub struct Waiters<T> {
    first: Option<(u64, T)>,
    block: Flatten<vec::IntoIter<Option<T>>>,
    blocks: btree_map::IntoValues<BlockNumber, Block<T>>,
    /// The number of waiters in blocks.
    left: usize,
}

impl<T> Iterator for Waiters<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if let Some((_, waiter)) = self.first.take() {
            return Some(waiter);
        }
        if self.left == 0 { None } else { self.next_behind() }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let all = usize::from(self.first.is_some()) + self.left;
        (all, Some(all))
    }
}

impl<T> Waiters<T> {
    #[cold]
    fn next_behind(&mut self) -> Option<T> {
        self.left -= 1;
        loop {
            if let Some(waiter) = self.block.next() {
                return Some(waiter);
            }
            self.block = (self.blocks.next()?.waiters as Box<[_]>).into_vec().into_iter().flatten();
        }
    }
}

impl<T> ExactSizeIterator for Waiters<T> {}

impl<T> IntoIterator for WaitList<T> {
    type Item = T;
    type IntoIter = Waiters<T>;

    #[inline]
    fn into_iter(self) -> Waiters<T> {
        let (blocks, left) = self.more.map_or_else(Default::default, |more| (more.blocks, more.len));
        Waiters {
            first: self.first,
            block: Vec::new().into_iter().flatten(),
            blocks: blocks.into_values(),
            left,
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use std::cell::Cell;
    use std::task::Waker;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    thread_local!(pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) });

    /// The greatest number of comparisons in one call of `operate`.
    fn most_steps(keys: impl IntoIterator<Item = u64>, mut operate: impl FnMut(u64)) -> usize {
        let steps = |key| {
            COMPARED.set(0);
            operate(key);
            COMPARED.get()
        };
        keys.into_iter().map(steps).max().unwrap_or(0)
    }

    /// All numbers below `count`, which is a power of two, in a scrambled order.
    fn shuffled(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |index| index.wrapping_mul(0x9e37_79b1) % count)
    }

    type Order = fn(u64) -> Box<dyn Iterator<Item = u64>>;

    /// Not only on average: every single step is short, because other threads wait for the lock
    /// meanwhile.
    #[test]
    fn no_step_grows_with_the_number_of_waiters() {
        let count = 1 << 14;
        let orders: [(&str, Order); 3] = [
            ("first come, first gone", |count| Box::new(0..count)),
            ("last come, first gone", |count| Box::new((0..count).rev())),
            ("in no order", |count| Box::new(shuffled(count))),
        ];
        for (name, order) in orders {
            let mut list = WaitList::new();
            // There are 2^14 / BLOCK blocks. A node of a B-tree has at most eleven keys and, except
            // for the root, at least five: 10 / log2(6) levels of at most 11 comparisons; twice
            // that when the last waiter of a block leaves.
            let bound = 2 * 44;
            let arriving = most_steps(0..count, |key| assert_eq!(list.put(key, key), None));
            let renewing = most_steps(order(count), |key| assert_eq!(list.put(key, key), Some(key)));
            let looking = most_steps(order(count), |key| assert_eq!(list.get(key), Some(&key)));
            let leaving = most_steps(order(count), |key| assert_eq!(list.remove(key), Some(key)));
            let steps = [arriving, renewing, looking, leaving];
            assert!(steps.iter().all(|&most| most <= bound), "{name}: {steps:?}");
            assert!(list.is_empty() && list.more.is_none(), "{name}: what has left takes its memory along");
        }
    }

    #[test]
    fn all_are_taken_out_without_a_step() {
        let mut list = WaitList::new();
        (0..1000).for_each(|key| _ = list.put(key, key));
        COMPARED.set(0);
        let taken = list.take();
        assert!(list.is_empty());
        assert_eq!(taken.into_iter().size_hint(), (1000, Some(1000)));
        assert_eq!(COMPARED.get(), 0);
    }

    /// A list is part of every future, and there are two in every socket.
    #[test]
    fn a_list_takes_little_room_and_one_waiter_no_more() {
        assert_eq!(size_of::<WaitList<Waker>>(), 32);
        let mut list = WaitList::new();
        assert_eq!(list.put(1, "the only one"), None);
        assert!(list.more.is_none());
        assert_eq!(list.remove(1), Some("the only one"));
    }

    #[derive(Clone, Debug)]
    enum Operation {
        Put,
        Renew(prop::sample::Index),
        Remove(prop::sample::Index),
        /// Removes a waiter that is not there.
        RemoveAgain(prop::sample::Index),
        Take,
    }

    fn operations() -> impl Strategy<Value = Vec<Operation>> {
        let any = any::<prop::sample::Index>;
        let operation = prop_oneof![
            8 => Just(Operation::Put),
            2 => any().prop_map(Operation::Renew),
            6 => any().prop_map(Operation::Remove),
            1 => any().prop_map(Operation::RemoveAgain),
            1 => Just(Operation::Take),
        ];
        vec(operation, 0..100)
    }

    proptest! {
        /// Compares the list with a plain vector.
        #[test]
        fn it_does_what_a_row_does(operations in operations()) {
            let (mut list, mut row, mut gone) = (WaitList::new(), Vec::<(u64, u32)>::new(), Vec::new());
            for (value, operation) in (0..).zip(operations) {
                match operation {
                    Operation::Put => {
                        let key = u64::from(value);
                        row.push((key, value));
                        prop_assert_eq!(list.put(key, value), None);
                    }
                    Operation::Renew(index) if !row.is_empty() => {
                        let entry = index.get(&row).0;
                        let known = row.iter_mut().find(|(key, _)| *key == entry).expect("it is one of them");
                        prop_assert_eq!(list.put(entry, value), Some(known.1));
                        known.1 = value;
                    }
                    Operation::Remove(index) if !row.is_empty() => {
                        let (key, known) = row.remove(index.index(row.len()));
                        gone.push(key);
                        prop_assert_eq!(list.remove(key), Some(known));
                    }
                    Operation::RemoveAgain(index) if !gone.is_empty() => {
                        prop_assert_eq!(list.get(*index.get(&gone)), None);
                        prop_assert_eq!(list.remove(*index.get(&gone)), None);
                    }
                    Operation::Take => {
                        gone.extend(row.iter().map(|(key, _)| *key));
                        let all: Vec<_> = row.drain(..).map(|(_, known)| known).collect();
                        prop_assert_eq!(list.take().into_iter().collect::<Vec<_>>(), all);
                    }
                    _ => {}
                }
                prop_assert_eq!((list.len(), list.is_empty()), (row.len(), row.is_empty()));
                prop_assert!(row.iter().all(|(key, known)| list.get(*key) == Some(known)));
            }
            let all: Vec<_> = row.into_iter().map(|(_, known)| known).collect();
            prop_assert_eq!(list.into_iter().collect::<Vec<_>>(), all);
        }
    }
}
