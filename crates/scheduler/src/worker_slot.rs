//! What is one worker, as all other threads see it?

use crossbeam_utils::CachePadded;

use crate::counters::Counters;
use crate::parker::Parker;
use crate::queue::{Deque, Next, Stealer};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, HintU64, Mutex, Ordering};

/// Stands for no poll. Polls have the odd numbers from 3 on (`Local::begin_poll`). 1 is never used: in
/// a poll inside another one, `Local::is_marked` looks for it.
pub(crate) const NO_POLL: u64 = 0;

/// A place for one worker. The first N places are always taken, the others only by standbys.
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
    /// The time at which the watchdog first saw the current poll.
    pub(crate) first_seen: AtomicU64,
    /// The poll of a cpu-bound task runs, or of a task on probation.
    pub(crate) from_lane: AtomicBool,
    /// The task of that poll is on probation.
    pub(crate) on_probation: AtomicBool,
    /// The thread that works here, by the operating system's number.
    pub(crate) thread: AtomicU32,
}

/// Whether a poll goes on when `PollProgress::poll` has this value.
pub(crate) const fn is_polling(poll: u64) -> bool {
    poll % 2 == 1
}

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
                first_seen: AtomicU64::new(0),
                from_lane: AtomicBool::new(false),
                on_probation: AtomicBool::new(false),
                thread: AtomicU32::new(0),
            }),
            counters: CachePadded::new(Counters::new()),
            next: Next::new(),
            stealer: deque.stealer(),
            vacant: Mutex::new(Some(deque)),
            parker: Parker::new(),
            leave: AtomicBool::new(false),
            keeps_local: HintU64::new(NO_POLL),
        }
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
            && !self.progress.from_lane.load(Ordering::Relaxed)
    }
}
