//! The door through which `loom-tests` reaches the internals that ship. It exists under the models only.
//!
//! Nothing here decides anything. A model starts coroutines with the public functions, on a loop whose workers it plays itself.
#![allow(missing_docs, missing_debug_implementations, clippy::new_without_default)]

use std::sync::Arc;
use std::task::Context;

use selvedge_scheduler::{Hooks, Scheduler};

use crate::event_loop::{EventLoop, LoopShared};
use crate::slot::{TaskHandle, TaskRefExt};
use crate::{cancel, request};

/// What the scheduler of a loop must be given.
pub fn hooks() -> Arc<dyn Hooks> {
    Arc::new(LoopShared::new(false))
}

/// The loop around a scheduler that was given [`hooks`].
pub fn event_loop(scheduler: Scheduler) -> EventLoop {
    EventLoop::of(scheduler).expect("the scheduler was given our hooks")
}

/// What every await of the library remembers.
pub struct Leaf(cancel::Leaf);

impl Leaf {
    pub fn new() -> Leaf {
        Leaf(cancel::Leaf::new())
    }

    /// A request has come that is news to this await.
    pub fn is_cancelled(&mut self, cx: &Context<'_>) -> bool {
        self.0.cancelled(cx).is_some()
    }
}

/// Asks a task to stop, as the shutdown of its loop does.
pub fn tell_of_shutdown(task: &TaskHandle) {
    task.task_ref().request_shutdown();
}

/// A request on its way along tasks that await each other.
#[derive(Clone)]
pub struct Route(request::Route);

impl Route {
    pub fn starting(at: u64) -> Route {
        Route(request::Route::starting(at))
    }

    pub fn settle(&self) {
        self.0.settle();
    }

    /// It has joined `earlier`, which is under way.
    pub fn joins(&self, earlier: &Route) -> bool {
        self.0.meet(&earlier.0) == request::Meeting::Joined
    }

    pub fn link(&self, other: &Route) -> bool {
        self.0.link(&other.0)
    }
}

/// The requests that were made to a task, and whether the last one still waits to be delivered.
pub fn requests(task: &TaskHandle) -> (usize, bool) {
    let requests = task.task_ref().task_slot().requests().load();
    (requests.made() as usize, requests.is_pending())
}
