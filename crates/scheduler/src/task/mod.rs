//! A task's cell: one allocation that holds a future, later its output, and whoever wants to know.
//!
//! This folder and `queue/next.rs` are the only places in the scheduler with unsafe code. Threads share the cell's fields
//! by these rules; SAFETY comments cite them by name.
//!
//! * **Alive** A pointer to a cell is valid as long as one of these exists: a counted reference (`TaskRef`, a waker), or
//!   the task is not complete, because then the runtime's reference is not dropped.
//! * **Runner** The right to poll is a value, [`Runnable`]. At most one exists per task (see `state.rs`), and only while
//!   the task is not complete. Its holder alone touches `stage`, until `complete` hands it on.
//! * **Output** Once the task is complete with `HANDLE` set, `stage` holds the output, and the [`JoinHandle`] alone touches it, until it
//!   takes the output or goes. Without `HANDLE` it is empty, and nobody touches it.
//! * **Join waker** Without `JOIN_WAKER` the room belongs to the handle (to the dropper of the last reference if there
//!   is no handle). With it, everybody may read and nobody may write. The flag never changes after `COMPLETE`, and the
//!   reference to a task that lies there is then used up by the runner.
//! * **Place** The places of pages are touched under the lock of their shard, and only there.
//! * **Home** `home` may be followed by the holder of the right to poll, until the task is struck out: neither a page that has a task
//!   is freed, nor the `OwnedTasks` that it belongs to.
//! * **Fixed** `vtable` and the slot's address never change. `home` is written once, before anybody else knows the task.

// Models must see each cell come and go.
#[cfg_attr(selvedge_loom, path = "../model/alloc.rs")]
mod alloc;
mod cell;
mod current;
mod handle;
mod harness;
mod join_waker;
#[cfg(selvedge_loom)]
#[path = "../model/task.rs"]
pub(crate) mod model;
mod owned;
mod page;
mod runnable;
mod state;
mod waker;

pub use handle::{JoinHandle, TaskRef};

pub(crate) use alloc::trim as trim_cell_memory;
pub(crate) use cell::kind_of;
pub(crate) use handle::Unclaimed;
pub(crate) use owned::{OwnedTasks, RefusedTask};
pub(crate) use runnable::{Ran, Runnable};
pub(crate) use waker::{address_of, prefetch};

use std::any::Any;

/// Why a task is queued.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    /// It has been started, and not been polled yet.
    Started,
    Woken {
        /// Its last polls were long.
        heavy: bool,
    },
}

/// What a task asks of the scheduler that it belongs to.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// Queues a task from a thread that is none of the scheduler's workers.
    fn schedule(&self, task: Runnable, why: Why);
}

/// Queues a task of the scheduler at this address if the calling thread is one of its workers; else gives it back. The address is compared, never followed.
pub(crate) type ScheduleHere = fn(*const (), Runnable, Why) -> Result<(), Runnable>;

/// What the worker that polls a task has to know before the task can run elsewhere.
pub(crate) trait PollEnd {
    /// The poll's code has run. True: call `note`.
    fn is_notable(&self) -> bool;
    /// The caller is still the only one who may poll the task.
    fn note(&self, task: &TaskRef);
}

/// What the layer above keeps in every task's cell.
pub trait Slot: Send + Sync + 'static {
    /// Runs once after the task is done, on the thread that completed it, if [`TaskRef::watch_completion`] returned
    /// false. No lock is held. A panic is caught and dropped.
    fn completed(&self, task: &TaskRef);
}

/// What a task can end with.
///
/// `panicked` and `closed` must not panic: the process is aborted if they do.
pub trait Outcome: Send + 'static {
    /// The poll of `task`, or the drop of its future, panicked with `payload`. The task is not done yet.
    fn panicked(task: &TaskRef, payload: Box<dyn Any + Send>) -> Self;
    /// The scheduler was closed before `task` ended. The task is not done yet.
    fn closed(task: &TaskRef) -> Self;
    /// Nobody holds a handle to `task` any more, so nobody will see its output. Runs in place of a plain drop.
    fn abandoned(self, task: &TaskRef);
}
