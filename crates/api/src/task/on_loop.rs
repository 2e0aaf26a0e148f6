//! How are tasks started on a given loop, and found there?

use std::panic::Location;

use super::introspect::all_tasks_of;
use super::{Builder, Task, new_slot, spawn_on};
use crate::coroutine::Coroutine;
use crate::event_loop::EventLoop;
use crate::slot::TaskHandle;

impl EventLoop {
    /// Starts a coroutine as a task of this loop, from any thread.
    ///
    /// On a closed loop the task never starts, and ends with a
    /// [`CancelledError`](crate::CancelledError) "Event loop is closed". A thread that is to wait
    /// for the result uses [`run_coroutine_threadsafe`](crate::run_coroutine_threadsafe).
    #[track_caller]
    pub fn create_task<C: Coroutine>(&self, coro: C) -> Task<C::Item> {
        spawn_on(self.scheduler(), coro, new_slot(Location::caller()))
    }

    /// [`create_task`](Self::create_task) with a name, a context or an eager start.
    #[track_caller]
    pub fn create_task_with<C: Coroutine>(&self, builder: Builder, coro: C) -> Task<C::Item> {
        builder.spawn_on(self.scheduler(), coro, Location::caller())
    }

    /// The tasks of this loop that are not done. [`all_tasks`](crate::all_tasks) for any loop, from
    /// any thread.
    pub fn all_tasks(&self) -> Vec<TaskHandle> {
        all_tasks_of(self.scheduler())
    }
}
