//! What is a task doing at this moment, and may it be looked into?
//!
//! A suspended task is polled once more, right here, by the thread that asks; the layer above has told its awaits beforehand that they are to
//! say what they wait for, and nothing else. That takes the right to poll ([`TaskRef::claim`]), as a wake does, so nobody else polls
//! meanwhile. A task that is being polled, or is queued for it, is not waited for: whoever holds the right to poll it may hold it for long.
//!
//! Such a poll is a *question*, and answers no wake. A wake that comes during it leads to another poll as always. One that comes between the claim and
//! the beginning of the poll looks to the poll as if it had to answer it, as any poll would; so a question, before it ends, looks at the count: its claim counts
//! for one, and whatever is there besides is owed a poll (`TaskRef::wake_again_if_woken`).
//!
//! Who polls what is read from the workers' [`PollProgress`](crate::shared::PollProgress) by address. The address is compared, never followed, and the
//! asker's reference keeps it from being used for another task. The answer is a moment's: all reads are Relaxed.

use std::sync::Arc;
use std::time::Duration;

use crate::runtimes;
use crate::shared::{Scheduler, Shared, WorkerSlot};
use crate::sync::Ordering;
use crate::task::{TaskRef, Unclaimed};
use crate::worker::{self, Local};

/// What a look at a task found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probed {
    /// It was suspended, and has been polled once by this look.
    Polled,
    /// It is being polled, by the worker with this index.
    Running {
        /// As in [`Metrics::workers`](crate::Metrics::workers).
        worker: usize,
        /// For how long, at least; `None`: less than the watch can see, or there is no watch.
        lasted: Option<Duration>,
    },
    /// It is queued, or was woken or suspended a moment ago.
    Queued,
    /// It is done.
    Done,
    /// It may be suspended, but only a worker of its scheduler can look.
    NotHere,
}

impl Scheduler {
    /// Says what `task` is doing, and polls it once, inside this call, if it is suspended. Waits for nobody.
    ///
    /// Looks into tasks of this scheduler on workers of this scheduler only; else a suspended task is [`Probed::NotHere`].
    pub fn probe(&self, task: &TaskRef) -> Probed {
        if task.is_done() {
            return Probed::Done;
        }
        let shared = self.shared();
        worker::with(|local| {
            let is_ours = |local: &&Local| std::ptr::eq(Arc::as_ptr(&local.shared), shared);
            let Some(local) = local.filter(is_ours).filter(|_| !shared.is_closing()) else {
                return shared.who_polls(task).unwrap_or(Probed::NotHere);
            };
            match task.claim() {
                Ok(runnable) if runnable.is_of(std::ptr::from_ref(shared).cast()) => {
                    local.probe_inside(runnable);
                    Probed::Polled
                }
                Ok(runnable) => {
                    // Polled for nothing, which does no harm.
                    runnable.schedule();
                    Probed::NotHere
                }
                Err(Unclaimed::Complete) => Probed::Done,
                Err(Unclaimed::Busy) => shared.who_polls(task).unwrap_or(Probed::Queued),
            }
        })
    }

    /// The scheduler that `task` lives in; `None` if it is done, or its scheduler is gone. Looks at every live task.
    pub fn of(task: &TaskRef) -> Option<Scheduler> {
        runtimes::all::<Shared>().iter().map(Scheduler::handle_to).find(|it| it.tasks().contains(task))
    }
}

impl Shared {
    fn who_polls(&self, task: &TaskRef) -> Option<Probed> {
        let polls = |slot: &WorkerSlot| {
            slot.progress.task.load(Ordering::Relaxed) == task.address() as u64
                && slot.progress.poll.load(Ordering::Relaxed) % 2 == 1
        };
        let worker = self.places().iter().position(polls)?;
        let progress = &self.slots[worker].progress;
        let first_seen = progress.first_seen.load(Ordering::Relaxed);
        // Only of a poll that it has marked it is known that the watch has seen it before.
        let is_marked = progress.marked.load(Ordering::Relaxed) == progress.poll.load(Ordering::Relaxed);
        let lasted = is_marked.then(|| Duration::from_nanos(self.watchdog.now().saturating_sub(first_seen)));
        Some(Probed::Running { worker, lasted })
    }
}
