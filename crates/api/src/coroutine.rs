//! What can become a task?

use std::future::Future;

use crate::error::Result;

/// What `create_task` takes: any future that returns [`selvedge::Result`](crate::Result), may move
/// to another thread and borrows nothing. There is nothing to implement: every such future is a
/// coroutine.
///
/// # Examples
///
/// ```
/// fn start<C: selvedge::Coroutine>(coro: C) -> selvedge::Task<C::Item> {
///     selvedge::create_task(coro)
/// }
/// ```
///
/// # Depth
///
/// Futures that await each other within one task are nested on the stack of the thread that polls
/// or drops them: an `async fn` that boxes and awaits itself, a timeout around a timeout,
/// [`Context::run`](crate::Context::run) in itself. That is the nature of Rust's futures; a
/// worker's stack (2 MiB, or `RUST_MIN_STACK`) holds some thousands. For deeper nesting, start a
/// task at each step, or at every hundredth: tasks, groups and gatherings that await each other
/// cost memory and no stack, however deep they are, when they run, are cancelled, fail, or are
/// dropped.
///
/// # Common compiler errors
///
/// **A block that does not end in `Ok`**, or an `async fn` that returns something else than a
/// [`selvedge::Result`](crate::Result):
///
/// ```text
/// error[E0277]: a coroutine returns `selvedge::Result<T>`, and this one returns `()`
/// ```
///
/// Let the block end with `Ok(())`, and the `async fn` return `selvedge::Result<()>`. Where nothing
/// determines the error type (a block in a variable), write `Ok::<_, selvedge::Error>(())`. A
/// future of another crate may return something else: await it inside a block of your own,
/// `async { Ok(other().await) }`.
///
/// **A value that may not move to another thread is held across an await**: a lock's guard, an
/// `Rc`, a `RefCell`'s borrow.
///
/// ```text
/// error: future cannot be sent between threads safely
///   = help: within `{async block}`, the trait `Send` is not implemented for `std::sync::MutexGuard<'_, i32>`
/// note: future is not `Send` as this value is used across an await
///   |     let guard = lock.lock().unwrap();
///   |         ----- has type `std::sync::MutexGuard<'_, i32>` which is not `Send`
///   |     selvedge::sleep(delay).await?;
///   |                            ^^^^^ await occurs here, with `guard` maybe used later
/// ```
///
/// The last two lines name the value and the await. End the value's life before the await with a
/// block of its own (`drop(guard)` is enough only if it comes before the await); make an `Rc` an
/// `Arc`, a `RefCell` a `Mutex`.
///
/// **A closure or function where a coroutine is expected**, "`{closure}` is not a coroutine": call
/// it, or write `async { … }`.
///
/// **A borrow**, "`local` does not live long enough … `'static`": a task may outlive the function
/// that creates it. Give it an owned value or an `Arc`, and write `async move`; or await without a
/// task, as [`wait_for`](crate::wait_for) and [`timeout`](crate::timeout) do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a coroutine",
    label = "a coroutine is a future that returns `selvedge::Result<T>`, is `Send` and borrows nothing",
    note = "a function or closure is none: call it, or write `async {{ … }}`",
    note = "let the `async` block end with `Ok(..)`, so that it returns `selvedge::Result<T>`",
    note = "if it is not `Send`: drop guards, `Rc`s and `RefCell`s before the next `.await`",
    note = "if it borrows: move owned values or `Arc`s into an `async move` block"
)]
pub trait Coroutine: Future<Output = Result<Self::Item>> + Send + 'static {
    /// What the coroutine returns when it succeeds.
    type Item: Send + 'static;
}

impl<F, T> Coroutine for F
where
    F: Future + Send + 'static,
    F::Output: CoroutineOutput,
    F: Future<Output = Result<T>>,
    T: Send + 'static,
{
    type Item = T;
}

/// Demands nothing that the bounds beside it do not demand. It exists for its error message, which
/// says what to do.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a coroutine returns `selvedge::Result<T>`, and this one returns `{Self}`",
    label = "expected a coroutine: a future that returns `selvedge::Result<T>`",
    note = "let an `async` block end with `Ok(..)`, and an `async fn` return `selvedge::Result<T>`",
    note = "await what returns something else in a block of its own: `async {{ Ok(other().await) }}`, and `Ok(other().await?)` if it can fail"
)]
pub trait CoroutineOutput {}

impl<T> CoroutineOutput for Result<T> {}

/// What the compiler rejects as a task.
///
/// The error codes are the compiler's. Only its nightly versions compare them.
///
/// Not `Send`, which is an error without a code:
/// ```compile_fail
/// let shared = std::rc::Rc::new(1);
/// selvedge::create_task(async move {
///     selvedge::sleep(std::time::Duration::ZERO).await?;
///     Ok(*shared)
/// });
/// ```
/// No `selvedge::Result`:
/// ```compile_fail,E0271
/// selvedge::create_task(async { 1 });
/// ```
/// A closure is no coroutine:
/// ```compile_fail,E0277
/// selvedge::create_task(|| Ok(1));
/// ```
/// Borrowing:
/// ```compile_fail,E0597
/// let local = String::new();
/// let borrowed = &local;
/// selvedge::create_task(async move { Ok(borrowed.len()) });
/// ```
/// A coroutine that is not a task, given to `wait`:
/// ```compile_fail,E0277
/// # async fn f() -> selvedge::Result<()> {
/// selvedge::wait([async { Ok(1) }]).await?;
/// # Ok(())
/// # }
/// ```
#[cfg(doctest)]
struct Refused;
