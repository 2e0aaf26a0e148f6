//! How does tokio take part? With its multi-threaded runtime.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::rival::{Outside, Rival, Spawner};

/// `tokio::runtime::Builder::new_multi_thread()` with everything enabled and all other settings at
/// their defaults.
pub struct Tokio(Runtime);

impl Rival for Tokio {
    const NAME: &'static str = "tokio";
    type Spawner = Inside;
    type Outside = Remote;

    fn start(workers: usize) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build();
        Self(runtime.expect("the OS grants the worker threads"))
    }

    fn spawner(&self) -> Inside {
        Inside
    }

    fn outside(&self) -> Remote {
        Remote(self.0.handle().clone())
    }

    fn block_on<F>(&self, main: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.block_on(Joined(self.0.spawn(main)))
    }
}

/// `tokio::spawn` and `tokio::time::sleep`, which find the runtime in a thread-local variable.
#[derive(Clone, Copy)]
pub struct Inside;

impl Spawner for Inside {
    type Handle<T: Send + 'static> = Joined<T>;

    fn spawn<F>(self, future: F) -> Joined<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Joined(tokio::spawn(future))
    }

    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(future));
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send + 'static {
        tokio::task::yield_now()
    }

    fn sleep(self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(delay)
    }
}

/// A `tokio::runtime::Handle`.
#[derive(Clone)]
pub struct Remote(Handle);

impl Outside for Remote {
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.0.spawn(future));
    }

    fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.block_on(Joined(self.0.spawn(future)))
    }
}

/// A `JoinHandle` whose task is known not to panic.
pub struct Joined<T>(JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|joined| joined.expect("no workload panics"))
    }
}
