//! How does async-executor take part? With async-io: these are the parts of `smol::spawn`,
//! `smol::block_on` and `smol::Timer`.

use std::future::Future;
use std::thread::JoinHandle;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use async_io::Timer;

use crate::neutral::Discard;
use crate::rival::{Outside, Rival, Spawner};

/// An `Executor` that is run by one thread per worker, each in `async_io::block_on`, as smol runs
/// its global one.
///
/// The executor is in a leaked box, because its users keep it in a static variable, and a task
/// spawns through a plain reference. An `Arc` would add a reference count to each spawn that the
/// users of async-executor do not pay for.
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
                    // An error means that the sender was dropped, which is the signal to stop.
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
        // Not `async_io::block_on`: a thread that only waits for a result should not take the
        // reactor from the workers.
        futures_lite::future::block_on(self.0.spawn(future))
    }
}
