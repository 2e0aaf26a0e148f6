//! Which parts of a worker can the models reach?

use std::rc::Rc;
use std::sync::Arc;

use super::Local;
use super::thread::{enter, exit};
use crate::queue::Deque;
use crate::shared::Shared;
use crate::task::Runnable;
use crate::watchdog::Role;

/// A place that has been taken, on its way to the thread that will work there.
pub struct Seat {
    shared: Arc<Shared>,
    index: usize,
    deque: Deque,
}

/// The calling thread as a worker, until this is dropped.
pub struct Worker(Option<Rc<Local>>);

/// The right to poll a task that is in no queue. Dropping it cancels the task.
pub struct Right(Runnable);

impl Seat {
    /// As the pool does it before it starts a worker's thread.
    pub(crate) fn reserve(shared: &Arc<Shared>, index: usize, role: Role) -> Self {
        let deque = shared.slots[index].vacant.lock().take().expect("a place is taken once");
        shared.slots[index].assign(role, false);
        shared.watchdog.took_place(index, role);
        Self { shared: Arc::clone(shared), index, deque }
    }

    /// The calling thread takes the place.
    pub fn sit(self) -> Worker {
        Worker(Some(enter(self.shared, self.index, self.deque)))
    }
}

impl Worker {
    fn local(&self) -> &Local {
        self.0.as_ref().expect("only dropping stands up")
    }

    /// Works until the worker is dismissed. A demoted worker computes until it is dismissed.
    pub fn work(&self) {
        self.local().serve();
    }

    /// One turn of `work`; waits for a task if there is none. False: dismissed.
    pub fn turn(&self) -> bool {
        let task = self.local().next_task();
        task.is_some_and(|task| {
            self.local().run(task);
            true
        })
    }

    /// A task from this worker's own queues. No other queue is looked at.
    pub fn pop(&self) -> Option<Right> {
        self.local().pop().map(Right)
    }

    /// Polls once.
    pub fn poll(&self, right: Right) {
        self.local().run(right.0);
    }
}

impl Right {
    pub(crate) fn new(task: Runnable) -> Self {
        Self(task)
    }

    /// Unwraps the task, to be put into a next-task slot.
    pub(crate) fn into_runnable(self) -> Runnable {
        self.0
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(local) = self.0.take() {
            exit(local);
        }
    }
}
