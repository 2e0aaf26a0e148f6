//! How does a handler on tokio hand a tile to threads that may compute?

use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::process::setpriority_process;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::neutral::compute_steps;
use crate::served::tiles::Tiles;

/// How nice the threads of [`Second::start_nice`] are: they yield a busy core to the threads that
/// serve.
const NICE: i32 = 10;

/// On tokio's own pool for functions that block.
#[derive(Clone, Copy)]
pub(super) struct OnBlockingPool;

impl Tiles for OnBlockingPool {
    async fn compute(&self, steps: u64) {
        spawn_blocking(move || compute_steps(steps)).await.expect("no tile panics");
    }
}

/// On a pool of rayon's.
#[derive(Clone)]
pub(super) struct OnRayon(Arc<ThreadPool>);

impl OnRayon {
    pub(super) fn start(threads: usize) -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        Self(Arc::new(pool.expect("the OS grants the threads")))
    }
}

impl Tiles for OnRayon {
    async fn compute(&self, steps: u64) {
        let (sender, receiver) = oneshot::channel();
        self.0.spawn(move || {
            compute_steps(steps);
            // An error means that the handler is gone, because its client is.
            let _ = sender.send(());
        });
        receiver.await.expect("no tile panics");
    }
}

/// A second runtime, which neither reads nor writes. Dropping it joins its threads.
pub(super) struct Second(Runtime);

impl Second {
    pub(super) fn start(threads: usize) -> Self {
        Self::build(Builder::new_multi_thread().worker_threads(threads))
    }

    pub(super) fn start_nice(threads: usize) -> Self {
        Self::build(Builder::new_multi_thread().worker_threads(threads).on_thread_start(|| {
            // On Linux this sets the priority of the calling thread alone.
            setpriority_process(None, NICE).expect("anyone may lower a priority");
        }))
    }

    fn build(builder: &mut Builder) -> Self {
        Self(builder.build().expect("the OS grants the threads"))
    }

    pub(super) fn tiles(&self) -> OnSecond {
        OnSecond(self.0.handle().clone())
    }
}

/// In a task on the [`Second`] runtime.
#[derive(Clone)]
pub(super) struct OnSecond(Handle);

impl Tiles for OnSecond {
    async fn compute(&self, steps: u64) {
        self.0.spawn(async move { compute_steps(steps) }).await.expect("no tile panics");
    }
}
