//! How is a task created, and where is it queued first?

use crate::cpu_bound::Class;
use crate::refused::drop_refused;
use crate::shared::Shared;
use crate::task::{self, JoinHandle, Outcome, Runnable, Slot};
use crate::worker;

impl Shared {
    /// Creates a task and queues it.
    #[inline]
    pub(crate) fn spawn<F, S>(
        &self,
        local: Option<&worker::Local>,
        future: F,
        slot: S,
    ) -> JoinHandle<F::Output, S::ForHandle>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let weight = self.lanes.kinds.weight_at_birth(task::kind_of::<F, S>());
        let (runnable, handle) = self.create(local, future, slot, weight);
        if let Some(runnable) = runnable {
            let class = Class::at_birth(weight);
            match local {
                Some(local) => local.push_behind(runnable, class),
                None => self.inject(runnable, class),
            }
        }
        handle
    }

    /// Creates a task and polls it once, on the worker `local`.
    pub(crate) fn spawn_eager<F, S>(
        &self,
        local: &worker::Local,
        future: F,
        slot: S,
    ) -> JoinHandle<F::Output, S::ForHandle>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let (runnable, handle) = self.create(Some(local), future, slot, 0);
        if let Some(runnable) = runnable {
            local.run_inside(runnable);
        }
        handle
    }

    /// Creates a task that is not polled before it is started or woken.
    pub(crate) fn spawn_suspended<F, S>(
        &self,
        local: Option<&worker::Local>,
        future: F,
        slot: S,
    ) -> JoinHandle<F::Output, S::ForHandle>
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let weight = self.lanes.kinds.weight_at_birth(task::kind_of::<F, S>());
        let (runnable, handle) = self.create(local, future, slot, weight);
        // The task is among the owned tasks already, so it may have been woken.
        if let Some(woken) = runnable.and_then(Runnable::suspend) {
            woken.schedule_new();
        }
        handle
    }

    /// Creates a task. If the door keeps the task out (`door.rs`), it is dropped at once.
    #[inline]
    fn create<F, S>(
        &self,
        local: Option<&worker::Local>,
        future: F,
        slot: S,
        weight: u8,
    ) -> (Option<Runnable>, JoinHandle<F::Output, S::ForHandle>)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let worker = local.map(|local| local.index);
        let is_own = || worker.is_some() || self.pool.is_own_thread();
        let (runnable, handle) = self.owned.spawn(worker, is_own, future, slot, weight);
        (runnable.map_err(drop_refused).ok(), handle)
    }
}
