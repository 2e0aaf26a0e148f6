//! Interface draft: bodies follow.
#![allow(missing_docs, unused, clippy::all, clippy::pedantic)]
use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What the layer above keeps in every task's cell.
pub trait Slot: Send + Sync + 'static {
    /// Runs once after the task completed (its output is stored, `is_done()` is true), on the thread that completed it,
    /// if `TaskRef::watch_completion` was called before. No lock is held. A panic is caught and swallowed.
    fn completed(&self, task: &TaskRef);
}

/// What a task can end with.
pub trait Outcome: Send + 'static {
    /// The poll or the future's drop panicked.
    fn panicked(payload: Box<dyn Any + Send>) -> Self;
    /// The runtime was closed before the task ended.
    fn closed() -> Self;
    /// Nobody holds a handle any more: the output of `task` is dropped unseen. (Called instead of plain drop.)
    fn abandoned(self, task: &TaskRef);
}

/// Calls from the scheduler upwards. No lock of the scheduler is held during a call.
pub trait Hooks: Send + Sync + 'static {
    fn slow_poll(&self, _task: &TaskRef, _lasted: Duration) {}
}

#[derive(Clone)]
pub struct Config {
    pub workers: usize,              // >= 1
    pub max_spares: usize,           // 0 switches rescue off
    pub max_blocking_threads: usize, // >= 1
    pub blocking_keep_alive: Duration,
    pub thread_name: Arc<dyn Fn(ThreadRole) -> String + Send + Sync>,
    pub slow_poll: Duration,
    pub clock: ClockKind,
    pub seed: u64,
    pub hooks: Arc<dyn Hooks>,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind { Real, Virtual }
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadRole { Worker(usize), Pool(usize), Watch }

impl Default for Config {
    fn default() -> Self { unimplemented!() }
}

/// Cheap clone, `Send + Sync`, usable from any thread.
#[derive(Clone)]
pub struct Scheduler(Arc<()>);
impl Scheduler {
    /// Starts the worker threads; an error if the OS refuses one.
    pub fn start(config: Config) -> io::Result<Scheduler> { unimplemented!() }
    /// After `close` the task is never polled: its handle resolves to `Outcome::closed()`.
    pub fn spawn<F, S>(&self, future: F, slot: S) -> JoinHandle<F::Output>
    where F: std::future::Future + Send + 'static, F::Output: Outcome, S: Slot { unimplemented!() }
    /// The scheduler whose worker thread this is (no reference count is touched).
    pub fn with_current<R>(f: impl FnOnce(Option<&Scheduler>) -> R) -> R { unimplemented!() }
    pub fn current() -> Option<Scheduler> { unimplemented!() }
    /// Index of the worker that runs the calling thread's code, for metrics and messages.
    pub fn current_worker() -> Option<usize> { unimplemented!() }
    /// Snapshot of all tasks that are not done.
    pub fn tasks(&self) -> Vec<TaskRef> { unimplemented!() }
    pub fn live_tasks(&self) -> usize { unimplemented!() }
    /// Queues `job` for the thread pool. Err: no pool thread exists and the OS refuses one, or closed; the job is given back.
    pub fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), BlockingRefused> { unimplemented!() }
    /// Nanoseconds on this scheduler's clock (monotonic; starts near 0).
    pub fn now(&self) -> u64 { unimplemented!() }
    pub fn metrics(&self) -> Metrics { unimplemented!() }
    /// Refuses new tasks, drops every suspended task (their handles resolve to `closed()`), joins the threads; what is inside a poll
    /// after `patience` is left behind and returned. Idempotent. From a worker thread: an empty Vec, closing goes on without waiting.
    pub fn close(&self, patience: Duration) -> Vec<TaskRef> { unimplemented!() }
    pub fn is_closed(&self) -> bool { unimplemented!() }
    pub fn ptr_eq(&self, other: &Scheduler) -> bool { unimplemented!() }
}
pub struct BlockingRefused { pub job: Box<dyn FnOnce() + Send>, pub error: io::Error }

/// A counted, untyped reference to a task.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskRef(Arc<()>);
impl TaskRef {
    /// The task being polled on this thread. No reference count is touched.
    pub fn with_current<R>(f: impl FnOnce(Option<&TaskRef>) -> R) -> R { unimplemented!() }
    pub fn current() -> Option<TaskRef> { unimplemented!() }
    pub fn slot<S: Slot>(&self) -> Option<&S> { unimplemented!() }
    pub fn is_done(&self) -> bool { unimplemented!() }
    /// Schedules the task for one more poll (no-op when done).
    pub fn wake(&self) { unimplemented!() }
    /// Asks for `Slot::completed`; true: the task was done already and `completed` may have run before or never will.
    pub fn watch_completion(&self) -> bool { unimplemented!() }
    pub fn future_name(&self) -> &'static str { unimplemented!() }
    pub fn is_heavy(&self) -> bool { unimplemented!() }
    pub fn scheduler(&self) -> Option<Scheduler> { unimplemented!() }
}

/// The owner of a task's output. Dropping it detaches the task.
pub struct JoinHandle<T>(TaskRef, std::marker::PhantomData<T>);
impl<T: Outcome> JoinHandle<T> {
    pub fn task(&self) -> &TaskRef { unimplemented!() }
    /// Ready(None): the output was taken before.
    pub fn poll_join(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> { unimplemented!() }
    pub fn try_take(&mut self) -> Option<T> { unimplemented!() }
    pub fn peek(&self) -> Option<&T> { unimplemented!() }
}
impl<T> Unpin for JoinHandle<T> {}

/// One timer of a task. Armed by polling; dropping or disarming leaves nothing behind.
#[derive(Default)]
pub struct Timer(());
impl Timer {
    pub const fn new() -> Timer { Timer(()) }
    /// Ready when the clock of the current scheduler shows `deadline` or later; else wakes `cx` then. A poll with another
    /// deadline moves the timer. `u64::MAX` never fires. Err: not on a worker thread of a scheduler.
    pub fn poll(&mut self, deadline: u64, cx: &mut Context<'_>) -> Poll<Result<(), NoScheduler>> { unimplemented!() }
    pub fn disarm(&mut self) {}
}
#[derive(Debug, Clone, Copy)]
pub struct NoScheduler;

#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Metrics {
    pub workers: Vec<WorkerMetrics>,
    pub tasks_alive: usize,
    pub injector_len: usize,
    pub heavy_len: usize,
    pub rescues: u64,
    pub slow_polls: u64,
    pub blocking_threads: usize,
    pub blocking_queue: usize,
}
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    pub polls: u64, pub steals: u64, pub parks: u64, pub queue_len: usize,
    pub heavy_polls: u64, pub is_spare: bool,
    /// Sampled poll times: bucket i counts polls of [2^i, 2^(i+1)) microseconds, bucket 0 those below 2 us.
    pub poll_time_histogram: [u64; 24],
}
