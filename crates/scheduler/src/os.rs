//! What do the scheduler's threads need from the operating system?

use std::time::Duration;

#[cfg(all(target_os = "linux", not(selvedge_loom)))]
#[expect(unsafe_code, reason = "no crate has a safe function for this system call")]
mod sched_attr;

/// Prepares a thread that may wait for timers: by default Linux delays wake-ups by up to 50 µs.
#[cfg(target_os = "linux")]
pub(crate) fn prepare_thread() {
    /// The smallest slack; zero would mean the default.
    const SLACK_NANOS: std::num::NonZeroU64 = std::num::NonZeroU64::new(1).expect("one is not zero");
    // If this fails, timers are late by the slack, nothing worse.
    let _ = rustix::thread::set_current_timer_slack(Some(SLACK_NANOS));
}

/// Other systems have no such setting.
#[cfg(not(target_os = "linux"))]
pub(crate) fn prepare_thread() {}

/// What a thread of the scheduler does, as reported by the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(selvedge_loom, expect(dead_code, reason = "the threads of models are not real"))]
pub(crate) enum Doing {
    /// The thread has used this many nanoseconds of CPU time since it began.
    Used(u64),
    /// The system does not report it.
    Unknown,
}

/// Identifies the calling thread for `doing` and `wants_a_core`.
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
pub(crate) fn current_thread() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// The CPU time of a thread of this process. Exact, also while the thread runs.
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
pub(crate) fn doing(thread: u32) -> Doing {
    /// The kernel's number of a thread's clock: the inverted thread number, followed by the bits
    /// that `pthread_getcpuclockid` appends.
    const THREAD_CLOCK: i32 = 0b110;
    let Ok(thread) = i32::try_from(thread) else { return Doing::Unknown };
    let clock = nix::time::ClockId::from_raw((!thread << 3) | THREAD_CLOCK);
    match nix::time::clock_gettime(clock) {
        Ok(time) => Doing::Used(crate::clock::nanos(Duration::from(time))),
        Err(_) => Doing::Unknown,
    }
}

/// Whether a thread of this process is neither blocked nor ended: if it makes no progress, all
/// cores are busy with other threads.
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
pub(crate) fn wants_a_core(thread: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")) else { return false };
    // The name before the state may contain any character, also parentheses.
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('R'))
}

/// Measures the CPU time of the calling thread.
#[derive(Clone, Copy)]
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
pub(crate) struct CpuTimer(Duration);

#[cfg(all(target_os = "linux", not(selvedge_loom)))]
impl CpuTimer {
    pub(crate) fn start() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Duration::try_from(now).unwrap_or_default())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::start().0.saturating_sub(self.0)
    }
}

/// The niceness of the calling thread, which its new threads inherit.
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
pub(crate) fn niceness() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or(0)
}

/// How long a thread may keep a core while others of its niceness wait, as a wish. With a shorter slice a
/// thread that wakes up interrupts those with longer ones, and gets no larger share of the cores. Linux
/// knows this since 6.12, and before it all have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slice {
    /// 0.1 ms, the shortest that there is.
    Watchdog,
    /// 0.2 ms.
    Light,
    /// 0.4 ms.
    Computing,
    /// As every other thread of the system.
    Usual,
}

#[cfg(all(target_os = "linux", not(selvedge_loom)))]
impl Slice {
    fn nanos(self) -> u64 {
        match self {
            Slice::Watchdog => 100_000,
            Slice::Light => 200_000,
            Slice::Computing => 400_000,
            Slice::Usual => 0,
        }
    }
}

/// Sets the niceness and the slice of a thread of this process. False: the system refuses the niceness.
#[cfg(all(target_os = "linux", not(selvedge_loom)))]
pub(crate) fn set_priority(thread: u32, niceness: i32, slice: Slice) -> bool {
    use rustix::process::{Pid, setpriority_process};
    let Some(thread) = i32::try_from(thread).ok().and_then(Pid::from_raw) else { return false };
    // Linux takes the number of a thread here, too, and the highest niceness for any that is higher.
    sched_attr::set(thread, niceness, slice.nanos()) || setpriority_process(Some(thread), niceness).is_ok()
}

/// Sets the slice of the calling thread.
pub(crate) fn set_slice(slice: Slice) {
    // If the system refuses, it stays as it is.
    let _ = set_priority(current_thread(), niceness(), slice);
}

// On other systems every poll that lasts counts as long. The same holds in loom models, whose
// threads are not real.
#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
pub(crate) fn current_thread() -> u32 {
    0
}

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
pub(crate) fn doing(_thread: u32) -> Doing {
    Doing::Unknown
}

/// Measures the time that passes, in the place of CPU time.
#[derive(Clone, Copy)]
#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
pub(crate) struct CpuTimer(crate::sync::Instant);

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
impl CpuTimer {
    pub(crate) fn start() -> Self {
        Self(crate::sync::Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
pub(crate) fn niceness() -> i32 {
    0
}

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
pub(crate) fn set_priority(_thread: u32, niceness: i32, _slice: Slice) -> bool {
    niceness == 0
}

#[cfg(not(all(target_os = "linux", not(selvedge_loom))))]
pub(crate) fn wants_a_core(_thread: u32) -> bool {
    false
}

#[cfg(all(test, target_os = "linux", not(selvedge_loom)))]
mod tests {
    use super::*;

    fn used(thread: u32) -> u64 {
        match doing(thread) {
            Doing::Used(nanos) => nanos,
            Doing::Unknown => panic!("Linux says"),
        }
    }

    #[test]
    fn a_thread_that_computes_is_told_from_one_that_waits() {
        let (ready, thread) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let waiting = std::thread::spawn(move || {
            ready.send(current_thread()).expect("the test listens");
            let _ = released.recv();
        });
        let waits = thread.recv().expect("the thread tells");
        // The thread is about to block. If this sees it blocked on some lock before that, the CPU
        // time that it still uses is short.
        while wants_a_core(waits) {
            std::thread::yield_now();
        }
        let (mine, its) = (used(current_thread()), used(waits));
        while used(current_thread()) < mine + 5_000_000 {
            std::hint::spin_loop();
        }
        assert!(wants_a_core(current_thread()));
        assert!(!wants_a_core(waits));
        let on_the_way = used(waits) - its;
        assert!(on_the_way < 1_000_000, "{on_the_way} ns of computing while it waited");
        drop(release);
        waiting.join().expect("no panic");
        // The kernel forgets a thread shortly after it can be joined.
        while doing(waits) != Doing::Unknown {
            std::thread::yield_now();
        }
    }
}
