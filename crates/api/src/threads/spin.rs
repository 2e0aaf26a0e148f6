//! How long is it worth to wait awake?
//!
//! A short coroutine ends sooner than a thread falls asleep and wakes up, but only if a worker has a core to run it on. Where the
//! cores are taken, a thread that spins keeps one from the worker it waits for. Nobody can ask the system, so each thread goes by what
//! its last waits were like.

use std::cell::Cell;
use std::hint;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// About what falling asleep and being woken costs: to spin for longer cannot pay.
const LONGEST: Duration = Duration::from_micros(30);
/// Less than this finds nothing.
const SHORTEST: Duration = Duration::from_micros(1);
/// So many waits later a thread that has given up tries again in earnest.
const RETRY: u32 = 32;
/// Looking at the clock takes longer than looking at the task.
const LOOKS_PER_CLOCK: u32 = 32;

thread_local!(static PATIENCE: Cell<Patience> = const { Cell::new(Patience { most: LONGEST, failures: 0 }) });

#[derive(Clone, Copy)]
struct Patience {
    most: Duration,
    failures: u32,
}

impl Patience {
    fn after(self, was_worth_it: bool) -> Patience {
        if was_worth_it {
            return Patience { most: LONGEST, failures: 0 };
        }
        let failures = self.failures + 1;
        if failures.is_multiple_of(RETRY) {
            return Patience { most: LONGEST, failures };
        }
        Patience { most: (self.most / 4).max(SHORTEST), failures }
    }
}

/// Spins until `is_done`, or until that has taken too long.
pub(super) fn until(is_done: impl Fn() -> bool) {
    static IS_PARALLEL: OnceLock<bool> = OnceLock::new();
    if cfg!(selvedge_loom) {
        // Under the models no time passes, so a spin would never end.
        return;
    }
    // On one core nobody could make progress meanwhile.
    if *IS_PARALLEL.get_or_init(|| num_cpus::get() > 1) {
        PATIENCE.with(|patience| patience.set(patience.get().after(spin(patience.get().most, is_done))));
    }
}

fn spin(most: Duration, is_done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
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
        assert_eq!(patience.most, SHORTEST);
        patience = patience.after(false);
        assert_eq!(patience.most, LONGEST, "it tries again now and then");
        patience = patience.after(false).after(true);
        assert_eq!(patience.most, LONGEST);
    }
}
