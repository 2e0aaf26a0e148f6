//! What is measured of sockets and HTTP?
//!
//! Each measurement starts a runtime, serves, starts the client process, and stops both.

use std::path::PathBuf;
use std::time::Duration;

use super::load::{Kind, Load};
use super::network::{Http, Network};
use super::server::{self, Serving};
use super::tiles::{Inline, Sizes};
use crate::heap;
use crate::neutral::steps_for;
use crate::probe::{Probe, ask};
use crate::report::{Contender, Entry};
use crate::rivals::{AsyncExecutor, Tokio};
use crate::workloads::{Goal, Row, Setting};

#[cfg(feature = "selvedge")]
use crate::rivals::Selvedge;

const WARM_UP: Duration = Duration::from_millis(300);
const SPAN: Duration = Duration::from_millis(1500);
const SPAN_OF_TILES: Duration = Duration::from_secs(4);
const TILE: Duration = Duration::from_millis(20);
const TILE_CLIENTS: usize = 8;
/// A power of two, as with the heap per task.
const KEPT: usize = 1 << 10;

/// The names of two lines: the throughput, and the CPU time of the server's process for each
/// answer.
macro_rules! rows {
    ($name:literal) => {
        &[
            Row { name: $name, unit: "answers/s", goal: Goal::AtLeast(1.0) },
            Row { name: "  CPU of the server", unit: "us/answer", goal: Goal::None },
        ]
    };
}

/// Every row, in the table's order.
pub fn entries() -> Vec<Entry> {
    vec![
        Entry::served(rows!("HTTP, 16 connections"), 9, |who, setting| http(who, setting, 16)),
        Entry::served(rows!("HTTP, 64 connections"), 9, |who, setting| http(who, setting, 64)),
        Entry::served(TILES, 3, tiles),
        Entry::served(rows!("echo over TCP, 1 connection"), 9, |who, setting| echo_tcp(who, setting, 1)),
        Entry::served(rows!("echo over TCP, 64 connections"), 9, |who, setting| echo_tcp(who, setting, 64)),
        Entry::served(rows!("echo over TCP, 1000 connections"), 9, |who, setting| {
            echo_tcp(who, setting, 1000)
        }),
        Entry::served(rows!("echo over Unix, 1 connection"), 9, |who, setting| echo_unix(who, setting, 1)),
        Entry::served(rows!("echo over Unix, 64 connections"), 9, |who, setting| echo_unix(who, setting, 64)),
        Entry::served(rows!("echo over Unix, 1000 connections"), 9, |who, setting| {
            echo_unix(who, setting, 1000)
        }),
        Entry::served(HEAP_HTTP, 1, |who, setting| probe(who, setting, Probe::HeapPerHttp)),
        Entry::served(HEAP_TCP, 1, |who, setting| probe(who, setting, Probe::HeapPerTcp)),
    ]
}

const TILES: &[Row] = &[
    Row { name: "tiles of 20 ms, 8 clients", unit: "tiles/s", goal: Goal::AtLeast(0.97) },
    Row { name: "  /healthz beside them, p50", unit: "ms", goal: Goal::None },
    Row { name: "  /healthz beside them, p99", unit: "ms", goal: Goal::AtMost(5.0) },
];
const HEAP_HTTP: &[Row] =
    &[Row { name: "heap per idle HTTP connection", unit: "bytes", goal: Goal::Ratio(1.0) }];
const HEAP_TCP: &[Row] =
    &[Row { name: "heap per idle TCP connection", unit: "bytes", goal: Goal::Ratio(1.0) }];

/// Calls a function that is generic over the runtime for `$who`.
macro_rules! for_network {
    ($who:expr, $f:ident($($arg:expr),*)) => {
        match $who {
            #[cfg(feature = "selvedge")]
            Contender::Selvedge => $f::<Selvedge>($($arg),*),
            #[cfg(feature = "selvedge")]
            Contender::SelvedgeWithoutWatchdog => $f::<Selvedge<false>>($($arg),*),
            Contender::Tokio => $f::<Tokio>($($arg),*),
            Contender::AsyncExecutor => $f::<AsyncExecutor>($($arg),*),
        }
    };
}

/// The same for HTTP. Not every runtime has a recommended adapter for hyper; for the others,
/// `$else` is the value.
macro_rules! for_http {
    ($who:expr, $f:ident($($arg:expr),*), else $else:expr) => {
        match $who {
            #[cfg(feature = "selvedge")]
            Contender::Selvedge => $f::<Selvedge>($($arg),*),
            #[cfg(feature = "selvedge")]
            Contender::SelvedgeWithoutWatchdog => $f::<Selvedge<false>>($($arg),*),
            Contender::Tokio => $f::<Tokio>($($arg),*),
            Contender::AsyncExecutor => $else,
        }
    };
}

fn http(who: Contender, setting: &Setting, connections: usize) -> Vec<f64> {
    for_http!(who, http_on(setting, connections), else vec![f64::NAN; 2])
}

fn http_on<R: Http>(setting: &Setting, connections: usize) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    throughput(server::http(&runtime, Inline, Sizes::default()), Kind::Http, connections, setting)
}

fn echo_tcp(who: Contender, setting: &Setting, connections: usize) -> Vec<f64> {
    for_network!(who, echo_tcp_on(setting, connections))
}

fn echo_tcp_on<R: Network>(setting: &Setting, connections: usize) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    throughput(server::echo_tcp(&runtime), Kind::Echo, connections, setting)
}

fn echo_unix(who: Contender, setting: &Setting, connections: usize) -> Vec<f64> {
    for_network!(who, echo_unix_on(setting, connections))
}

fn echo_unix_on<R: Network>(setting: &Setting, connections: usize) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    let path = socket_path();
    let values = throughput(server::echo_unix(&runtime, path.clone()), Kind::Echo, connections, setting);
    std::fs::remove_file(path).expect("it is ours");
    values
}

fn socket_path() -> PathBuf {
    let path = std::env::temp_dir().join(format!("selvedge-benches-{}.socket", std::process::id()));
    // A killed process with the same number may have left the file behind.
    let _ = std::fs::remove_file(&path);
    path
}

/// Returns answers per second, and microseconds of this process's CPU time for each answer.
fn throughput(serving: Serving, kind: Kind, connections: usize, setting: &Setting) -> Vec<f64> {
    let (warm_up, span) = (setting.span(WARM_UP), setting.span(SPAN));
    let seen = Load { kind, at: serving.at.clone(), connections, warm_up, span }.run();
    serving.stop();
    let [rate, ..] = seen.numbers[..] else { panic!("the client tells a rate") };
    vec![rate, seen.cpu.as_secs_f64() * 1e6 / (rate * span.as_secs_f64())]
}

fn tiles(who: Contender, setting: &Setting) -> Vec<f64> {
    for_http!(who, tiles_on(setting), else vec![f64::NAN; 3])
}

fn tiles_on<R: Http>(setting: &Setting) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    let serving = server::http(&runtime, Inline, Sizes { tile: steps_for(TILE), short: 0 });
    let (at, connections) = (serving.at.clone(), TILE_CLIENTS);
    let (warm_up, span) = (Duration::from_millis(500), setting.span(SPAN_OF_TILES));
    let seen = Load { kind: Kind::Tiles, at, connections, warm_up, span }.run();
    serving.stop();
    let [rate, _, _, health_p50, health_p99, _] = seen.numbers[..] else {
        panic!("the client tells six numbers")
    };
    vec![rate, health_p50, health_p99]
}

fn probe(who: Contender, setting: &Setting, probe: Probe) -> Vec<f64> {
    let nothing = who == Contender::AsyncExecutor && probe == Probe::HeapPerHttp;
    if nothing { vec![f64::NAN] } else { ask(probe, who.name(), setting) }
}

/// The part of the heap rows that runs in a process of its own.
pub fn answer(who: Contender, probe: Probe, setting: &Setting) -> Vec<f64> {
    match probe {
        Probe::HeapPerHttp => for_http!(who, heap_of_http(setting), else vec![f64::NAN]),
        Probe::HeapPerTcp => for_network!(who, heap_of_tcp(setting)),
        other => panic!("{} has nothing to do with sockets", other.name()),
    }
}

fn heap_of_http<R: Http>(setting: &Setting) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    heap_per_connection(server::http(&runtime, Inline, Sizes::default()), Kind::KeepHttp)
}

fn heap_of_tcp<R: Network>(setting: &Setting) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    heap_per_connection(server::echo_tcp(&runtime), Kind::KeepEcho)
}

/// The growth of the heap with connections that have been used once.
fn heap_per_connection(serving: Serving, kind: Kind) -> Vec<f64> {
    let (warm_up, span) = (Duration::ZERO, Duration::ZERO);
    let mut asking = Load { kind, at: serving.at.clone(), connections: KEPT, warm_up, span }.start();
    asking.begins();
    heap::start_counting();
    let before = heap::in_use();
    asking.go_on();
    asking.ends();
    // The last client has read its answer, but the server's task may still be suspending.
    std::thread::sleep(Duration::from_millis(100));
    let grown = heap::in_use() - before;
    asking.leave();
    serving.stop();
    vec![grown as f64 / KEPT as f64]
}
