//! What does a task cost from its creation to its end?

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::{Goal, Row, Throughput};
use crate::rival::{Outside, Rival, Spawner};

/// A task spawns empty tasks, keeps the handles, then awaits each.
pub struct SpawnFromTask;

impl Throughput for SpawnFromTask {
    const ROW: Row = Row { name: "spawn from a task, await all", unit: "ns/task", goal: Goal::Ratio(0.50) };
    const UNITS: u64 = 20_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let mut handles = Vec::with_capacity(units as usize);
            let start = Instant::now();
            for index in 0..units {
                handles.push(spawner.spawn(async move { index }));
            }
            for handle in handles.drain(..) {
                black_box(handle.await);
            }
            start.elapsed()
        })
    }
}

/// A foreign thread spawns tasks that each count down by one, and waits for the last.
pub struct SpawnFromOutside;

impl Throughput for SpawnFromOutside {
    const ROW: Row = Row { name: "spawn from a foreign thread", unit: "ns/task", goal: Goal::Ratio(0.50) };
    const UNITS: u64 = 200_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let outside = runtime.outside();
        let countdown = Countdown::from(units);
        let start = Instant::now();
        for _ in 0..units {
            outside.detach(async move { countdown.one_less() });
        }
        countdown.wait();
        start.elapsed()
    }
}

/// The counter that the foreign thread waits for. It is leaked, so that a task has a plain
/// reference: reference counts, contended by all threads, would cost more than the measured tasks.
struct Countdown {
    left: AtomicU64,
    waiter: Thread,
}

impl Countdown {
    fn from(count: u64) -> &'static Self {
        Box::leak(Box::new(Self { left: AtomicU64::new(count), waiter: std::thread::current() }))
    }

    fn one_less(&self) {
        // Relaxed: the count publishes no other data.
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.waiter.unpark();
        }
    }

    fn wait(&self) {
        while self.left.load(Ordering::Relaxed) > 0 {
            std::thread::park();
        }
    }
}

/// Each task spawns the next one and drops its handle.
pub struct Chain;

impl Throughput for Chain {
    const ROW: Row =
        Row { name: "chain, each task spawns the next", unit: "ns/task", goal: Goal::Ratio(0.60) };
    const UNITS: u64 = 200_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let (done, last) = oneshot::channel();
            let start = Instant::now();
            link(spawner, units, done);
            last.await.expect("the last link tells");
            start.elapsed()
        })
    }
}

fn link<S: Spawner>(spawner: S, left: u64, done: oneshot::Sender<()>) {
    spawner.detach(async move {
        if left > 1 {
            link(spawner, left - 1, done);
        } else {
            done.send(()).expect("main waits");
        }
    });
}
