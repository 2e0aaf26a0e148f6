//! How does a function take either a task or a coroutine?

use crate::coroutine::Coroutine;
use crate::task::{Task, create_task, given_task};

/// Starts a coroutine as a task; a [`Task`] is returned as it is.
///
/// For functions that take either, as all of this library do. asyncio's function also takes a
/// `Future` and returns it unchanged; here a future becomes a task that awaits it.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let task = selvedge::create_task(async { Ok(42) });
/// let id = task.id();
/// assert_eq!(selvedge::ensure_future(task).id(), id);
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Panics
///
/// If a coroutine is given and no event loop is running on this thread.
#[track_caller]
pub fn ensure_future<C: Coroutine>(coro_or_task: C) -> Task<C::Item> {
    match given_task(coro_or_task) {
        Ok(task) => task,
        Err(coro) => create_task(coro),
    }
}
