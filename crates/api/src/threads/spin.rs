//! How long is it worth to wait awake?
//!
//! A short coroutine ends sooner than a thread falls asleep and wakes up, but only if a worker has a core to run it on. The operating
//! system may have put the worker on the waiting thread's own core, so that thread first offers it; if the worker runs there, the coroutine has
//! ended when the thread gets the core back. Where the worker has another core, spinning finds the result soonest. Where
//! all cores are taken, a thread that spins keeps one from the worker it waits for, and one that offers its core may be long without. Nobody
//! can ask the system, so each thread goes by what its last waits were like.

use std::cell::Cell;
use std::hint;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// About what falling asleep and being woken costs: to wait awake for longer cannot pay.
const LONGEST: Duration = Duration::from_micros(30);
/// Less than this finds nothing.
const SHORTEST: Duration = Duration::from_micros(1);
/// How often the core is offered: the worker may still be on its way the first time.
const OFFERS: u32 = 3;
/// So many waits later a thread that has given up tries again in earnest, and after as many again each time it fails: on a busy machine
/// a core that is offered may come back milliseconds later, so that must stay rare.
const RETRY: u32 = 256;
/// Looking at the clock takes longer than looking at the task.
const LOOKS_PER_CLOCK: u32 = 32;

thread_local!(static PATIENCE: Cell<Patience> = const { Cell::new(Patience { most: LONGEST, failures: 0 }) });

#[derive(Clone, Copy)]
struct Patience {
    /// Zero: it falls asleep at once.
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

/// Waits awake until `is_done`, or until that has taken too long.
pub(super) fn until(is_done: impl Fn() -> bool) {
    PATIENCE.with(|patience| {
        let most = patience.get().most;
        let was_worth_it = !most.is_zero() && {
            let start = Instant::now();
            // A core that came back late was not worth offering.
            (offer(&is_done) || spin(start, most, &is_done)) && start.elapsed() <= LONGEST
        };
        patience.set(patience.get().after(was_worth_it));
    });
}

/// Lets whoever waits for this core have it.
fn offer(is_done: impl Fn() -> bool) -> bool {
    (0..OFFERS).any(|_| {
        thread::yield_now();
        is_done()
    })
}

fn spin(start: Instant, most: Duration, is_done: impl Fn() -> bool) -> bool {
    static IS_PARALLEL: OnceLock<bool> = OnceLock::new();
    // On one core nobody could make progress meanwhile.
    if !*IS_PARALLEL.get_or_init(|| num_cpus::get() > 1) {
        return false;
    }
    while start.elapsed() < most {
        for _ in 0..LOOKS_PER_CLOCK {
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
