//! What the tests of the scheduler share: the smallest slot and outcome, and futures to wait with.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test binary uses its part")]

use std::any::Any;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use selvedge_scheduler::{Config, JoinHandle, Outcome, Scheduler, Slot, TaskRef};

pub struct NoSlot;

impl Slot for NoSlot {
    fn completed(&self, _: &TaskRef) {}
}

/// How a task of the tests ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End<T> {
    Value(T),
    Panicked(String),
    Closed,
}

impl<T: Send + 'static> Outcome for End<T> {
    fn panicked(_: &TaskRef, payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().map_or("?", |text| text).to_owned();
        Self::Panicked(text)
    }
    fn closed(_: &TaskRef) -> Self {
        Self::Closed
    }
    fn abandoned(self, _: &TaskRef) {}
}

impl<T: std::fmt::Debug> End<T> {
    pub fn value(self) -> T {
        match self {
            Self::Value(value) => value,
            other => panic!("the task ended with {other:?}"),
        }
    }
}

pub fn start(workers: usize) -> Scheduler {
    Scheduler::start(Config { workers, ..Config::default() }).expect("threads can be started")
}

pub fn spawn<T: Send + 'static>(
    scheduler: &Scheduler,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<End<T>> {
    scheduler.spawn(async { End::Value(future.await) }, NoSlot)
}

/// Spawns on the scheduler of the calling task.
pub fn spawn_here<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<End<T>> {
    Scheduler::with_current(|scheduler| spawn(scheduler.expect("on a worker"), future))
}

/// Awaits a task's end.
pub async fn join<T: std::fmt::Debug>(handle: JoinHandle<End<T>>) -> T {
    end(handle).await.value()
}

pub async fn end<T>(mut handle: JoinHandle<End<T>>) -> End<T> {
    poll_fn(|cx| handle.poll_join(cx)).await.expect("taken once")
}

struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on a thread that is no worker.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Runs `main` as a task and waits for it.
pub fn run<T: Send + std::fmt::Debug + 'static>(
    scheduler: &Scheduler,
    main: impl Future<Output = T> + Send + 'static,
) -> T {
    block_on(join(spawn(scheduler, main)))
}

/// Starts, runs, closes; nothing may be left.
pub fn with_workers<T: Send + std::fmt::Debug + 'static>(
    workers: usize,
    main: impl Future<Output = T> + Send + 'static,
) -> T {
    let scheduler = start(workers);
    let result = run(&scheduler, main);
    assert_eq!(scheduler.close(Duration::from_secs(20)), []);
    assert_eq!(scheduler.live_tasks(), 0);
    result
}

/// Pending once, woken at once.
#[derive(Default)]
pub struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

pub fn yield_now() -> YieldNow {
    YieldNow::default()
}

/// Counts how often it is dropped.
pub struct DropCount(pub Arc<AtomicUsize>);

impl Drop for DropCount {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
