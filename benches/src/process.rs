//! What has this process cost so far?

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of all threads, including those that have ended.
pub fn cpu_time() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(spent.tv_nsec).unwrap_or_default();
    Duration::new(seconds, nanoseconds)
}

/// How many threads are alive now. `None` without `/proc`, which only Linux has.
pub fn threads() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// How often the threads that are alive now have gone to sleep. `None` without `/proc`, which only
/// Linux has.
pub fn voluntary_switches() -> Option<u64> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let counts = threads.filter_map(|thread| {
        // A thread may end between the listing and the read.
        let status = fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse::<u64>().ok()
    });
    Some(counts.sum())
}
