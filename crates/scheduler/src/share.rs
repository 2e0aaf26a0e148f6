//! Do the computing threads get a fair share of the cores?
//!
//! Computing threads have a lower priority (`worker/compute.rs`). Where light tasks, or other programs,
//! keep all cores busy, the operating system leaves little to them. How little depends on the system.
//! So the watchdog measures it. After a window in which there was something to compute all the time, and
//! the computing threads waited for cores, some are started that keep the usual priority:
//!
//! | the cores were used | computing threads of the usual priority in the next window |
//! |---|---|
//! | by light tasks, to a good part; computing got less than its least share | one for each eight wanted |
//! | by other programs, to a good part | as many as are wanted |
//! | otherwise | none |
//!
//! "Wanted" are as many as there were computing polls at each look, up to the number of workers. For each
//! thread that is started, one of a lower priority ends after its poll. When they are no longer wanted,
//! their priority is lowered, too. Beside light tasks, windows with and without them alternate as often as
//! necessary. Beside other programs they stay.

/// The time over which the share is measured, in looks of the watchdog.
const WINDOW: u32 = 100;
/// Computing threads get at least one in so many nanoseconds of the cores that they could use.
const LEAST: u64 = 8;
/// Light tasks that use less than one in so many leave the cores to other programs, or idle.
const LITTLE: u64 = 3;
/// Computing threads that miss less than one in so many of the nanoseconds that they want miss nothing.
const MISSED: u64 = 4;

/// What the current window has seen.
#[derive(Debug, Default)]
pub(crate) struct Share {
    looks: u32,
    /// The least number of computing polls at any look.
    wanted: Option<usize>,
    /// Nanoseconds of CPU time.
    computed: u64,
    light: u64,
    began: Option<u64>,
}

impl Share {
    /// A thread has used so many nanoseconds of CPU time since the last look.
    pub(crate) fn note(&mut self, computes: bool, used: u64) {
        if computes {
            self.computed += used;
        } else {
            self.light += used;
        }
    }

    /// One look has ended, which has seen so many computing polls. At the end of a window: how many computing
    /// threads are to have the usual priority. `wanting` is asked then: how many computing threads have or
    /// want a core at the moment.
    pub(crate) fn end_look(
        &mut self,
        now: u64,
        polls: usize,
        workers: usize,
        wanting: impl FnOnce() -> usize,
    ) -> Option<usize> {
        let began = *self.began.get_or_insert(now);
        self.looks += 1;
        self.wanted = Some(self.wanted.map_or(polls, |least| least.min(polls)));
        if self.looks < WINDOW {
            return None;
        }
        let Share { wanted, computed, light, .. } = std::mem::take(self);
        self.began = Some(now);
        let cores = |n: usize| now.saturating_sub(began).saturating_mul(n as u64);
        let wanted = wanted.unwrap_or(0).min(workers);
        let missed = cores(wanted).saturating_sub(computed);
        // Polls that block miss something, too, but want no core.
        if missed <= cores(wanted) / MISSED || wanting() < wanted {
            Some(0)
        } else if light <= cores(workers) / LITTLE {
            Some(wanted)
        } else {
            let is_short = computed < cores(wanted) / LEAST;
            Some(if is_short { wanted.div_ceil(LEAST as usize) } else { 0 })
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    /// What follows a window of 100 ms on two workers, in which so many milliseconds of CPU time were used.
    fn after(polls: usize, computed: u64, light: u64, wanting: usize) -> Option<usize> {
        let mut share = Share::default();
        for look in 0..WINDOW - 1 {
            let end = share.end_look(u64::from(look) * MILLI, polls + 1, 2, || panic!("not at each look"));
            assert_eq!(end, None);
        }
        share.note(true, computed * MILLI);
        share.note(false, light * MILLI);
        share.end_look(100 * MILLI, polls, 2, || wanting)
    }

    #[test]
    fn computing_threads_that_get_too_little_are_helped() {
        for (polls, computed, light, wanting, expected) in [
            // Beside light tasks.
            (2, 26, 170, 2, 0),
            (2, 24, 170, 2, 1),
            (9, 24, 170, 9, 1),
            (1, 13, 180, 1, 0),
            (1, 12, 180, 1, 1),
            // Beside other programs.
            (2, 100, 20, 2, 2),
            (9, 20, 0, 9, 2),
            (1, 50, 0, 1, 1),
            (2, 160, 0, 2, 0),
            (9, 190, 0, 9, 0),
            // Blocked.
            (2, 1, 1, 0, 0),
            (2, 24, 170, 1, 0),
            // Nothing to compute, at least at one look.
            (0, 20, 180, 9, 0),
        ] {
            let boosted = after(polls, computed, light, wanting);
            assert_eq!(boosted, Some(expected), "{polls} {computed} {light} {wanting}");
        }
    }

    #[test]
    fn each_window_begins_anew() {
        let mut share = Share::default();
        let mut ends = 0;
        for look in 0..10 * WINDOW {
            share.note(true, 2 * MILLI);
            let end = share.end_look(u64::from(look) * MILLI, 2, 2, || 2);
            assert!(end.is_none_or(|boosted| boosted == 0));
            ends += u32::from(end.is_some());
        }
        assert_eq!(ends, 10);
    }
}
