//! Do all workers stay busy until the work is done?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use super::{Goal, Row, Setting, Workload};
use crate::neutral::{compute_steps, scatter, steps_per_microsecond};
use crate::rival::{Rival, Spawner};
use crate::stats::median;

/// One task spawns many tasks of very different length. The makespan is given as a multiple of the
/// ideal: the time that one thread alone needs for all of them, divided evenly.
pub struct Uneven;

const TASKS: u64 = 200;
const SHORTEST_US: f64 = 50.0;
const LONGEST_US: f64 = 1_500.0;
const PASSES: usize = 5;

impl Workload for Uneven {
    const ROWS: &'static [Row] =
        &[Row { name: "uneven tasks: makespan", unit: "of ideal", goal: Goal::AtMost(1.03) }];
    const MOST_ROUNDS: usize = 3;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        let runtime = R::start(setting.workers);
        let spawner = runtime.spawner();
        of_ideal(setting.workers, || {
            runtime.block_on(async move {
                let start = Instant::now();
                let compute = |&steps| spawner.spawn(async move { compute_steps(steps) });
                let tasks: Vec<_> = STEPS.iter().map(compute).collect();
                for task in tasks {
                    task.await;
                }
                start.elapsed()
            })
        })
    }

    fn by_os_threads(setting: &Setting) -> Option<Vec<f64>> {
        Some(of_ideal(setting.workers, || pull_on_threads(setting.workers)))
    }
}

/// The lengths, measured once so that every runtime gets the same.
static STEPS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let per_microsecond = steps_per_microsecond();
    let length = |index| SHORTEST_US + scatter(index) * (LONGEST_US - SHORTEST_US);
    (0..TASKS).map(|index| (length(index) * per_microsecond) as u64).collect()
});

fn of_ideal(workers: usize, pass: impl Fn() -> Duration) -> Vec<f64> {
    // More workers than cores share the cores.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let shares = workers.min(cores) as f64;
    pass();
    let ratio = |_| {
        // The single thread computes just before and just after, because a machine's speed drifts.
        let before = alone();
        let makespan = pass();
        let total = (before + alone()) / 2;
        makespan.as_secs_f64() * shares / total.as_secs_f64()
    };
    vec![median((0..PASSES).map(ratio).collect())]
}

fn alone() -> Duration {
    let start = Instant::now();
    STEPS.iter().copied().for_each(compute_steps);
    start.elapsed()
}

fn pull_on_threads(threads: usize) -> Duration {
    let next = Arc::new(AtomicUsize::new(0));
    let ready = Arc::new(Barrier::new(threads + 1));
    let puller = |_| {
        let (next, ready) = (Arc::clone(&next), Arc::clone(&ready));
        std::thread::spawn(move || {
            ready.wait();
            // Relaxed: each index is returned once, and the list never changes.
            while let Some(&steps) = STEPS.get(next.fetch_add(1, Ordering::Relaxed)) {
                compute_steps(steps);
            }
        })
    };
    let pullers: Vec<_> = (0..threads).map(puller).collect();
    ready.wait();
    let start = Instant::now();
    for puller in pullers {
        puller.join().expect("arithmetic does not panic");
    }
    start.elapsed()
}
