//! How does a caller name one timer?

use std::num::NonZeroU32;

/// Names one armed timer of one [`Wheel`](crate::Wheel).
///
/// A key is eight bytes and so is an `Option<Key>`. It stays valid while its timer is armed, also
/// across [`reschedule`](crate::Wheel::reschedule). It is stale for ever once the timer has fired
/// or was cancelled: the node of a timer is reused, its key never is. Every operation on a stale
/// key returns `None` or `false` and changes nothing.
///
/// A key has a meaning only for the wheel that made it. In any other wheel it is either stale or
/// names an unrelated timer.
///
/// # Examples
///
/// ```
/// use selvedge_timer_wheel::{Key, Wheel};
///
/// let mut wheel = Wheel::new(0);
/// let old = wheel.insert(10, 'a');
/// wheel.cancel(old);
/// let new = wheel.insert(10, 'b'); // reuses the node of 'a'
/// assert_ne!(old, new);
/// assert_eq!(wheel.get(old), None);
/// assert_eq!(size_of::<Option<Key>>(), 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) index: NonZeroU32,
    pub(crate) generation: u32,
}

impl Key {
    /// The key as a number, for an atomic word. Never zero.
    #[inline]
    pub const fn to_bits(self) -> u64 {
        (self.index.get() as u64) << 32 | self.generation as u64
    }
}
