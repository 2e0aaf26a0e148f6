//! How does the program declare an await that this library cannot see?

use super::node::{AnyFuture, Node};
use crate::slot::{AwaitedBy, TaskHandle, TaskRefExt};

/// So many entries are copied while their lock is held once.
const BATCH: usize = 64;

impl AnyFuture {
    /// The numbers of the tasks that were declared to wait for it.
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

/// Declares that `waiter` waits for `future`, for call graphs only: it has no other effect. It is
/// meant for primitives of your own, whose awaits the library cannot see, as in a future that is
/// woken by hand. What tasks await through this library is found without it.
///
/// To declare the same twice has no further effect. Nothing waits any more for a future that is
/// done: then nothing is noted, or shown.
///
/// In asyncio a future may be the waiter, too; here it is the task that runs the await.
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
        // The list is in the `Extra`, which is allocated now if the task has none.
        task.task_ref().task_slot().extra();
    }
    future.with_awaited_by(|awaited_by| {
        awaited_by.get_or_insert_default().add(waiter);
    });
}

/// Takes back a declaration of [`future_add_to_awaited_by`]. Without one it does nothing.
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
