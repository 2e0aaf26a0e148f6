//! What does a timer cost, and how late is it?

use std::pin::pin;
use std::time::{Duration, Instant};

use super::{Goal, Row, Setting, Throughput, Workload};
use crate::neutral::{poll_once, scatter, yield_now};
use crate::process::cpu_time;
use crate::rival::{Rival, Spawner};
use crate::stats::percentile;

const FAR: Duration = Duration::from_hours(1);

/// The number of timers after which a task yields. tokio lets a task poll a limited number of its
/// leaves between two yields, and then returns without arming a timer, which would make it look
/// faster than it is.
pub(super) const BETWEEN_YIELDS: u64 = 64;

async fn arm_and_drop<S: Spawner>(spawner: S, times: u64) {
    for index in 1..=times {
        poll_once(pin!(spawner.sleep(FAR))).await;
        if index % BETWEEN_YIELDS == 0 {
            yield_now().await;
        }
    }
}

/// One task arms timers that never fire: the timeout around an operation that succeeds.
pub struct ArmAndDrop;

impl Throughput for ArmAndDrop {
    const ROW: Row = Row { name: "arm and drop a far timer", unit: "ns/timer", goal: Goal::Ratio(0.30) };
    const UNITS: u64 = 100_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let start = Instant::now();
            arm_and_drop(spawner, units).await;
            start.elapsed()
        })
    }
}

/// Several tasks arm and drop timers at once: do the runtime's timers scale with its workers?
pub struct ArmAndDropTogether;

const TOGETHER: u64 = 8;

impl Throughput for ArmAndDropTogether {
    const ROW: Row = Row { name: "arm and drop, 8 tasks at once", unit: "ns/timer", goal: Goal::Ratio(0.30) };
    const UNITS: u64 = TOGETHER * 25_000;

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let spawner = runtime.spawner();
        runtime.block_on(async move {
            let start = Instant::now();
            let tasks: Vec<_> =
                (0..TOGETHER).map(|_| spawner.spawn(arm_and_drop(spawner, units / TOGETHER))).collect();
            for task in tasks {
                task.await;
            }
            start.elapsed()
        })
    }
}

/// Many tasks sleep once, for times spread over a fifth of a second. Measured in CPU time of the
/// whole process.
pub struct CpuPerTimer;

const SLEEPERS: u64 = 100_000;
const SPREAD: Duration = Duration::from_millis(200);

impl Workload for CpuPerTimer {
    const ROWS: &'static [Row] =
        &[Row { name: "CPU per timer, 100,000 sleeps", unit: "ns CPU/timer", goal: Goal::Ratio(0.50) }];
    const MOST_ROUNDS: usize = usize::MAX;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        let runtime = R::start(setting.workers);
        let spawner = runtime.spawner();
        let sleepers = setting.size(SLEEPERS);
        let pass = async move |sleepers: u64| {
            let before = cpu_time();
            let sleep = |index| spawner.spawn(spawner.sleep(SPREAD.mul_f64(scatter(index))));
            let tasks: Vec<_> = (0..sleepers).map(sleep).collect();
            for task in tasks {
                task.await;
            }
            cpu_time().saturating_sub(before)
        };
        let spent = runtime.block_on(async move {
            pass(sleepers / 10).await;
            pass(sleepers).await
        });
        vec![spent.as_nanos() as f64 / sleepers as f64]
    }
}

/// One task sleeps, and there are no other tasks. How late does it wake?
pub struct SleepLateness;

const SLEEPS: u64 = 600;
const SHORTEST: Duration = Duration::from_micros(300);
const RANGE: Duration = Duration::from_millis(3);

impl Workload for SleepLateness {
    const ROWS: &'static [Row] = &[
        Row { name: "lateness of a sleep of 0.3-3.3 ms, p50", unit: "us late", goal: Goal::AtMost(30.0) },
        Row { name: "lateness of a sleep of 0.3-3.3 ms, p99", unit: "us late", goal: Goal::AtMost(150.0) },
    ];
    const MOST_ROUNDS: usize = 3;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        let runtime = R::start(setting.workers);
        let spawner = runtime.spawner();
        let sleeps = setting.size(SLEEPS);
        let warm_up = sleeps / 10;
        let lateness = runtime.block_on(async move {
            let mut lateness = Vec::with_capacity(sleeps as usize);
            for index in 0..warm_up + sleeps {
                let delay = SHORTEST + RANGE.mul_f64(scatter(index));
                let start = Instant::now();
                spawner.sleep(delay).await;
                // Negative for a timer that is early.
                let late = start.elapsed().as_secs_f64() - delay.as_secs_f64();
                if index >= warm_up {
                    lateness.push(late * 1e6);
                }
            }
            lateness
        });
        vec![percentile(&lateness, 0.50), percentile(&lateness, 0.99)]
    }

    fn by_os_threads(setting: &Setting) -> Option<Vec<f64>> {
        let late = |index| {
            let delay = SHORTEST + RANGE.mul_f64(scatter(index));
            let start = Instant::now();
            std::thread::sleep(delay);
            start.elapsed().saturating_sub(delay).as_secs_f64() * 1e6
        };
        let lateness: Vec<f64> = (0..setting.size(SLEEPS)).map(late).collect();
        Some(vec![percentile(&lateness, 0.50), percentile(&lateness, 0.99)])
    }
}
