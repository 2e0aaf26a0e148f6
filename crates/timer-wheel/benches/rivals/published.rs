//! Which published crates would a program use instead of the wheel?

use std::time::Duration;

use hierarchical_hash_wheel_timer::wheels::Skip;
use hierarchical_hash_wheel_timer::wheels::cancellable::{CancellableTimerEntry, QuadWheelWithOverflow};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

use super::{Fires, Timers, Value};

/// The cancellable wheel of `hierarchical_hash_wheel_timer`. Its entries are reference-counted, and
/// a hash map leads from their names to them.
pub struct QuadWheel {
    wheel: QuadWheelWithOverflow<Named>,
    now: u64,
    names: u64,
}

#[derive(Debug)]
struct Named(u64, Value);

impl CancellableTimerEntry for Named {
    type Id = u64;

    fn id(&self) -> &u64 {
        &self.0
    }
}

impl Timers for QuadWheel {
    const NAME: &str = "hierarchical_hash_wheel_timer";
    type Key = u64;

    fn new() -> Self {
        Self { wheel: QuadWheelWithOverflow::new(), now: 0, names: 0 }
    }

    fn insert(&mut self, deadline: u64, value: Value) -> u64 {
        self.names += 1;
        let delay = Duration::from_millis(deadline.saturating_sub(self.now).max(1));
        let armed = self.wheel.insert_ref_with_delay(Named(self.names, value).into(), delay);
        armed.expect("the delay is positive");
        self.names
    }

    /// The `cancel` of that crate does not return the value.
    fn cancel(&mut self, key: u64) -> Option<Value> {
        self.wheel.cancel(&key).ok()?;
        Some((std::num::NonZeroU64::MIN, key))
    }
}

impl Fires for QuadWheel {
    fn fire(&mut self, now: u64, mut fired: impl FnMut(Value)) {
        while self.now < now {
            let left = u32::try_from(now - self.now).unwrap_or(u32::MAX);
            let skip = match self.wheel.can_skip() {
                Skip::None => 0,
                Skip::Millis(ticks) => ticks.min(left),
                Skip::Empty => left,
            };
            if skip > 0 {
                self.wheel.skip(skip);
                self.now += u64::from(skip);
            } else {
                self.now += 1;
                self.wheel.tick().into_iter().for_each(|entry| fired(entry.1));
            }
        }
    }
}

/// The wheel in `tokio-util`. Its ticks are milliseconds of the real clock, so the benchmark does
/// not measure how it fires.
pub struct TokioDelayQueue {
    queue: DelayQueue<Value>,
    start: Instant,
    runtime: Runtime,
}

impl Timers for TokioDelayQueue {
    const NAME: &str = "tokio-util DelayQueue";
    type Key = delay_queue::Key;

    fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime starts");
        let _context = runtime.enter();
        Self { queue: DelayQueue::new(), start: Instant::now() + Duration::from_secs(3600), runtime }
    }

    fn insert(&mut self, deadline: u64, value: Value) -> Self::Key {
        let _context = self.runtime.enter();
        self.queue.insert_at(value, self.start + Duration::from_millis(deadline))
    }

    fn cancel(&mut self, key: Self::Key) -> Option<Value> {
        Some(self.queue.try_remove(&key)?.into_inner())
    }
}
