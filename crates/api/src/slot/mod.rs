//! What does every task carry for this library, and what can be done with a task whose type is unknown?
//!
//! The layers above keep their data for a task here, so that one allocation holds it all. They
//! decide what to do with it: `cancel` delivers the requests, `context_var` finds the context,
//! `task` runs what waits for the task's end.

mod awaited_by;
mod extra;
mod handle;
mod number;
mod reference;
mod task_slot;
mod watcher;

pub(crate) use self::awaited_by::AwaitedBy;
pub use self::handle::{TaskHandle, TaskId};
pub(crate) use self::reference::{PassedOn, TaskRefExt, coro_name};
pub(crate) use self::task_slot::TaskSlot;
pub use self::watcher::CallbackId;
pub(crate) use self::watcher::{Callback, DoneFn, Notify, Watcher, WatcherId};
