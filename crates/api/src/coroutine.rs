//! What can become a task?

use std::any::Any;
use std::future::Future;

use crate::error::Result;
use crate::task::{Task, create_task};

/// What `create_task` takes: any future that returns [`selvedge::Result`](crate::Result), may move to another thread and borrows
/// nothing. There is nothing to implement: every such future is a coroutine.
///
/// # Examples
///
/// ```
/// fn start<C: selvedge::Coroutine>(coro: C) -> selvedge::Task<C::Item> {
///     selvedge::create_task(coro)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a coroutine",
    label = "a coroutine is a future that returns `selvedge::Result<T>`, is `Send` and borrows nothing",
    note = "let the `async` block end with `Ok(..)`, so that it returns `selvedge::Result<T>`",
    note = "if it is not `Send`: drop guards, `Rc`s and `RefCell`s before the next `.await`",
    note = "if it borrows: move owned values or `Arc`s into an `async move` block"
)]
pub trait Coroutine: Future<Output = Result<Self::Item>> + Send + 'static {
    /// What it returns when it succeeds.
    type Item: Send + 'static;
}

impl<F, T> Coroutine for F
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    type Item = T;
}

/// Starts a coroutine as a task; a [`Task`] is returned as it is.
///
/// # Panics
///
/// If a coroutine is given and no event loop is running on this thread.
#[track_caller]
pub fn ensure_future<C: Coroutine>(coro_or_task: C) -> Task<C::Item> {
    // A `Task` is a coroutine too; which of the two it is, is known when this is compiled. `Option` lets it be moved out.
    let mut given = Some(coro_or_task);
    if let Some(task) = (&mut given as &mut dyn Any).downcast_mut::<Option<Task<C::Item>>>() {
        return task.take().expect("it was put there above");
    }
    create_task(given.expect("it was put there above"))
}

/// What the compiler refuses to make a task of.
///
/// Not `Send`:
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// selvedge::create_task(async move {
///     selvedge::sleep(std::time::Duration::ZERO).await?;
///     Ok(*shared)
/// });
/// ```
/// No `selvedge::Result`:
/// ```compile_fail,E0277
/// selvedge::create_task(async { 1 });
/// ```
/// A plain function is no coroutine:
/// ```compile_fail,E0277
/// selvedge::create_task(|| Ok(1));
/// ```
/// Borrowing:
/// ```compile_fail,E0597
/// let local = String::new();
/// let borrowed = &local;
/// selvedge::create_task(async move { Ok(borrowed.len()) });
/// ```
/// A coroutine that is waited for without being a task:
/// ```compile_fail,E0277
/// # async fn f() -> selvedge::Result<()> {
/// selvedge::wait([async { Ok(1) }]).await?;
/// # Ok(())
/// # }
/// ```
#[cfg(doctest)]
struct Refused;
