//! What is a worker, as its own thread sees it?
//!
//! | file | question |
//! |---|---|
//! | `run.rs` | what does a worker do next? |
//! | `compute.rs` | what does a computing thread do next, and how does a worker become one? |
//! | `maintenance.rs` | what does it do every so many polls? |
//! | `glance.rs` | how does it notice that another worker stays in one poll? |
//! | `events.rs` | how does it fire timers and wake the tasks whose sockets are ready? |
//! | `push.rs` | where does a task go that is queued on a worker's thread? |
//! | `steal.rs` | how does a worker without tasks find some? |
//! | `park.rs` | how does it sleep, and what does it do on behalf of the others meanwhile? |
//! | `wake_policy.rs` | does it wake another worker, and how long does it search? |
//! | `thread.rs` | how does a thread become a worker, and how does it stop being one? |

mod compute;
mod events;
mod glance;
mod maintenance;
mod park;
mod push;
mod run;
mod steal;
mod thread;
mod wake_policy;

use std::cell::{Cell, RefCell};
use std::mem::{ManuallyDrop, needs_drop};
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use self::thread::start;

use self::maintenance::Maintenance;
use self::steal::Rng;
use self::wake_policy::WakePolicy;
use crate::cpu_bound::Class;
use crate::queue::Deque;
use crate::shared::{Scheduler, Shared};
use crate::sync::Ordering;
use crate::task::{Runnable, Why};
use crate::timers::Stage;
use crate::worker_slot::WorkerSlot;

/// A worker, as its own thread sees it.
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    /// The same as a handle, so that it can be lent without counting a reference.
    pub(crate) scheduler: Scheduler,
    pub(crate) index: usize,
    /// The timer that the current poll has armed for its own task.
    pub(crate) stage: Stage,
    deque: Deque,
    /// This is a computing thread.
    computes: Cell<bool>,
    /// The even number of the current or last poll; while it goes on, the slot shows it plus one. Zero
    /// in a poll inside another one.
    poll: Cell<u64>,
    maintenance: Maintenance,
    policy: WakePolicy,
    rng: Rng,
}

/// Without a destructor: a worker takes itself out when it leaves, and the destructors of other
/// thread-locals may still look for it.
type Here = RefCell<ManuallyDrop<Option<Rc<Local>>>>;

const _: () = assert!(!needs_drop::<Here>());

crate::sync::thread_locals! {
    static LOCAL: Here = const { RefCell::new(ManuallyDrop::new(None)) };
}

fn replace_here(local: Option<Rc<Local>>) -> Option<Rc<Local>> {
    LOCAL.with(|here| ManuallyDrop::into_inner(here.replace(ManuallyDrop::new(local))))
}

/// Calls `f` with the worker that the calling thread is.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    LOCAL.with(|here| f(here.borrow().as_deref()))
}

/// [`ScheduleHere`](crate::task::ScheduleHere).
pub(crate) fn schedule_here(scheduler: *const (), task: Runnable, why: Why) -> Result<(), Runnable> {
    with(|local| match local {
        Some(local) if Arc::as_ptr(&local.shared).cast() == scheduler => {
            let class = Class::of(&task, why);
            match why {
                Why::Woken { .. } => local.push_woken(task, class),
                Why::Started => local.push_behind(task, class),
            }
            Ok(())
        }
        _ => Err(task),
    })
}

impl Local {
    pub(crate) fn slot(&self) -> &WorkerSlot {
        &self.shared.slots[self.index]
    }

    #[inline]
    fn pop(&self) -> Option<Runnable> {
        self.slot().next.take().or_else(|| self.deque.pop())
    }

    #[inline]
    fn has_own_tasks(&self) -> bool {
        !self.slot().next.is_empty() || !self.deque.is_empty()
    }

    /// Exactly one task is queued here.
    fn has_only_one_task(&self) -> bool {
        self.slot().stealer.len() == 1 && self.slot().next.is_empty()
    }

    /// The watchdog has found the current poll to be long.
    #[inline]
    fn is_marked(&self) -> bool {
        self.slot().progress.marked.load(Ordering::Relaxed) == self.poll.get() | 1
    }

    /// The worker must leave its place.
    fn is_dismissed(&self) -> bool {
        self.slot().leave.load(Ordering::Relaxed)
    }

    /// This thread is to compute from now on.
    fn is_demoted(&self) -> bool {
        self.slot().is_demoted.load(Ordering::Relaxed)
    }

    /// This thread runs no more light tasks.
    fn must_stop(&self) -> bool {
        self.is_dismissed() || self.is_demoted()
    }
}

#[cfg(selvedge_loom)]
#[path = "../model/worker.rs"]
pub(crate) mod model;
