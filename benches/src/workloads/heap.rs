//! How many bytes does a waiting task or an armed timer occupy?

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use super::timers::BETWEEN_YIELDS;
use super::{Goal, Row, Setting, Workload};
use crate::heap;
use crate::neutral::{poll_once, yield_now};
use crate::probe::{Probe, ask};
use crate::rival::{Rival, Spawner};

/// A power of two, because tables that double are full then, and no runtime is charged for unused
/// capacity. As many tasks are spawned before and not counted, so that every worker has taken part:
/// what a thread allocates once does not belong to the tasks.
const COUNT: u64 = 1 << 17;
/// Tasks that are spawned at a time. Fewer than the smallest run queue holds, so that no queue
/// grows: its memory does not belong to the tasks.
const BATCH: u64 = 32;
const FAR: Duration = Duration::from_hours(1);

/// Trivial tasks that wait for ever.
pub struct HeapPerTask;

impl Workload for HeapPerTask {
    const ROWS: &'static [Row] =
        &[Row { name: "heap per parked trivial task", unit: "bytes/task", goal: Goal::AtMost(104.0) }];
    const MOST_ROUNDS: usize = 1;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        ask(Probe::HeapPerTask, R::NAME, setting)
    }
}

/// Timers far in the future that one task owns and has polled once.
pub struct HeapPerTimer;

impl Workload for HeapPerTimer {
    const ROWS: &'static [Row] = &[Row {
        name: "heap per armed timer, beside its future",
        unit: "bytes/timer",
        goal: Goal::AtMost(48.0),
    }];
    const MOST_ROUNDS: usize = 1;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        ask(Probe::HeapPerTimer, R::NAME, setting)
    }
}

/// [`HeapPerTask`], inside the probe. The tasks are still parked when it returns: the process is
/// expected to end.
pub fn heap_per_task<R: Rival>(runtime: &R) -> Vec<f64> {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let mut handles = Vec::with_capacity(2 * COUNT as usize);
        park(spawner, &mut handles, COUNT).await;
        heap::start_counting();
        let before = heap::in_use();
        park(spawner, &mut handles, 2 * COUNT).await;
        let grown = heap::in_use() - before;
        std::mem::forget(handles);
        vec![grown as f64 / COUNT as f64]
    })
}

/// How many tasks have been polled. It is static, so that the futures of the tasks have no size.
/// Relaxed: the count publishes nothing.
static PARKED: AtomicU64 = AtomicU64::new(0);

/// Spawns until `target` tasks wait, a batch at a time.
async fn park<S: Spawner>(spawner: S, handles: &mut Vec<S::Handle<()>>, target: u64) {
    while (handles.len() as u64) < target {
        for _ in 0..BATCH {
            handles.push(spawner.spawn(poll_fn(|_| {
                PARKED.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            })));
        }
        while PARKED.load(Ordering::Relaxed) < handles.len() as u64 {
            yield_now().await;
        }
    }
}

/// [`HeapPerTimer`], inside the probe.
pub fn heap_per_timer<R: Rival>(runtime: &R) -> Vec<f64> {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        poll_once(Box::pin(spawner.sleep(FAR)).as_mut()).await;
        let mut sleeps: Vec<_> = (0..COUNT).map(|_| Box::pin(spawner.sleep(FAR))).collect();
        heap::start_counting();
        let before = heap::in_use();
        for (index, sleep) in (1..).zip(&mut sleeps) {
            poll_once(sleep.as_mut()).await;
            if index % BETWEEN_YIELDS == 0 {
                yield_now().await;
            }
        }
        let grown = heap::in_use() - before;
        vec![grown as f64 / COUNT as f64]
    })
}
