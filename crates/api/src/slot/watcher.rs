//! What waits for a task's end, apart from its `Task`?

use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::handle::TaskHandle;
use crate::contain::Contained;
use crate::context::Context;

/// Identifies a callback, for [`remove_done_callback`](TaskHandle::remove_done_callback).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId(u64);

impl CallbackId {
    pub(crate) fn new(number: u64) -> CallbackId {
        CallbackId(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// Identifies a watcher among those of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatcherId(pub(crate) u64);

/// A part of this library that waits for several tasks at once. It is notified once for each task,
/// on the thread where the task ended.
pub(crate) trait Notify: Send + Sync {
    /// The task that was registered under `index` is done.
    fn notify(&self, index: usize, task: &TaskRef);
}

/// What is called or notified when a task ends.
pub(crate) enum Watcher {
    /// The program's callback. It runs later, in the loop, as with `call_soon`.
    Callback(Callback),
    /// Part of this library. It is notified at once, and only counts and wakes.
    Notify { to: Arc<dyn Notify>, index: usize },
}

/// The function of a done callback.
pub(crate) type DoneFn = dyn FnOnce(&TaskHandle) + Send;

pub(crate) struct Callback {
    pub(crate) context: Context,
    pub(crate) function: Contained<Box<DoneFn>>,
}
