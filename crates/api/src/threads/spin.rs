//! How long should a thread wait awake before it falls asleep?
//!
//! A short coroutine ends sooner than a thread falls asleep and wakes up, but only if a worker has
//! a core to run it on. The operating system may have put the worker on the waiting thread's own
//! core, so the thread first yields that core; if the worker runs there, the coroutine has ended
//! when the thread gets the core back. If the worker has another core, spinning finds the result
//! soonest. If all cores are busy, a spinning thread takes a core from the worker it waits for, and
//! a thread that yields its core may be long without one. The system does not report which case
//!
//! Rejected: a caller that polls the task itself while it waits. That would also save the wake-up,
//! but it would depend on chance whether a coroutine runs on a foreign thread: on its stack, inside
//! its reentrant locks, with its borrowed thread-local variables, and in the context of another
//! runtime if the thread is a worker of that.
//! holds, so each thread judges by its last waits.

use std::cell::Cell;
use std::hint;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// About what falling asleep and being woken costs: waiting awake for longer cannot pay.
const LONGEST: Duration = Duration::from_micros(30);
/// A shorter wait would find nothing.
const SHORTEST: Duration = Duration::from_micros(1);
/// How often the core is yielded: the first time the worker may not be runnable yet.
const OFFERS: u32 = 3;
/// A thread that has given up tries again after this many waits, and again after as many each time
/// it fails. This must stay rare: on a busy machine a yielded core may come back milliseconds
/// later.
const RETRY: u32 = 256;
/// Reading the clock takes longer than checking the task.
const CHECKS_PER_CLOCK: u32 = 32;

thread_local!(static PATIENCE: Cell<Patience> = const { Cell::new(Patience { most: LONGEST, failures: 0 }) });

#[derive(Clone, Copy)]
struct Patience {
    /// Zero: the thread falls asleep at once.
    most: Duration,
    failures: u32,
}

impl Patience {
    fn after(self, was_worth_it: bool) -> Patience {
        if was_worth_it {
            return Patience { most: LONGEST, failures: 0 };
        }
        let failures = self.failures.wrapping_add(1);
        if failures >= RETRY && failures.is_power_of_two() {
            return Patience { most: LONGEST, failures };
        }
        let shorter = self.most / 4;
        Patience { most: if shorter < SHORTEST { Duration::ZERO } else { shorter }, failures }
    }
}

/// Waits awake until `is_done` returns true or the patience of this thread is used up.
pub(super) fn until(is_done: impl Fn() -> bool) {
    PATIENCE.with(|patience| {
        let most = patience.get().most;
        let was_worth_it = !most.is_zero() && {
            let start = Instant::now();
            // If the core came back late, yielding it was not worth it.
            (offer(&is_done) || spin(start, most, &is_done)) && start.elapsed() <= LONGEST
        };
        patience.set(patience.get().after(was_worth_it));
    });
}

/// Yields the core to other threads.
fn offer(is_done: impl Fn() -> bool) -> bool {
    (0..OFFERS).any(|_| {
        thread::yield_now();
        is_done()
    })
}

fn spin(start: Instant, most: Duration, is_done: impl Fn() -> bool) -> bool {
    static IS_PARALLEL: OnceLock<bool> = OnceLock::new();
    // On one core no other thread could make progress meanwhile.
    if !*IS_PARALLEL.get_or_init(|| selvedge_scheduler::cores() > 1) {
        return false;
    }
    while start.elapsed() < most {
        for _ in 0..CHECKS_PER_CLOCK {
            if is_done() {
                return true;
            }
            hint::spin_loop();
        }
    }
    is_done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_shorten_the_wait_and_a_success_restores_it() {
        let mut patience = Patience { most: LONGEST, failures: 0 };
        for _ in 0..RETRY - 1 {
            patience = patience.after(false);
        }
        assert_eq!(patience.most, Duration::ZERO);
        patience = patience.after(false);
        assert_eq!(patience.most, LONGEST, "it tries again now and then");
        let tries = |patience: &mut Patience| {
            *patience = patience.after(false);
            patience.most == LONGEST
        };
        let mut busy = patience;
        assert_eq!((RETRY..100 * RETRY).filter(|_| tries(&mut busy)).count(), 6, "more and more seldom");
        patience = patience.after(false).after(true);
        assert_eq!(patience.most, LONGEST);
    }
}
