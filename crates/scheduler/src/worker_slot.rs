//! What is one worker, as all other threads see it?

use crossbeam_utils::CachePadded;

use crate::counters::Counters;
use crate::parker::Parker;
use crate::queue::{Deque, Next, Stealer};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, HintU64, Mutex, Ordering};
use crate::watchdog::Role;

/// Stands for no thread.
pub(crate) const NO_THREAD: u32 = 0;

/// Stands for no kind.
pub(crate) const NO_KIND: u64 = 0;

/// Stands for no poll. Polls have the odd numbers from 3 on (`Local::begin_poll`). 1 is never used: in
/// a poll inside another one, `Local::is_marked` looks for it.
pub(crate) const NO_POLL: u64 = 0;

/// A place for one worker.
pub(crate) struct WorkerSlot {
    /// Its worker writes this at each poll.
    pub(crate) progress: CachePadded<PollProgress>,
    pub(crate) counters: CachePadded<Counters>,
    pub(crate) next: Next,
    pub(crate) stealer: Stealer,
    /// The owner's end of the deque while no thread works here.
    pub(crate) vacant: Mutex<Option<Deque>>,
    pub(crate) parker: Parker,
    /// The worker must leave: a standby that is no longer needed, or every worker when the
    /// scheduler closes.
    pub(crate) leave: AtomicBool,
    /// The poll that keeps its only task local (`worker/wake_policy.rs`).
    pub(crate) keeps_local: HintU64,
    /// The watchdog has lowered the priority of the thread that works here: it becomes a computing
    /// thread when its poll ends. Stays until another thread takes the place.
    pub(crate) is_demoted: AtomicBool,
    /// The thread that works here is a computing thread.
    pub(crate) computes: AtomicBool,
    /// It has the usual niceness (`share.rs`).
    pub(crate) is_boosted: AtomicBool,
    /// The thread that works here ran a task on probation which was found to compute for long, and has
    /// [`Priority::FoundLong`] now: it ends when the poll does.
    pub(crate) found_long: AtomicBool,
}

/// Does this worker make progress with its polls? Written by the worker and by the watchdog, and
/// read by the other one. Every access is Relaxed: only the watchdog counts, and its next look
/// corrects a stale value.
pub(crate) struct PollProgress {
    /// Odd from the beginning of a poll until the worker searches, parks or leaves. Another number in
    /// each poll.
    pub(crate) poll: AtomicU64,
    /// The address of the task that is being polled, or was polled last. It is compared, never
    /// followed.
    pub(crate) task: HintU64,
    /// The poll that the watchdog has found to be long.
    pub(crate) marked: AtomicU64,
    /// The poll that was seen last, and the time at which it was first seen: by the watchdog, or by a worker
    /// that glances.
    seen: AtomicU64,
    pub(crate) first_seen: AtomicU64,
    /// The kind of that task (`kinds.rs`).
    pub(crate) kind: HintU64,
    /// On a computing thread: the task of the poll is on probation.
    pub(crate) on_probation: AtomicBool,
    /// The thread that works here, by the operating system's number.
    pub(crate) thread: AtomicU32,
}

impl PollProgress {
    /// The poll that goes on. True: it was seen before.
    pub(crate) fn see(&self, poll: u64, now: u64) -> bool {
        if self.seen.load(Ordering::Relaxed) == poll {
            return true;
        }
        self.seen.store(poll, Ordering::Relaxed);
        self.first_seen.store(now, Ordering::Relaxed);
        false
    }

    /// For how many nanoseconds the current poll has lasted, less at most the time between two glances or
    /// looks.
    pub(crate) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.first_seen.load(Ordering::Relaxed))
    }
}

/// Whether a poll goes on when `PollProgress::poll` has this value.
pub(crate) const fn is_polling(poll: u64) -> bool {
    poll % 2 == 1
}

/// How much a thread is preferred by the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// Of the threads that run light tasks.
    Light,
    /// Of computing threads with the usual niceness (`share.rs`).
    Boosted,
    /// Of the other computing threads.
    Computing,
    /// Of a computing thread in the first poll of a task on probation that was found to compute for long:
    /// others on probation, which may be short, come before it.
    FoundLong,
}

/// By how many steps of niceness.
pub(crate) const FOUND_LONG_STEPS: i32 = 7;

/// A worker's place, for the thread that is to work there.
pub(crate) struct Post {
    pub(crate) index: usize,
    pub(crate) deque: Deque,
}

impl WorkerSlot {
    pub(crate) fn new() -> Self {
        let deque = Deque::new();
        Self {
            progress: CachePadded::new(PollProgress {
                poll: AtomicU64::new(0),
                task: HintU64::new(0),
                marked: AtomicU64::new(0),
                seen: AtomicU64::new(NO_POLL),
                first_seen: AtomicU64::new(0),
                kind: HintU64::new(0),
                on_probation: AtomicBool::new(false),
                thread: AtomicU32::new(NO_THREAD),
            }),
            counters: CachePadded::new(Counters::new()),
            next: Next::new(),
            stealer: deque.stealer(),
            vacant: Mutex::new(Some(deque)),
            parker: Parker::new(),
            leave: AtomicBool::new(false),
            keeps_local: HintU64::new(NO_POLL),
            is_demoted: AtomicBool::new(false),
            computes: AtomicBool::new(false),
            is_boosted: AtomicBool::new(false),
            found_long: AtomicBool::new(false),
        }
    }

    /// A thread with this role is about to work here. Only the thread that has taken `vacant` calls this.
    pub(crate) fn assign(&self, role: Role, is_boosted: bool) {
        self.is_boosted.store(is_boosted, Ordering::Relaxed);
        self.found_long.store(false, Ordering::Relaxed);
        self.is_demoted.store(false, Ordering::Relaxed);
        self.computes.store(role == Role::Computing, Ordering::Relaxed);
    }

    /// The thread that works here runs light tasks, and will go on to.
    pub(crate) fn is_light(&self) -> bool {
        !self.computes.load(Ordering::Relaxed) && !self.is_demoted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.vacant.lock().is_none()
    }

    /// A thief that wants at least `least` tasks finds something to take here.
    #[inline]
    pub(crate) fn has_to_give(&self, least: usize) -> bool {
        let len = self.stealer.len();
        len >= least && (len > 1 || !self.keeps_its_only_task())
    }

    /// The worker queued its only task in the poll that still runs, and is expected to come to it
    /// at once.
    fn keeps_its_only_task(&self) -> bool {
        let poll = self.progress.poll.load(Ordering::Relaxed);
        self.keeps_local.load(Ordering::Relaxed) == poll
            && self.progress.marked.load(Ordering::Relaxed) != poll
    }
}
