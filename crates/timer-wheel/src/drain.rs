//! How do all timers leave the wheel at once?

use std::iter::FusedIterator;

use crate::expire::Entry;
use crate::wheel::Wheel;

/// All timers of a wheel, in no particular order. Made by [`Wheel::drain`].
///
/// Dropping it disarms the timers that were not fetched. If the destructor of a value panics
/// meanwhile, the timers after it stay armed.
#[derive(Debug)]
pub struct Drain<'a, T> {
    wheel: &'a mut Wheel<T>,
}

impl<T> Wheel<T> {
    /// Disarms all timers and returns them.
    ///
    /// For a shutdown under a lock: collect the values, release the lock, then drop them. Time does
    /// not move, and the wheel keeps its memory for later timers.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// wheel.insert(u64::MAX, "far");
    /// wheel.insert(3, "near");
    /// let mut values: Vec<_> = wheel.drain().map(|entry| entry.value).collect();
    /// values.sort();
    /// assert_eq!(values, ["far", "near"]);
    /// assert!(wheel.is_empty());
    /// ```
    pub fn drain(&mut self) -> Drain<'_, T> {
        Drain { wheel: self }
    }

    /// Disarms all timers and drops their values. All keys are stale afterwards.
    ///
    /// If the destructor of a value panics, the timers that were not reached stay armed.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge_timer_wheel::Wheel;
    ///
    /// let mut wheel = Wheel::new(0);
    /// let key = wheel.insert(3, ());
    /// wheel.clear();
    /// assert!(wheel.is_empty() && wheel.cancel(key).is_none());
    /// ```
    pub fn clear(&mut self) {
        drop(self.drain());
    }
}

impl<T> Iterator for Drain<'_, T> {
    type Item = Entry<T>;

    fn next(&mut self) -> Option<Entry<T>> {
        let (place, _) = self.wheel.first()?;
        self.wheel.pop(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.wheel.len(), Some(self.wheel.len()))
    }
}

impl<T> ExactSizeIterator for Drain<'_, T> {}
impl<T> FusedIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
