//! Which tasks exist, and which one runs this code?

use selvedge_scheduler::{Scheduler, TaskRef};

use crate::slot::{TaskHandle, TaskSlot};

/// The task that is running this code; `None` outside of tasks, as in a callback of the loop or a
/// function in [`to_thread`](crate::to_thread). (Outside of a loop asyncio raises.)
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let named = selvedge::create_task(async {
///     Ok(selvedge::current_task().map(|task| task.get_name()))
/// })
/// .named("me");
/// named.await?;
/// # Ok(())
/// # }).unwrap();
/// assert_eq!(selvedge::current_task(), None);
/// ```
pub fn current_task() -> Option<TaskHandle> {
    TaskRef::with_current(|task| task.filter(|task| is_task(task)).cloned()).map(TaskHandle::new)
}

/// The tasks of the running loop that are not done, including the current one and those that have
/// not started. Empty outside of a loop.
///
/// Tasks start and end on other threads meanwhile, so the list may be out of date when it is
/// returned. From outside of the loop, use [`EventLoop::all_tasks`](crate::EventLoop::all_tasks).
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let task = selvedge::create_task(selvedge::sleep(std::time::Duration::MAX));
/// assert!(selvedge::all_tasks().contains(&task.handle()));
/// # Ok(())
/// # }).unwrap();
/// ```
pub fn all_tasks() -> Vec<TaskHandle> {
    Scheduler::with_current(|scheduler| scheduler.map(all_tasks_of)).unwrap_or_default()
}

pub(super) fn all_tasks_of(scheduler: &Scheduler) -> Vec<TaskHandle> {
    scheduler.tasks().into_iter().filter(is_task).map(TaskHandle::new).collect()
}

/// The loop's callbacks are tasks to the scheduler, but not to asyncio.
fn is_task(task: &TaskRef) -> bool {
    task.slot::<TaskSlot>().is_some()
}
