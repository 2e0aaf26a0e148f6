//! How is a timer armed and disarmed?

use std::fmt;

use crate::key::Key;
use crate::level::{Level, Remaining};
use crate::place::{Place, RANKS};
use crate::slab::Slab;

/// Timers by deadline: a hierarchical timer wheel.
///
/// The caller decides what a tick is; the wheel only compares. The caller moves time with
/// [`poll`](Self::poll). Values are dropped with the wheel. The [crate documentation](crate) says
/// what the operations cost and what order they keep.
///
/// # Examples
///
/// ```
/// use selvedge_timer_wheel::Wheel;
///
/// let mut wheel = Wheel::new(0);
/// wheel.insert(20, "b");
/// wheel.insert(10, "a");
/// wheel.insert(20, "c");
/// let order: Vec<_> = wheel.poll(20).map(|entry| entry.value).collect();
/// assert_eq!(order, ["a", "b", "c"]);
/// ```
pub struct Wheel<T> {
    pub(crate) slab: Slab<T>,
    /// Levels by rank, allocated when they are first needed. A wheel whose timeouts have similar
    /// lengths uses two or three of them.
    pub(crate) levels: [Option<Box<Level>>; RANKS],
    /// A bit for every rank that has an occupied slot. The lowest one holds the earliest timer.
    pub(crate) ranks: u32,
    /// The time for which all places are right. It is behind `now` only while due timers have not
    /// been fetched.
    pub(crate) cursor: u64,
    /// The latest time that was passed to [`poll`](Self::poll).
    pub(crate) now: u64,
}

impl<T> Wheel<T> {
    /// An empty wheel whose time is `now`.
    ///
    /// Allocates nothing before the first insert.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let wheel = Wheel::<u32>::new(u64::MAX);
    /// assert!(wheel.is_empty());
    /// assert_eq!(wheel.now(), u64::MAX);
    /// ```
    pub const fn new(now: u64) -> Self {
        Self { slab: Slab::new(), levels: [const { None }; RANKS], ranks: 0, cursor: now, now }
    }

    /// Arms a timer that is due when time reaches `deadline`.
    ///
    /// Any deadline is accepted. A timer whose deadline is not in the future is due at the next
    /// [`poll`](Self::poll), whatever time is passed to it.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(100);
    /// wheel.insert(u64::MAX, "the end of time");
    /// wheel.insert(7, "long ago");
    /// assert_eq!(wheel.poll(100).next().unwrap().value, "long ago");
    /// ```
    ///
    /// # Panics
    ///
    /// If four billion timers are armed already.
    #[inline]
    pub fn insert(&mut self, deadline: u64, value: T) -> Key {
        let index = self.slab.reserve();
        let prev = self.link(index, deadline);
        self.slab.occupy(index, deadline, value, prev)
    }

    /// A key for a timer that will be armed later with [`arm`](Self::arm).
    ///
    /// Its memory is taken until then; [`release`](Self::release) gives it back. So a caller that
    /// shares its wheel can give out keys ahead of time. It need not touch the wheel for a timer
    /// that is cancelled before it would have been armed.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// let key = wheel.reserve();
    /// assert!(wheel.is_empty());
    /// assert_eq!(wheel.arm(key, 5, "value"), Ok(()));
    /// assert_eq!(wheel.arm(key, 6, "other"), Err("other"), "it is armed already");
    /// assert_eq!(wheel.cancel(key), Some("value"));
    /// ```
    ///
    /// # Panics
    ///
    /// If four billion timers are armed already.
    pub fn reserve(&mut self) -> Key {
        self.slab.hold()
    }

    /// Arms a timer under a key from [`reserve`](Self::reserve).
    ///
    /// # Errors
    ///
    /// The value, if the key is stale or its timer is armed already.
    #[inline]
    pub fn arm(&mut self, key: Key, deadline: u64, value: T) -> Result<(), T> {
        if !self.slab.is_held(key) {
            return Err(value);
        }
        let index = key.index.get();
        let prev = self.link(index, deadline);
        self.slab.fill(index, deadline, value, prev);
        Ok(())
    }

    /// Gives up a key from [`reserve`](Self::reserve), which is stale from then on. Nothing happens
    /// if its timer has been armed, or if it was given up before.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// let key = wheel.reserve();
    /// wheel.release(key);
    /// wheel.release(key);
    /// assert_eq!(wheel.arm(key, 5, "value"), Err("value"));
    /// ```
    pub fn release(&mut self, key: Key) {
        if self.slab.is_held(key) {
            self.slab.let_go(key);
        }
    }

    /// Disarms a timer and returns its value. Its memory is free at once.
    ///
    /// Returns `None`, and changes nothing, if the timer has fired or was cancelled before.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// let key = wheel.insert(5, "value");
    /// assert_eq!(wheel.cancel(key), Some("value"));
    /// assert_eq!(wheel.cancel(key), None);
    /// ```
    #[inline]
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        let taken = self.slab.take(key)?;
        self.unlink(taken.deadline, taken.prev, taken.next);
        Some(taken.value)
    }

    /// Moves an armed timer to another deadline; its key stays valid. Returns `false`, and changes
    /// nothing, if the key is stale.
    ///
    /// Among timers with the same deadline it now counts as the last one armed, also if the
    /// deadline is the one that it had.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// let key = wheel.insert(5, "value");
    /// assert!(wheel.reschedule(key, 50));
    /// assert_eq!(wheel.poll(49).next(), None);
    /// assert_eq!(wheel.cancel(key), Some("value"));
    /// assert!(!wheel.reschedule(key, 60));
    /// ```
    #[inline]
    pub fn reschedule(&mut self, key: Key, deadline: u64) -> bool {
        if self.slab.value(key).is_none() {
            return false;
        }
        let Some(node) = self.slab.lookup(key) else { return false };
        let (old, prev, next) = (node.deadline, node.prev, node.next);
        self.unlink(old, prev, next);
        self.relink(key.index.get(), deadline);
        true
    }

    /// The value of an armed timer, or `None` if the key is stale.
    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slab.value(key)
    }

    /// The value of an armed timer to change in place, or `None` if the key is stale.
    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slab.value_mut(key)
    }

    /// When an armed timer is due, or `None` if the key is stale.
    ///
    /// This is the deadline that the timer was given, even if it lay in the past.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(100);
    /// let key = wheel.insert(7, ());
    /// assert_eq!(wheel.deadline(key), Some(7));
    /// ```
    #[inline]
    pub fn deadline(&self, key: Key) -> Option<u64> {
        self.slab.value(key)?;
        Some(self.slab.lookup(key)?.deadline)
    }

    /// The latest time that was passed to [`poll`](Self::poll), or the time the wheel was made
    /// with.
    #[inline]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many timers are armed.
    #[inline]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no timer is armed.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    /// Appends node `index` to the list where `deadline` belongs and returns its predecessor there.
    #[inline]
    #[must_use]
    fn link(&mut self, index: u32, deadline: u64) -> u32 {
        let place = Place::of(deadline, self.cursor);
        self.ranks |= 1 << place.rank();
        let level = self.levels[place.rank()].get_or_insert_with(new_level);
        level.append(place, index, deadline, &mut self.slab)
    }

    /// Places a node that stores a timer already.
    #[inline]
    pub(crate) fn relink(&mut self, index: u32, deadline: u64) {
        let prev = self.link(index, deadline);
        let node = self.slab.node_mut(index);
        node.deadline = deadline;
        node.prev = prev;
        node.next = crate::slab::NIL;
    }

    /// Closes the gap that a timer leaves. By the invariant of [`Place`], its place follows from
    /// its deadline.
    #[inline]
    pub(crate) fn unlink(&mut self, deadline: u64, prev: u32, next: u32) {
        let place = Place::of(deadline, self.cursor);
        let level = self.levels[place.rank()].as_mut().expect("an armed timer is on some level");
        if level.unlink(place, deadline, prev, next, &mut self.slab) == Remaining::None {
            self.ranks &= !(1 << place.rank());
        }
    }

    /// The first occupied slot of the lowest occupied rank. It contains the earliest timer.
    #[inline]
    pub(crate) fn first(&self) -> Option<(Place, &Level)> {
        if self.ranks == 0 {
            return None;
        }
        let rank = self.ranks.trailing_zeros() as usize;
        let level = self.levels[rank].as_deref()?;
        Some((Place::new(rank, level.first()?), level))
    }
}

#[cold]
fn new_level() -> Box<Level> {
    Box::new(Level::new())
}

impl<T> Default for Wheel<T> {
    /// An empty wheel whose time is 0.
    fn default() -> Self {
        Self::new(0)
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel").field("now", &self.now).field("len", &self.len()).finish_non_exhaustive()
    }
}
