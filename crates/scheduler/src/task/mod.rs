//! What are the parts of a task's cell, and which thread may access which part when? (A cell is one
//! allocation that holds a future, later its output, and its wakers.)
//!
//! This folder and `queue/next.rs` are the only places in the scheduler with unsafe code. Threads
//! share the cell's fields by these rules; SAFETY comments cite them by name.
//!
//! * **Alive** A pointer to a cell is valid as long as a counted reference (`TaskRef`, a waker)
//!   exists, or the task is not complete: until then the runtime's reference is not dropped.
//! * **Runner** The right to poll is a value, [`Runnable`]. At most one exists per task (see
//!   `state.rs`), and only while the task is not complete. Only its holder accesses `stage`, until
//!   `complete` hands it on.
//! * **Output** Once the task is complete with `HANDLE` set, `stage` holds the output, and only the
//!   [`JoinHandle`] accesses it, until it takes the output or is dropped. Without `HANDLE` the
//!   stage is empty, and no thread accesses it.
//! * **For handle** `for_handle` belongs to the [`JoinHandle`] from the beginning to the handle's drop.
//!   Only that drop and functions that borrow the handle exclusively access it. Afterwards the
//!   field is empty, and no thread accesses it.
//! * **Join waker** Without `JOIN_WAKER` the `join_waker` field belongs to the handle (to the
//!   dropper of the last reference if there is no handle). With it, every thread may read the field
//!   and none may write it. The flag never changes after `COMPLETE`. The runner then uses up the
//!   reference to a task that the field holds.
//! * **Place** The places of pages are accessed under the lock of their shard, and only there.
//! * **Home** The holder of the right to poll may follow `home` until the task is removed from the
//!   owned tasks: neither a page that has a task is freed, nor the `OwnedTasks` that the page
//!   belongs to.
//! * **Fixed** `vtable` and the slot's address never change. `home` is written once, before any
//!   other thread knows the task.

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
mod one_word;
mod owned;
mod page;
mod runnable;
mod slot_type;
mod state;
mod waker;

pub use handle::{JoinHandle, TaskRef};
pub use one_word::{NUMBER_BITS, NumberOr, NumberOrBox, RefOr, RefThenBox};

pub(crate) use alloc::trim as trim_cell_memory;
pub(crate) use cell::kind_of;
pub(crate) use handle::Unclaimed;
pub(crate) use owned::OwnedTasks;
pub(crate) use runnable::{Ran, Runnable};
pub(crate) use waker::{address_of, prefetch};

use std::any::Any;

/// Why a task is queued.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    /// The task was spawned and has not been polled yet.
    Started,
    Woken {
        /// The task is cpu-bound: its last polls were long.
        has_weight: bool,
    },
}

/// What a task needs from the scheduler that it belongs to.
pub(crate) trait Schedule: Send + Sync + 'static {
    /// Queues a task from a thread that is not one of the scheduler's workers.
    fn schedule(&self, task: Runnable, why: Why);
}

/// Queues a task of the scheduler at this address if the calling thread is one of its workers;
/// otherwise returns the task. The address is compared, never followed.
pub(crate) type ScheduleHere = fn(*const (), Runnable, Why) -> Result<(), Runnable>;

/// What the worker that polls a task must record before the task can run elsewhere.
pub(crate) trait PollEnd {
    /// Called when the poll's code has run. True: `note` must be called.
    fn is_notable(&self) -> bool;
    /// Called while the caller still holds the only right to poll the task.
    fn note(&self, task: &TaskRef);
}

/// The data that the layer above keeps in every task's cell.
pub trait Slot: Send + Sync + 'static {
    /// Data of the layer above that belongs to the task's [`JoinHandle`] alone. It lies in the
    /// cell, so that the handle is one word.
    type ForHandle: Default + Send + 'static;

    /// Runs once after the task is done, on the thread that completed it, if
    /// [`TaskRef::watch_completion`] returned false. No lock is held. A panic is caught and
    /// dropped.
    fn completed(&self, task: &TaskRef);
}

/// The value with which a task ends.
///
/// `panicked` and `closed` must not panic: the process is aborted if they do.
pub trait Outcome: Send + 'static {
    /// The poll of `task`, or the drop of its future, panicked with `payload`. The task is not done
    /// yet.
    fn panicked(task: &TaskRef, payload: Box<dyn Any + Send>) -> Self;
    /// The scheduler was closed before `task` ended. The task is not done yet.
    fn closed(task: &TaskRef) -> Self;
    /// No handle to `task` is left, so its output will never be read. Runs instead of a plain drop.
    fn abandoned(self, task: &TaskRef);
}
