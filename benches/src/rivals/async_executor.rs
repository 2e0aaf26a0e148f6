//! async-executor with async-io: what `smol::spawn`, `smol::block_on` and `smol::Timer` stand on.

use std::future::Future;
use std::thread::JoinHandle;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use async_io::Timer;

use crate::neutral::Discard;
use crate::rival::{Outside, Rival, Spawner};

/// An `Executor` that as many threads run as there are workers, each in `async_io::block_on`, as smol runs its global one.
///
/// The executor lives in a leaked box, because that is how it is used: it stands in a static variable, and a task spawns
/// through a plain reference. An `Arc` instead would burden each spawn with a reference count that its users do not pay.
pub struct AsyncExecutor {
    executor: &'static Executor<'static>,
    stop: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Rival for AsyncExecutor {
    const NAME: &'static str = "async-executor";
    type Spawner = Inside;
    type Outside = Inside;

    fn start(workers: usize) -> Self {
        let executor: &'static Executor<'static> = Box::leak(Box::new(Executor::new()));
        let (stop, stopped) = async_channel::bounded::<()>(1);
        let worker = |index: usize| {
            let stopped: Receiver<()> = stopped.clone();
            std::thread::Builder::new()
                .name(format!("async-executor-{index}"))
                .spawn(move || {
                    // The error says that the sender is gone: the sign to stop.
                    let _ = async_io::block_on(executor.run(stopped.recv()));
                })
                .expect("the OS grants the worker threads")
        };
        let threads = (0..workers).map(worker).collect();
        Self { executor, stop, threads }
    }

    fn spawner(&self) -> Inside {
        Inside(self.executor)
    }

    fn outside(&self) -> Inside {
        Inside(self.executor)
    }

    fn block_on<F>(&self, main: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.outside().call(main)
    }
}

impl Drop for AsyncExecutor {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.threads.drain(..) {
            thread.join().expect("no workload panics");
        }
    }
}

/// A reference to the executor.
#[derive(Clone, Copy)]
pub struct Inside(&'static Executor<'static>);

impl Spawner for Inside {
    type Handle<T: Send + 'static> = Task<T>;

    fn spawn<F>(self, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }

    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(future).detach();
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send + 'static {
        futures_lite::future::yield_now()
    }

    fn sleep(self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        Discard::new(Timer::after(delay))
    }
}

impl Outside for Inside {
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(future).detach();
    }

    fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Not `async_io::block_on`: a thread that only waits for a result should not take the reactor from the workers.
        futures_lite::future::block_on(self.0.spawn(future))
    }
}
