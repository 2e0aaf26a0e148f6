//! How are a scenario's trace and its recording compared?

use std::collections::BTreeSet;
use std::future::Future;

use selvedge::{Result, Runner, RunnerBuilder, get_running_loop};

use crate::recording::{Recording, read};
use crate::trace::Trace;

/// The files of scenarios.
pub(crate) const GROUPS: [&str; 14] = [
    "tasks",
    "futures",
    "gathering",
    "waiting",
    "deadlines",
    "shields",
    "timeouts",
    "groups",
    "eager",
    "loops",
    "threads",
    "streams",
    "graphs",
    "signals",
];

/// How often a scenario is run on several workers.
const ROUNDS: usize = 5;

/// Lists the scenarios of a file, by the claim about each.
///
/// * `same`: on one worker the trace is asyncio's. On several workers it is too, except for the
///   order within an instant.
/// * `alone`: the trace is asyncio's on one worker. The scenario requires that no other task runs
///   between two of its awaits.
/// * `whenever` names some of `same` again: their traces do not depend on the clock. They also run
///   on four workers in real time, where only the lines count, and how often each occurs.
/// * `better`: Selvedge promises a different behaviour, which this list fixes; the recording shows
///   asyncio's.
macro_rules! conformance {
    (
        $group:literal;
        same: [$($same:ident),* $(,)?]
        alone: [$($alone:ident),* $(,)?]
        better: [$($better:ident => $pinned:expr),* $(,)?]
        whenever: [$($whenever:ident),* $(,)?]
    ) => {
        mod one_worker {
            $(#[test] fn $same() { crate::check::same($group, stringify!($same), super::$same); })*
            $(#[test] fn $alone() { crate::check::same($group, stringify!($alone), super::$alone); })*
            $(#[test] fn $better() { crate::check::better($group, stringify!($better), super::$better, &$pinned); })*
        }

        mod four_workers {
            $(#[test] fn $same() { crate::check::in_any_order($group, stringify!($same), super::$same); })*
        }

        mod real_time {
            $(#[test] fn $whenever() { crate::check::whenever($group, stringify!($whenever), super::$whenever); })*
        }

        #[test]
        fn every_recording_has_a_twin() {
            crate::check::complete($group, &[
                $(stringify!($same),)* $(stringify!($alone),)* $(stringify!($better),)*
            ]);
        }
    };
}
pub(crate) use conformance;

/// Runs a scenario in virtual time. Without the watchdog, so that no standby replaces a worker that
/// the machine delays: one worker means one worker.
fn run<S, F>(workers: usize, scenario: S) -> Vec<String>
where
    S: FnOnce(Trace) -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    run_on(Runner::builder().workers(workers).virtual_time(true).watchdog(false), scenario)
}

/// Runs the scenario as `run` does, so that virtual time stands still from the end of main until
/// the remaining tasks have been cancelled.
fn run_on<S, F>(builder: RunnerBuilder, scenario: S) -> Vec<String>
where
    S: FnOnce(Trace) -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (give, get) = std::sync::mpsc::channel();
    let ended = builder.run(async move {
        let trace = Trace::on(get_running_loop()?);
        give.send(trace)?;
        scenario(trace).await
    });
    let trace = get.recv().expect("main begins");
    if let Err(error) = ended {
        trace.error("main", &error);
    }
    trace.finish()
}

pub(crate) fn same<S, F>(group: &str, name: &str, scenario: S)
where
    S: FnOnce(Trace) -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let recording = find(group, name);
    let trace = run(1, scenario);
    if recording.is_unordered {
        assert_same(name, sorted(trace), sorted(recording.lines));
    } else {
        assert_same(name, trace, recording.lines);
    }
}

pub(crate) fn in_any_order<S, F>(group: &str, name: &str, scenario: S)
where
    S: Fn(Trace) -> F + Copy + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let expected = sorted(find(group, name).lines);
    for _ in 0..ROUNDS {
        assert_same(name, sorted(run(4, scenario)), expected.clone());
    }
}

pub(crate) fn whenever<S, F>(group: &str, name: &str, scenario: S)
where
    S: Fn(Trace) -> F + Copy + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let expected = timeless(find(group, name).lines);
    for _ in 0..ROUNDS {
        let told = run_on(Runner::builder().workers(4), scenario);
        assert_same(name, timeless(told), expected.clone());
    }
}

pub(crate) fn better<S, F>(group: &str, name: &str, scenario: S, pinned: &[&str])
where
    S: FnOnce(Trace) -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let recording = find(group, name);
    let trace = run(1, scenario);
    assert_same(name, trace, pinned.iter().map(ToString::to_string).collect());
    assert_ne!(recording.lines, pinned, "{name} is no better than CPython: list it under `same`");
}

pub(crate) fn complete(group: &str, twins: &[&str]) {
    let recorded: BTreeSet<String> = read(group).into_iter().map(|recording| recording.name).collect();
    let twins: BTreeSet<String> = twins.iter().map(ToString::to_string).collect();
    assert_eq!(recorded, twins);
}

fn find(group: &str, name: &str) -> Recording {
    let found = read(group).into_iter().find(|recording| recording.name == name);
    found.unwrap_or_else(|| panic!("{name} is not recorded in {group}.trace"))
}

/// Sorts the lines within each instant. The instants are in order already.
fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_by(|a, b| (instant(a), a).cmp(&(instant(b), b)));
    lines
}

/// The lines without their times.
fn timeless(lines: Vec<String>) -> Vec<String> {
    let mut labels: Vec<String> = lines
        .iter()
        .map(|line| line.split_once(' ').expect("a line begins with its time").1.to_owned())
        .collect();
    labels.sort();
    labels
}

fn instant(line: &str) -> u64 {
    line.split(' ').next().and_then(|ms| ms.parse().ok()).expect("a line begins with its time")
}

#[track_caller]
fn assert_same(name: &str, trace: Vec<String>, expected: Vec<String>) {
    assert!(
        trace == expected,
        "{name}\n-- expected --\n{}\n-- told --\n{}",
        expected.join("\n"),
        trace.join("\n")
    );
}
