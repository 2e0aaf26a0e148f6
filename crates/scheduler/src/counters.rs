//! What does each worker count?

use crate::sync::{HintU64, Ordering};

/// Powers of two from 1 µs up to half a minute and beyond.
pub(crate) const BUCKETS: usize = 24;

/// A number that one thread adds to and others read. Relaxed: it publishes nothing.
pub(crate) struct Counter(HintU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(HintU64::new(0))
    }

    /// Only the owner may call this.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A worker's counters.
pub(crate) struct Counters {
    pub(crate) steals: Counter,
    pub(crate) parks: Counter,
    pub(crate) cpu_bound_polls: Counter,
    pub(crate) long_polls: Counter,
    pub(crate) slow_polls: Counter,
    pub(crate) poll_times: PollTimes,
    /// Rounds of waking for timers or sockets, outside of polls. They are numbered like polls, but
    /// are none.
    pub(crate) firings: Counter,
    pub(crate) sockets_ready: Counter,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            steals: Counter::new(),
            parks: Counter::new(),
            cpu_bound_polls: Counter::new(),
            long_polls: Counter::new(),
            slow_polls: Counter::new(),
            firings: Counter::new(),
            sockets_ready: Counter::new(),
            poll_times: PollTimes(std::array::from_fn(|_| Counter::new())),
        }
    }
}

/// How long polls took.
pub(crate) struct PollTimes([Counter; BUCKETS]);

impl PollTimes {
    /// Only the owner may call this.
    pub(crate) fn note(&self, nanos: u64) {
        let micros = nanos / 1000;
        let bucket = (micros.checked_ilog2().unwrap_or(0) as usize).min(BUCKETS - 1);
        self.0[bucket].add(1);
    }

    /// The number of polls in a bucket.
    pub(crate) fn count(&self, bucket: usize) -> u64 {
        self.0[bucket].get()
    }
}
