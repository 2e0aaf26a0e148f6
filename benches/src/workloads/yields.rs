//! What does a yield to the worker cost, until the task runs again?

use std::time::{Duration, Instant};

use super::{Goal, Row, Throughput};
use crate::neutral::yield_now;
use crate::rival::{Rival, Spawner};

/// Tasks that do nothing but yield, many times each.
pub struct Yields;

const TASKS: u64 = 200;

impl Throughput for Yields {
    const ROW: Row = Row { name: "200 tasks that yield", unit: "ns/yield", goal: Goal::Ratio(0.90) };
    const UNITS: u64 = TASKS * 1_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let start = Instant::now();
            let yielding = |_| {
                spawner.spawn(async move {
                    for _ in 0..units / TASKS {
                        yield_now().await;
                    }
                })
            };
            let tasks: Vec<_> = (0..TASKS).map(yielding).collect();
            for task in tasks {
                task.await;
            }
            start.elapsed()
        })
    }
}
