//! What waits for a task's end, apart from its `Task`?

use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::handle::TaskHandle;
use crate::contain::Contained;
use crate::context::Context;

/// Names a callback, for [`remove_done_callback`](TaskHandle::remove_done_callback).
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

/// Names a watcher among those of its task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatcherId(pub(crate) u64);

/// Something of this library that waits for several tasks at once: notified once per task, on the
/// thread where the task ended.
pub(crate) trait Notify: Send + Sync {
    /// The task that was registered under `index` is done.
    fn notify(&self, index: usize, task: &TaskRef);
}

/// One of them.
pub(crate) enum Watcher {
    /// The user's callback: runs later, in the loop, like everything that is called soon.
    Callback(Callback),
    /// This library's own: runs at once, and does nothing but count and wake.
    Notify { to: Arc<dyn Notify>, index: usize },
}

/// What a done callback is.
pub(crate) type DoneFn = dyn FnOnce(&TaskHandle) + Send;

pub(crate) struct Callback {
    pub(crate) context: Context,
    pub(crate) function: Contained<Box<DoneFn>>,
}
