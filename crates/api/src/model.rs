//! How do the models in `loom-tests` reach the internals of this crate?
//!
//! This module exists only in models, and decides nothing. A model starts coroutines with the
//! public functions, on a loop whose workers the model runs itself.
#![allow(missing_docs, missing_debug_implementations, clippy::new_without_default)]

use std::sync::Arc;
use std::task::Context;

use selvedge_scheduler::{Hooks, Scheduler};

use crate::event_loop::{EventLoop, LoopShared};
use crate::slot::{TaskHandle, TaskRefExt};
use crate::{cancel, request};

/// The hooks that the scheduler of a loop needs.
pub fn hooks() -> Arc<dyn Hooks> {
    Arc::new(LoopShared::new(false))
}

/// The loop around a scheduler that was created with [`hooks`].
pub fn event_loop(scheduler: Scheduler) -> EventLoop {
    EventLoop::of(scheduler).expect("the scheduler was given our hooks")
}

/// What every await of the library remembers of the requests around it.
pub struct Leaf(cancel::Leaf);

impl Leaf {
    pub fn new() -> Leaf {
        Leaf(cancel::Leaf::new())
    }

    /// Takes a request that this await has not seen. False: there is none.
    pub fn is_cancelled(&mut self, cx: &Context<'_>) -> bool {
        self.0.cancelled(cx).is_some()
    }
}

/// Makes the request that the shutdown of a loop makes to each task.
pub fn request_shutdown(task: &TaskHandle) {
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

    /// Joins `earlier`, if that one is under way. Returns whether it has joined.
    pub fn joins(&self, earlier: &Route) -> bool {
        self.0.meet(&earlier.0) == request::Meeting::Joined
    }

    pub fn link(&self, other: &Route) -> bool {
        self.0.link(&other.0)
    }
}

/// How many requests were made to a task, and whether the last one has not been delivered yet.
pub fn requests(task: &TaskHandle) -> (usize, bool) {
    let requests = task.task_ref().task_slot().requests().load();
    (requests.made() as usize, requests.is_pending())
}
