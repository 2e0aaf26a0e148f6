//! Which tasks does the program say to wait for a task or a future, where this library cannot see it?

use super::node::{AnyFuture, Node};
use crate::slot::{AwaitedBy, TaskHandle, TaskRefExt};

/// So many are looked at under one hold of the lock that they lie behind.
const BATCH: usize = 64;

impl AnyFuture {
    /// The tasks that were said to wait for it.
    pub(super) fn noted_awaiters(&self) -> Vec<u64> {
        let mut noted = Vec::new();
        loop {
            let before = noted.len();
            self.with_awaited_by(|awaited_by| {
                if let Some(awaited_by) = awaited_by {
                    let last = noted.last().copied();
                    noted.extend(awaited_by.after(last).take(BATCH));
                }
            });
            if noted.len() < before + BATCH {
                return noted;
            }
        }
    }

    fn with_awaited_by(&self, mut f: impl FnMut(&mut Option<Box<AwaitedBy>>)) {
        match &self.0 {
            Node::Task(task) => {
                if let Some(extra) = task.task_ref().task_slot().extra_if_any() {
                    extra.with_awaited_by(f);
                }
            }
            Node::Future(future) => future.with_awaited_by(&mut f),
        }
    }
}

/// Says that `waiter` waits for `future`, for call graphs only: nothing else follows from it. For
/// primitives of one's own whose awaits the library cannot see, as in a future that is woken by
/// hand. What tasks await through this library is found without it.
///
/// Said twice, it holds once. Nothing waits any more for what is done: then nothing is noted, or shown.
///
/// asyncio lets a future be the waiter, too; here it is the task that runs the await.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let signal = selvedge::get_running_loop()?.create_future::<()>();
/// let this = selvedge::current_task().expect("it runs in a task");
/// selvedge::future_add_to_awaited_by(&signal, &this);
/// let graph = selvedge::capture_call_graph(&signal, None)?.expect("it was named");
/// assert_eq!(graph.awaited_by()[0].future().task(), Some(&this));
/// selvedge::future_discard_from_awaited_by(&signal, &this);
/// # Ok(())
/// # }).unwrap();
/// ```
pub fn future_add_to_awaited_by(future: impl Into<AnyFuture>, waiter: impl Into<TaskHandle>) {
    let (future, waiter) = (future.into(), number_of(waiter));
    if future.done() {
        return;
    }
    if let Node::Task(task) = &future.0 {
        // Made now, if the task has none yet.
        task.task_ref().task_slot().extra();
    }
    future.with_awaited_by(|awaited_by| {
        awaited_by.get_or_insert_default().add(waiter);
    });
}

/// Takes back what [`future_add_to_awaited_by`] said. What was not said needs no taking back.
pub fn future_discard_from_awaited_by(future: impl Into<AnyFuture>, waiter: impl Into<TaskHandle>) {
    let waiter = number_of(waiter);
    future.into().with_awaited_by(|awaited_by| {
        if let Some(awaited_by) = awaited_by {
            awaited_by.remove(waiter);
        }
    });
}

fn number_of(waiter: impl Into<TaskHandle>) -> u64 {
    waiter.into().task_ref().task_slot().number()
}
