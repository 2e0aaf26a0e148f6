//! What must a runtime offer to take part?
//!
//! Three parts, because users have three different things: the program that started the runtime
//! owns a [`Rival`], the code of a task has a [`Spawner`], and a foreign thread has an [`Outside`].
//! Each implementation calls only what its runtime's own documentation recommends for that place.

use std::future::Future;
use std::time::Duration;

/// A running runtime. Dropping it stops the worker threads and joins them.
pub trait Rival: Sized + 'static {
    /// The column's title; also names the runtime on the command line of a probe.
    const NAME: &'static str;
    /// The type that the code of a task uses.
    type Spawner: Spawner;
    /// The type that a foreign thread uses.
    type Outside: Outside;

    /// Starts `workers` worker threads, with timers and sockets enabled.
    fn start(workers: usize) -> Self;
    /// The part for code that runs in a task.
    fn spawner(&self) -> Self::Spawner;
    /// The part for code that runs on a foreign thread.
    fn outside(&self) -> Self::Outside;
    /// Spawns `main` as a task like any other and waits for it; the calling thread runs none of the
    /// tasks.
    fn block_on<F>(&self, main: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static;
}

/// Spawns and sleeps. Only for use inside a task.
pub trait Spawner: Copy + Send + Sync + 'static {
    /// Resolves to the task's output; panics if the task panicked.
    type Handle<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;

    /// Starts a task whose handle will be awaited.
    fn spawn<F>(self, future: F) -> Self::Handle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static;
    /// Starts a task and drops its handle.
    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;
    /// The runtime's own way to yield to the worker, which may serve timers and sockets too.
    fn yield_now(self) -> impl Future<Output = ()> + Send + 'static;
    /// The runtime's own timer.
    fn sleep(self, delay: Duration) -> impl Future<Output = ()> + Send + 'static;
}

/// Reaches a runtime from a thread that is not one of its own.
pub trait Outside: Clone + Send + 'static {
    /// Starts a task and drops its handle.
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;
    /// Starts a task and blocks the calling thread until its output is ready.
    fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static;
}
