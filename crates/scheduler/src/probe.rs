//! What is a task doing at this moment, and what does a suspended task wait for?
//!
//! A suspended task is polled once more, inside the call, by the calling thread. The layer above
//! has switched the task's awaits to capturing beforehand: they report what they wait for, and do
//! nothing else. The poll needs the right to poll ([`TaskRef::claim`]), as a wake does, so no other
//! thread polls the task meanwhile. If the task is being polled or is queued, the caller does not
//! wait for it, because another thread may hold the right to poll it for long.
//!
//! Such a poll is a *probe*, and answers no wake. A wake that comes during it leads to another
//! poll, as always. A wake that comes between the claim and the beginning of the poll looks as if
//! this poll had to answer it, as any other poll would. So before it ends, a probe looks at the
//! count of wakes: its own claim counts for one, and if there are more, the task is owed a poll
//! (`TaskRef::wake_again_if_woken`).
//!
//! Which worker polls which task is read from the workers'
//! [`PollProgress`](crate::worker_slot::PollProgress), by the task's address. The address is
//! compared, never followed, and the caller's reference keeps it from being used for another task.
//! The answer holds for one moment only: all reads are Relaxed.
//!
//! The address is stored beside the poll number, which the worker writes anyway. So the worker of a
//! running task is found without waiting for it.

use std::sync::Arc;
use std::time::Duration;

use crate::runtimes;
use crate::shared::{Scheduler, Shared};
use crate::sync::Ordering;
use crate::task::{TaskRef, Unclaimed};
use crate::worker::{self, Local};
use crate::worker_slot::{WorkerSlot, is_polling};

/// What a probe of a task found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probed {
    /// It was suspended, and this probe has polled it once.
    Polled,
    /// It is being polled, by the worker with this index.
    Running {
        /// As in [`Metrics::workers`](crate::Metrics::workers).
        worker: usize,
        /// For how long, at least. `None`: for less than the watchdog can see, or there is no
        /// watchdog.
        lasted: Option<Duration>,
    },
    /// It is queued, or was woken or suspended a moment ago.
    Queued,
    /// It is done.
    Done,
    /// It may be suspended, but only a worker of its scheduler can probe it.
    NotHere,
}

impl Scheduler {
    /// Returns what `task` is doing, and polls it once, inside this call, if it is suspended. Never
    /// waits.
    ///
    /// Polls only tasks of this scheduler, and only on a worker of this scheduler. Elsewhere a
    /// suspended task is [`Probed::NotHere`].
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
                    // The task belongs to another scheduler, which now polls it once for nothing.
                    // That does no harm.
                    runnable.schedule();
                    Probed::NotHere
                }
                Err(Unclaimed::Complete) => Probed::Done,
                Err(Unclaimed::Busy) => shared.who_polls(task).unwrap_or(Probed::Queued),
            }
        })
    }

    /// The scheduler that owns `task`. `None` if the task is done, or its scheduler is gone. Looks
    /// at no other task.
    pub fn of(task: &TaskRef) -> Option<Scheduler> {
        let owner =
            runtimes::all::<Shared>().iter().map(Scheduler::handle_to).find(|it| it.0.owned.owns(task));
        // The page of a task that is done may belong to another scheduler now. A task that is just
        // ending leaves its place before it is done: in that moment the answer may be wrong.
        owner.filter(|_| !task.is_done())
    }
}

impl Shared {
    fn who_polls(&self, task: &TaskRef) -> Option<Probed> {
        let polls = |slot: &WorkerSlot| {
            slot.progress.task.load(Ordering::Relaxed) == task.address() as u64
                && is_polling(slot.progress.poll.load(Ordering::Relaxed))
        };
        let worker = self.places().iter().position(polls)?;
        let progress = &self.slots[worker].progress;
        let first_seen = progress.first_seen.load(Ordering::Relaxed);
        // The watchdog is known to have seen this poll before only if it has marked it.
        let is_marked = progress.marked.load(Ordering::Relaxed) == progress.poll.load(Ordering::Relaxed);
        let lasted = is_marked.then(|| Duration::from_nanos(self.watchdog.now().saturating_sub(first_seen)));
        Some(Probed::Running { worker, lasted })
    }
}
