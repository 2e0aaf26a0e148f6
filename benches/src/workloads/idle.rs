//! What does a runtime cost that has no work?

use std::time::Duration;

use super::{Goal, Row, Setting, Workload};
use crate::neutral::yield_now;
use crate::probe::{Probe, ask};
use crate::process::{cpu_time, voluntary_switches};
use crate::rival::{Outside, Rival, Spawner};

/// A runtime that has worked and then idles with one far timer armed, in a process of its own.
pub struct Idle;

const SPAN: Duration = Duration::from_secs(10);
const QUICK_SPAN: Duration = Duration::from_secs(2);
/// The end of the work does not belong to the idle time.
const SETTLE: Duration = Duration::from_millis(500);

impl Workload for Idle {
    const ROWS: &'static [Row] = &[
        // The clock counts every microsecond, so a ten-thousandth of a core is as good as no cost.
        Row { name: "idle: CPU", unit: "us CPU/s", goal: Goal::AtMost(100.0) },
        Row { name: "idle: voluntary context switches", unit: "per second", goal: Goal::AtMost(5.0) },
    ];
    const MOST_ROUNDS: usize = 1;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        ask(Probe::Idle, R::NAME, setting)
    }
}

/// [`Idle`], inside the probe.
pub fn idle<R: Rival>(runtime: &R, setting: &Setting) -> Vec<f64> {
    let spawner = runtime.spawner();
    runtime.outside().detach(far_timer(spawner));
    runtime.block_on(async move {
        let busy = |_| {
            spawner.spawn(async {
                for _ in 0..1_000 {
                    yield_now().await;
                }
            })
        };
        let tasks: Vec<_> = (0..100).map(busy).collect();
        for task in tasks {
            task.await;
        }
        spawner.sleep(Duration::from_millis(5)).await;
    });
    std::thread::sleep(SETTLE);

    let span = if setting.quick { QUICK_SPAN } else { SPAN };
    let switches_before = voluntary_switches();
    let cpu_before = cpu_time();
    std::thread::sleep(span);
    let cpu = cpu_time().saturating_sub(cpu_before);
    let switches = voluntary_switches()
        .zip(switches_before)
        .map_or(f64::NAN, |(after, before)| after.saturating_sub(before) as f64);
    vec![cpu.as_secs_f64() * 1e6 / span.as_secs_f64(), switches / span.as_secs_f64()]
}

/// The timer is made inside the task, because some runtimes require that.
async fn far_timer<S: Spawner>(spawner: S) {
    spawner.sleep(Duration::from_hours(1)).await;
}
