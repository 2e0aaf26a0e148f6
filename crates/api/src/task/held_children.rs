//! How are the children of a gathering created?

use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::{Task, create_held, given_task};
use crate::coroutine::Coroutine;
use crate::start::{Start, begin};

/// Collects children as they are created.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct HeldChildren {
    held: Vec<(usize, TaskRef)>,
    count: usize,
}

impl HeldChildren {
    /// Makes a coroutine a task that is suspended before its first step. A task is taken as it is.
    #[track_caller]
    pub(crate) fn add<C: Coroutine>(&mut self, coro_or_task: C) -> Task<C::Item> {
        let index = self.count;
        self.count += 1;
        match given_task(coro_or_task) {
            Ok(task) => task,
            Err(coro) => {
                let task = create_held(coro);
                self.held.push((index, task.task_ref().clone()));
                task
            }
        }
    }

    /// Holds the children that do not run yet.
    pub(crate) fn hold(mut self) -> Arc<Start> {
        Start::hold(std::mem::take(&mut self.held))
    }
}

impl Drop for HeldChildren {
    /// Begins the children that are left. There are some only if the program's iterator has
    /// panicked: the tasks that exist then go on, like any whose `Task` is dropped.
    fn drop(&mut self) {
        for (_, task) in &self.held {
            begin(task);
        }
    }
}
