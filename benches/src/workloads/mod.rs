//! Which rows are there, and what must a row define?
//!
//! A workload measures any [`Rival`] with one generic function. [`Throughput`] is the common kind:
//! so many units in so much time. Other rows implement [`Workload`] themselves, and one workload
//! may fill several rows of the table.

mod computing;
mod fib;
mod heap;
mod idle;
mod messages;
mod round_trip;
mod spawning;
mod timers;
mod uneven;
mod yields;

use std::time::Duration;

pub use self::computing::{RequestsBesideComputing, TickerBesideComputing};
pub use self::fib::Fib;
pub use self::heap::{HeapPerTask, HeapPerTimer, heap_per_task, heap_per_timer};
pub use self::idle::{Idle, idle};
pub use self::messages::{Pairs, Partners};
pub use self::round_trip::RoundTrip;
pub use self::spawning::{Chain, SpawnFromOutside, SpawnFromTask};
pub use self::timers::{ArmAndDrop, ArmAndDropTogether, CpuPerTimer, SleepLateness};
pub use self::uneven::Uneven;
pub use self::yields::Yields;

use crate::rival::Rival;
use crate::stats::median;

/// The settings of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Worker threads of each runtime.
    pub workers: usize,
    /// Smaller sizes and shorter spans, for a first look.
    pub quick: bool,
}

impl Setting {
    /// `full`, or a quarter of it in quick mode.
    pub fn size(&self, full: u64) -> u64 {
        if self.quick { full / 4 } else { full }
    }

    /// `full`, or a quarter of it in quick mode.
    pub fn span(&self, full: Duration) -> Duration {
        if self.quick { full / 4 } else { full }
    }
}

/// What Selvedge must reach in a row.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// A share of what the faster rival needs in the same run.
    Ratio(f64),
    /// A value in the row's own unit.
    AtMost(f64),
    /// The same, or to be no worse than the best rival, whichever is easier.
    AtMostOrBest(f64),
    /// A share of what the better rival reaches in the same run; here more is better.
    AtLeast(f64),
    /// No goal: the row is only shown.
    None,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The work.
    pub name: &'static str,
    /// What the numbers count.
    pub unit: &'static str,
    /// What Selvedge must reach.
    pub goal: Goal,
}

/// Work that every runtime does.
pub trait Workload {
    /// The lines that a measurement fills.
    const ROWS: &'static [Row];
    /// The largest number of rounds: long rows gather enough samples in few rounds.
    const MOST_ROUNDS: usize;

    /// Starts a runtime, warms it up, measures, and stops it. Returns one value for each row.
    fn measure<R: Rival>(setting: &Setting) -> Vec<f64>;
    /// The same work by plain OS threads, where that shows the limit of the machine.
    fn by_os_threads(_setting: &Setting) -> Option<Vec<f64>> {
        None
    }
}

/// A workload that is measured in nanoseconds per unit.
pub trait Throughput {
    /// The line that a measurement fills.
    const ROW: Row;
    /// Units in one pass.
    const UNITS: u64;

    /// Does `units` units of work on a running runtime and returns the time that they took.
    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration;
}

/// Timed passes on one runtime; their median is the round's value.
const PASSES: usize = 5;

impl<W: Throughput> Workload for W {
    const ROWS: &'static [Row] = &[W::ROW];
    const MOST_ROUNDS: usize = usize::MAX;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        let runtime = R::start(setting.workers);
        let units = setting.size(W::UNITS);
        W::pass(&runtime, units);
        let passes = (0..PASSES).map(|_| W::pass(&runtime, units).as_nanos() as f64 / units as f64);
        vec![median(passes.collect())]
    }
}
