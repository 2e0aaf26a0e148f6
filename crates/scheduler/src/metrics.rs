//! What has the scheduler done so far?

use crate::clock::nanos;
use crate::counters::BUCKETS;
use crate::shared::Shared;
use crate::sync::Ordering;
use std::time::Duration;

/// A snapshot of a scheduler's numbers. Each is correct at some moment of the call, but not all at
/// the same one.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// One entry for each place at which a worker, a standby or a computing thread has worked.
    pub workers: Vec<WorkerMetrics>,
    /// Tasks that are not done.
    pub tasks_alive: usize,
    /// Tasks in the injector, the queue that belongs to no worker.
    pub injector_len: usize,
    /// Tasks in the two lanes: cpu-bound ones, and those on probation.
    pub cpu_bound_len: usize,
    /// How often a thread was lent to run light tasks, because a worker was stuck or demoted.
    pub standbys_lent: u64,
    /// Workers at present, including standbys, without computing threads.
    pub workers_active: usize,
    /// Threads at present that run only tasks with long polls, at a lower priority.
    pub computing_threads: usize,
    /// How often a worker's thread became a computing thread, because its poll lasted, and a fresh thread
    /// took over.
    pub demotions: u64,
    /// How often the operating system refused to lower a computing thread's priority.
    pub niceness_refused: u64,
    /// Threads of the pool at present: those that run blocking jobs, work as standbys, or wait for
    /// either.
    pub pool_threads: usize,
    /// Blocking jobs that wait for a thread.
    pub blocking_queue: usize,
    /// Armed timers, except those that were armed by a poll which still runs.
    pub timers_armed: usize,
    /// Sockets that are open.
    pub sockets: usize,
}

impl Metrics {
    /// Polls of `Config::slow_poll` and longer, of all workers.
    pub fn slow_polls(&self) -> u64 {
        self.workers.iter().map(|worker| worker.slow_polls).sum()
    }

    /// Polls of all workers.
    pub fn polls(&self) -> u64 {
        self.workers.iter().map(|worker| worker.polls).sum()
    }
}

/// A worker's numbers since the start.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Polls begun.
    pub polls: u64,
    /// Batches of tasks stolen from other workers.
    pub steals: u64,
    /// How often the worker went to sleep.
    pub parks: u64,
    /// Tasks in its deque.
    pub queue_len: usize,
    /// Polls of cpu-bound tasks.
    pub cpu_bound_polls: u64,
    /// Polls of about a millisecond and longer.
    pub long_polls: u64,
    /// Polls of `Config::slow_poll` and longer.
    pub slow_polls: u64,
    /// Waits for sockets that ended because this worker polled the operating system.
    pub sockets_ready: u64,
    /// Whether this place is beyond the first N.
    pub is_standby: bool,
    /// Whether the thread here is a computing thread.
    pub is_computing: bool,
    /// Whether a thread works here.
    pub is_active: bool,
    /// Poll times. Bucket `i` counts those of 2^i to 2^(i+1) µs, the first also shorter ones, the
    /// last also longer ones. Long polls are all counted; of the others a sample (about one in 61).
    pub poll_times: [u64; BUCKETS],
}

impl Shared {
    pub(crate) fn metrics(&self) -> Metrics {
        let pool = self.pool.stats();
        Metrics {
            workers: (0..self.watchdog.places_used()).map(|index| self.worker_metrics(index)).collect(),
            tasks_alive: self.owned.len(),
            injector_len: self.injector.len(),
            cpu_bound_len: self.lanes.len(),
            standbys_lent: self.watchdog.standbys_lent(),
            workers_active: self.watchdog.light(),
            computing_threads: self.watchdog.computing(),
            demotions: self.watchdog.demotions.load(Ordering::Relaxed),
            niceness_refused: self.watchdog.niceness_refused.load(Ordering::Relaxed),
            pool_threads: pool.threads,
            blocking_queue: pool.queued,
            timers_armed: self.all_timers().iter().map(crate::timers::TimerSlot::len).sum::<usize>()
                + self.far.len(),
            sockets: self.driver.reactor().map_or(0, |reactor| reactor.len()),
        }
    }

    fn worker_metrics(&self, index: usize) -> WorkerMetrics {
        let slot = &self.slots[index];
        let counters = &slot.counters;
        let is_active = slot.is_taken();
        WorkerMetrics {
            polls: (slot.progress.poll.load(Ordering::Relaxed) / 2).saturating_sub(counters.firings.get()),
            steals: counters.steals.get(),
            parks: counters.parks.get(),
            queue_len: slot.stealer.len() + usize::from(!slot.next.is_empty()),
            cpu_bound_polls: counters.cpu_bound_polls.get(),
            long_polls: counters.long_polls.get(),
            slow_polls: counters.slow_polls.get(),
            sockets_ready: counters.sockets_ready.get(),
            is_standby: index >= self.workers(),
            is_computing: is_active && slot.computes.load(Ordering::Relaxed),
            is_active,
            poll_times: std::array::from_fn(|i| counters.poll_times.count(i)),
        }
    }
}

/// The upper bound of a bucket of the histogram, for reports: bucket `i` ends before this.
pub fn poll_time_bucket_end(bucket: usize) -> Duration {
    Duration::from_nanos(nanos(Duration::from_micros(2)) << bucket.min(BUCKETS - 1))
}
