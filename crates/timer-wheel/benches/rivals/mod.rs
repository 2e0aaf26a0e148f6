//! Which timer queues are measured? The wheel, and others behind the same small interface.

mod published;
mod textbook;

pub use published::{QuadWheel, TokioDelayQueue};
pub use textbook::{Heap, Map};

use selvedge_timer_wheel::{Key, Wheel};

/// Sixteen bytes with a niche, like the waker that a timer usually carries.
pub type Value = (std::num::NonZeroU64, u64);

pub trait Timers {
    const NAME: &str;
    type Key: Copy;
    fn new() -> Self;
    fn insert(&mut self, deadline: u64, value: Value) -> Self::Key;
    fn cancel(&mut self, key: Self::Key) -> Option<Value>;
}

/// Timer queues whose caller passes the time in, instead of a queue that reads the clock.
pub trait Fires: Timers {
    /// Moves time to `now` and passes every due timer to `fired`.
    fn fire(&mut self, now: u64, fired: impl FnMut(Value));
}

impl Timers for Wheel<Value> {
    const NAME: &str = "this wheel";
    type Key = Key;

    fn new() -> Self {
        Wheel::new(0)
    }

    fn insert(&mut self, deadline: u64, value: Value) -> Key {
        Wheel::insert(self, deadline, value)
    }

    fn cancel(&mut self, key: Key) -> Option<Value> {
        Wheel::cancel(self, key)
    }
}

impl Fires for Wheel<Value> {
    fn fire(&mut self, now: u64, mut fired: impl FnMut(Value)) {
        self.poll(now).for_each(|entry| fired(entry.value));
    }
}
