//! How does a task come into being, and where is it queued first?

use crate::heavy::Class;
use crate::refused::drop_refused;
use crate::shared::Shared;
use crate::task::{self, JoinHandle, Outcome, RefusedTask, Runnable, Slot};
use crate::worker;

impl Shared {
    /// Creates a task and queues it.
    #[inline]
    pub(crate) fn spawn<F, S>(
        &self,
        local: Option<&worker::Local>,
        future: F,
        slot: S,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let weight = self.heavy.kinds.weight_at_birth(task::kind_of::<F, S>());
        let class = Class::at_birth(weight);
        let worker = local.map(|local| local.index);
        let is_own = || worker.is_some() || self.pool.is_own_thread();
        let (runnable, handle) = self.owned.spawn(worker, is_own, future, slot, weight);
        if let Some(runnable) = admit(runnable) {
            match local {
                Some(local) => local.push_new(runnable, class),
                None => self.inject(runnable, class),
            }
        }
        handle
    }

    /// Creates a task and polls it once, on the worker `local`.
    pub(crate) fn spawn_eager<F, S>(&self, local: &worker::Local, future: F, slot: S) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let (runnable, handle) = self.owned.spawn(Some(local.index), || true, future, slot, 0);
        if let Some(runnable) = admit(runnable) {
            local.run_inside(runnable);
        }
        handle
    }

    /// Creates a task that nobody polls before it is started or woken.
    pub(crate) fn spawn_suspended<F, S>(
        &self,
        local: Option<&worker::Local>,
        future: F,
        slot: S,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let weight = self.heavy.kinds.weight_at_birth(task::kind_of::<F, S>());
        let worker = local.map(|local| local.index);
        let is_own = || worker.is_some() || self.pool.is_own_thread();
        let (runnable, handle) = self.owned.spawn(worker, is_own, future, slot, weight);
        // It is on the list already, so somebody may have woken it.
        if let Some(woken) = admit(runnable).and_then(Runnable::suspend) {
            woken.schedule_new();
        }
        handle
    }
}

/// A task that the door keeps out is dropped, at once.
fn admit(task: Result<Runnable, RefusedTask>) -> Option<Runnable> {
    task.map_err(drop_refused).ok()
}
