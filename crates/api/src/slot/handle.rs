//! How does code that does not know a task's type hold the task?

use std::fmt;

use selvedge_scheduler::TaskRef;

use super::reference::TaskRefExt;

/// A task of unknown type: everything that [`Task`](crate::Task) offers but the result. Two handles
/// are equal if they hold the same task.
///
/// It keeps neither the task running nor its loop alive; it only keeps the record of how the task ended.
///
/// # Examples
///
/// ```
/// use std::collections::HashSet;
///
/// # selvedge::run(async {
/// let (number, text) = (selvedge::create_task(async { Ok(1) }), selvedge::create_task(async { Ok("two") }));
/// let handles = HashSet::from([number.handle(), text.handle()]);
/// assert!(handles.contains(&number.handle()));
/// selvedge::wait(handles).await?;
/// assert!(number.done() && text.done());
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskHandle(TaskRef);

/// A number that distinguishes a task from every other one for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(crate) u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TaskHandle {
    pub(crate) fn new(task: TaskRef) -> TaskHandle {
        TaskHandle(task)
    }

    pub(crate) fn task_ref(&self) -> &TaskRef {
        &self.0
    }
}

impl From<&TaskHandle> for TaskHandle {
    fn from(task: &TaskHandle) -> TaskHandle {
        task.clone()
    }
}

impl fmt::Debug for TaskHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.describe(f)
    }
}
