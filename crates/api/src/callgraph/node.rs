//! How does a call graph refer to a task or future of any type?

use std::fmt;
use std::sync::Arc;

use crate::event_loop::EventLoop;
use crate::slot::{AwaitedBy, TaskHandle, TaskRefExt};
use crate::task::Task;

/// A task or a future of any type, for call graphs.
///
/// References to [`Task`], [`TaskHandle`] and [`Future`](crate::Future) are converted to it where
/// it is needed.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let task = selvedge::create_task(async { Ok(1) });
/// assert_eq!(selvedge::AnyFuture::from(&task).task(), Some(&task.handle()));
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct AnyFuture(pub(super) Node);

#[derive(Clone)]
pub(super) enum Node {
    Task(TaskHandle),
    Future(Arc<dyn Shows>),
}

/// A future without its type.
pub(crate) trait Shows: Send + Sync {
    fn is_done(&self) -> bool;
    fn event_loop(&self) -> &EventLoop;
    fn with_awaited_by(&self, f: &mut dyn FnMut(&mut Option<Box<AwaitedBy>>));
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl AnyFuture {
    pub(crate) fn of_future(future: Arc<dyn Shows>) -> AnyFuture {
        AnyFuture(Node::Future(future))
    }

    /// The task, if it is one.
    pub fn task(&self) -> Option<&TaskHandle> {
        match &self.0 {
            Node::Task(task) => Some(task),
            Node::Future(_) => None,
        }
    }

    /// Whether it has ended, however it did.
    pub fn done(&self) -> bool {
        match &self.0 {
            Node::Task(task) => task.done(),
            Node::Future(future) => future.is_done(),
        }
    }

    /// A number that distinguishes it from all other tasks, or all other futures, that live.
    pub(super) fn number(&self) -> u64 {
        match &self.0 {
            Node::Task(task) => task.task_ref().task_slot().number(),
            Node::Future(future) => address_of(future) as u64,
        }
    }
}

/// The address of a future, which distinguishes it from all others that live.
pub(super) fn address_of(future: &Arc<dyn Shows>) -> usize {
    Arc::as_ptr(future).addr()
}

impl From<TaskHandle> for AnyFuture {
    fn from(task: TaskHandle) -> AnyFuture {
        AnyFuture(Node::Task(task))
    }
}

impl From<&TaskHandle> for AnyFuture {
    fn from(task: &TaskHandle) -> AnyFuture {
        task.clone().into()
    }
}

impl<T: Send + 'static> From<&Task<T>> for AnyFuture {
    fn from(task: &Task<T>) -> AnyFuture {
        task.handle().into()
    }
}

// With these, `None` and a reference may be given for the same argument.

impl From<TaskHandle> for Option<AnyFuture> {
    fn from(task: TaskHandle) -> Option<AnyFuture> {
        Some(task.into())
    }
}

impl From<&TaskHandle> for Option<AnyFuture> {
    fn from(task: &TaskHandle) -> Option<AnyFuture> {
        Some(task.into())
    }
}

impl<T: Send + 'static> From<&Task<T>> for Option<AnyFuture> {
    fn from(task: &Task<T>) -> Option<AnyFuture> {
        Some(task.into())
    }
}

impl PartialEq for AnyFuture {
    fn eq(&self, other: &AnyFuture) -> bool {
        match (&self.0, &other.0) {
            (Node::Task(one), Node::Task(other)) => one == other,
            (Node::Future(one), Node::Future(other)) => address_of(one) == address_of(other),
            _ => false,
        }
    }
}

impl Eq for AnyFuture {}

impl fmt::Debug for AnyFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Node::Task(task) => task.fmt(f),
            Node::Future(future) => future.describe(f),
        }
    }
}

impl fmt::Display for AnyFuture {
    /// As the heading of its part of a call graph: `Task(name='Task-1', id=0x1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Node::Task(task) => write!(f, "Task(name='{}', id={:#x})", task.get_name(), self.number()),
            Node::Future(_) => write!(f, "Future(id={:#x})", self.number()),
        }
    }
}
