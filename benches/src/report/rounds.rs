//! In which order are the runtimes measured?
//!
//! Interleaved: A B C, then C A B, then B C A. So a machine that is slow for a while slows all
//! runtimes down, and no runtime always comes first.

use super::contender::Contender;
use crate::stats::median;
use crate::workloads::{
    ArmAndDrop, ArmAndDropTogether, Chain, CpuPerTimer, Fib, HeapPerTask, HeapPerTimer, Idle, Pairs,
    Partners, RequestsBesideComputing, RoundTrip, Row, Setting, SleepLateness, SpawnFromOutside,
    SpawnFromTask, TickerBesideComputing, Uneven, Workload, Yields,
};

/// A workload, as a value.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The lines that it fills.
    pub rows: &'static [Row],
    most_rounds: usize,
    measure: fn(Contender, &Setting) -> Vec<f64>,
    by_os_threads: fn(&Setting) -> Option<Vec<f64>>,
}

impl Entry {
    const fn of<W: Workload>() -> Self {
        Self {
            rows: W::ROWS,
            most_rounds: W::MOST_ROUNDS,
            measure: |contender, setting| contender.measure::<W>(setting),
            by_os_threads: W::by_os_threads,
        }
    }

    /// An entry whose lines a plain function measures.
    pub(crate) const fn served(
        rows: &'static [Row],
        most_rounds: usize,
        measure: fn(Contender, &Setting) -> Vec<f64>,
    ) -> Self {
        Self { rows, most_rounds, measure, by_os_threads: |_| None }
    }

    /// Measures each of `contenders` in every round.
    pub fn run(&self, contenders: &'static [Contender], rounds: usize, setting: &Setting) -> Measured {
        let mut samples = vec![vec![Vec::new(); contenders.len()]; self.rows.len()];
        for round in 0..rounds.min(self.most_rounds) {
            for column in rotated(round, contenders.len()) {
                let values = (self.measure)(contenders[column], setting);
                for (row, value) in samples.iter_mut().zip(values) {
                    row[column].push(value);
                }
            }
        }
        let medians = samples.into_iter().map(|row| row.into_iter().map(median).collect()).collect();
        Measured { rows: self.rows, contenders, medians, by_os_threads: (self.by_os_threads)(setting) }
    }
}

/// In which order the columns are measured in this round.
pub(crate) fn rotated(round: usize, columns: usize) -> impl Iterator<Item = usize> {
    (0..columns).map(move |turn| (turn + columns - round % columns) % columns)
}

/// The results of a measurement.
pub struct Measured {
    /// The lines.
    pub rows: &'static [Row],
    /// The columns.
    pub contenders: &'static [Contender],
    /// For each row, for each contender: the median of its rounds.
    pub medians: Vec<Vec<f64>>,
    /// For each row: the value of plain OS threads, where it was requested.
    pub by_os_threads: Option<Vec<f64>>,
}

/// Every row, in the table's order.
pub fn all_entries() -> Vec<Entry> {
    vec![
        Entry::of::<SpawnFromTask>(),
        Entry::of::<SpawnFromOutside>(),
        Entry::of::<Yields>(),
        Entry::of::<Partners>(),
        Entry::of::<Pairs>(),
        Entry::of::<Chain>(),
        Entry::of::<Fib>(),
        Entry::of::<RoundTrip>(),
        Entry::of::<ArmAndDrop>(),
        Entry::of::<ArmAndDropTogether>(),
        Entry::of::<CpuPerTimer>(),
        Entry::of::<SleepLateness>(),
        Entry::of::<Uneven>(),
        Entry::of::<TickerBesideComputing>(),
        Entry::of::<RequestsBesideComputing>(),
        Entry::of::<HeapPerTask>(),
        Entry::of::<HeapPerTimer>(),
        Entry::of::<Idle>(),
    ]
}

/// The rows in which the watchdog has nothing to do: they would show its cost.
pub fn watchdog_cost() -> Vec<Entry> {
    vec![
        Entry::of::<SpawnFromTask>(),
        Entry::of::<Yields>(),
        Entry::of::<Partners>(),
        Entry::of::<Pairs>(),
        Entry::of::<Chain>(),
        Entry::of::<Fib>(),
        Entry::of::<ArmAndDrop>(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_one_column_earlier() {
        let rounds = [0, 1, 2, 3].map(|round| rotated(round, 3).collect::<Vec<_>>());
        assert_eq!(rounds, [[0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 1, 2]]);
    }
}
