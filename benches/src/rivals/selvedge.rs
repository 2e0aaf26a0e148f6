//! How does Selvedge itself take part?

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use async_channel::Sender;
use pin_project_lite::pin_project;
use selvedge::{EventLoop, Runner, Task};

use crate::rival::{Outside, Rival, Spawner};

/// A `Runner` whose main task waits until the measurement is over; `WATCHDOG` says whether the
/// watchdog lends standbys to stuck workers.
///
/// `run` blocks its thread, so it has a thread of its own, which only waits. Workloads enter
/// through the loop, like requests.
pub struct Selvedge<const WATCHDOG: bool = true> {
    event_loop: EventLoop,
    stop: Sender<()>,
    running: Option<JoinHandle<()>>,
}

impl<const WATCHDOG: bool> Rival for Selvedge<WATCHDOG> {
    const NAME: &'static str = if WATCHDOG { "Selvedge" } else { "Selvedge-without-watchdog" };
    type Spawner = Inside;
    type Outside = Remote;

    fn start(workers: usize) -> Self {
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let (started, event_loop) = std::sync::mpsc::sync_channel(1);
        let running = std::thread::spawn(move || {
            let runner = Runner::builder().workers(workers).watchdog(WATCHDOG).build();
            let runner = runner.expect("the OS grants the worker threads");
            let main = async move {
                started.send(selvedge::get_running_loop()?).expect("start() waits for the loop");
                // An error means that the sender was dropped, which is the signal to stop.
                let _ = stopped.recv().await;
                Ok(())
            };
            runner.run(main).expect("no workload fails");
        });
        let event_loop = event_loop.recv().expect("main starts");
        Self { event_loop, stop, running: Some(running) }
    }

    fn spawner(&self) -> Inside {
        Inside
    }

    fn outside(&self) -> Remote {
        Remote(self.event_loop.clone())
    }

    fn block_on<F>(&self, main: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.outside().call(main)
    }
}

impl<const WATCHDOG: bool> Drop for Selvedge<WATCHDOG> {
    fn drop(&mut self) {
        self.stop.close();
        if let Some(running) = self.running.take() {
            running.join().expect("no workload panics");
        }
    }
}

/// `selvedge::create_task` and `selvedge::sleep`, which find the loop in a thread-local variable.
#[derive(Clone, Copy)]
pub struct Inside;

impl Spawner for Inside {
    type Handle<T: Send + 'static> = Unwrapped<Task<T>>;

    fn spawn<F>(self, future: F) -> Unwrapped<Task<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Unwrapped { inner: selvedge::create_task(Fine { inner: future }) }
    }

    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(selvedge::create_task(Fine { inner: future }));
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send + 'static {
        Unwrapped { inner: selvedge::sleep(Duration::ZERO) }
    }

    fn sleep(self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        Unwrapped { inner: selvedge::sleep(delay) }
    }
}

/// An `EventLoop`.
#[derive(Clone)]
pub struct Remote(EventLoop);

impl Outside for Remote {
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.0.create_task(Fine { inner: future }));
    }

    fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let concurrent = selvedge::run_coroutine_threadsafe(Fine { inner: future }, &self.0);
        concurrent.result(None).expect("no workload fails")
    }
}

pin_project! {
    /// Makes a coroutine of a future that cannot fail. An `async` block would also do this, but it
    /// keeps two copies of the future in its state.
    struct Fine<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future> Future for Fine<F> {
    type Output = selvedge::Result<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(cx).map(Ok)
    }
}

pin_project! {
    /// An awaitable that is known not to fail.
    pub struct Unwrapped<F> {
        #[pin]
        inner: F,
    }
}

impl<T, F: Future<Output = selvedge::Result<T>>> Future for Unwrapped<F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.project().inner.poll(cx).map(|result| result.expect("no workload fails"))
    }
}
