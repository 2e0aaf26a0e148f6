//! What is asked of the peers, and what is measured?

use std::time::Duration;

use super::goals::{Bound, Goal};
use super::peer::{Peer, Task};
use super::table::{Row, Table};
use crate::neutral::steps_for;
use crate::probe::{Probe, ask};
use crate::report::rotated;
use crate::served::load::{self, Kind};
use crate::served::network::Http;
use crate::served::server::{self, Serving};
use crate::served::tiles::{Sizes, Tiles};
use crate::workloads::Setting;

const WARM_UP: Duration = Duration::from_millis(500);
/// Long enough that the p99 of a request every 5 ms is not the longest wait of all.
const SPAN: Duration = Duration::from_secs(3);
const QUICK: Duration = Duration::from_millis(100);
const CLIENTS: [usize; 2] = [8, 64];
const TILES: [Duration; 3] =
    [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(20)];
const MIXED_CLIENTS: usize = 16;
const MIXED: [Duration; 2] = [Duration::from_micros(200), Duration::from_millis(20)];
/// Each is a process that computes for less than a second.
const BURSTS: usize = 10;

/// The row that is drawn.
pub(super) const HEALTH_P99: &str = "/healthz p99";

/// One table: what is asked for, by how many clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    work: Work,
    clients: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// `/`, which computes nothing.
    Trivial,
    /// Tiles of one size.
    Tiles(Duration),
    /// Half of the clients request short tiles, the others long ones.
    Mixed,
    /// A process that computes for the first time; see `first_burst`.
    FirstBurst,
}

impl Load {
    /// All of them, in the order of their tables. Quick runs do without the larger crowd.
    pub fn all(setting: &Setting) -> Vec<Self> {
        let clients = if setting.quick { &CLIENTS[..1] } else { &CLIENTS[..] };
        let works = [Work::Trivial].into_iter().chain(TILES.map(Work::Tiles));
        let each = |work| clients.iter().map(move |&clients| Self { work, clients });
        let mut loads: Vec<Self> = works.flat_map(each).collect();
        loads.push(Self { work: Work::Mixed, clients: MIXED_CLIENTS });
        loads.push(Self { work: Work::FirstBurst, clients: 0 });
        loads
    }

    /// The title of its table.
    pub fn name(&self) -> String {
        let clients = self.clients;
        match self.work {
            Work::Trivial => format!("trivial handler, {clients} clients"),
            Work::Tiles(size) => format!("tiles of {} ms, {clients} clients", ms(size)),
            Work::Mixed => {
                let [short, long] = MIXED.map(ms);
                format!("mixed: {0} clients of {short} ms tiles, {0} of {long} ms", clients / 2)
            }
            Work::FirstBurst => "first burst: a 2 ms ticker beside 64 tiles of 10 ms".to_owned(),
        }
    }

    /// Measures each of `peers` in every round.
    pub fn measure(self, peers: &[Peer], rounds: usize, setting: &Setting) -> Table {
        let is_burst = self.work == Work::FirstBurst;
        let rounds = if is_burst && !setting.quick { BURSTS } else { rounds };
        let mut peers = peers.to_vec();
        // One bridge is enough: on none of them does the ticker share its thread with a tile.
        peers.retain(|peer| !is_burst || matches!(peer, Peer::Rayon | Peer::Selvedge));
        let mut samples = vec![Vec::new(); peers.len()];
        for round in 0..rounds {
            for column in rotated(round, peers.len()) {
                samples[column].push(self.measure_once(peers[column], setting));
            }
        }
        Table::new(self.name(), self.rows(), &peers, &samples)
    }

    fn measure_once(self, peer: Peer, setting: &Setting) -> Vec<f64> {
        if self.work == Work::FirstBurst {
            let worst = ask(Probe::FirstBurst, peer.name(), setting);
            return [worst.clone(), worst].concat();
        }
        peer.start(setting.workers, Serve { load: self, is_quick: setting.quick })
    }

    /// The rows, in the order in which [`Serve`] returns their values.
    fn rows(self) -> Vec<Row> {
        let waits = |p50, p99| [Row::less(p50, "ms"), Row::less(p99, "ms")];
        let mut rows = Vec::new();
        match self.work {
            Work::FirstBurst => {
                let largest = Row::less("lateness, largest of all runs", "ms").largest();
                return vec![Row::less("largest lateness in a run", "ms"), largest];
            }
            Work::Trivial => {
                let goal = Bound::Least(1.0, Peer::TokioInline);
                rows.push(Row::more("answers", "per s").goal(Peer::Selvedge, goal));
                rows.extend(waits("answer p50", "answer p99"));
            }
            Work::Tiles(_) => {
                rows.push(Row::more("tiles", "per s").goal(Peer::Selvedge, Bound::LeastOfBridge(0.98)));
                rows.extend(waits("tile p50", "tile p99"));
            }
            Work::Mixed => {
                let goal = Bound::Least(10.0, Peer::Rayon);
                rows.push(Row::more("requests", "per s").goal(Peer::Selvedge, goal));
                let [p50, p99] = waits("short tile p50", "short tile p99");
                rows.extend([Row::more("short tiles", "per s"), p50]);
                rows.push(p99.goal(Peer::Selvedge, Bound::Most(5.0)));
                rows.push(Row::more("long tiles", "per s"));
                rows.extend(waits("long tile p50", "long tile p99"));
            }
        }
        let [p50, mut p99] = waits("/healthz p50", HEALTH_P99);
        p99.goals = self.health_goals();
        rows.extend([p50, p99, Row::less("/healthz max", "ms")]);
        rows.extend([Row::less("CPU of the server", "us/answer"), Row::less("threads of the server", "")]);
        rows
    }

    fn health_goals(self) -> Vec<Goal> {
        let bounds = match self.work {
            Work::Trivial | Work::FirstBurst => return Vec::new(),
            Work::Tiles(size) => match size.as_millis() {
                0 => return Vec::new(),
                1 => [Bound::MostOrBridge(0.3, 2.0), Bound::Most(0.5)],
                _ => [Bound::MostOrBridge(0.3, 2.0), Bound::Most(0.3)],
            },
            Work::Mixed => [Bound::Most(1.0), Bound::Most(3.0)],
        };
        let peers = [Peer::Selvedge, Peer::SelvedgeInline];
        peers.into_iter().zip(bounds).map(|(peer, bound)| Goal { peer, bound }).collect()
    }

    fn kind(self) -> Kind {
        match self.work {
            Work::Trivial => Kind::HttpAndHealth,
            Work::Tiles(_) => Kind::Tiles,
            Work::Mixed => Kind::Mixed,
            Work::FirstBurst => panic!("no client takes part"),
        }
    }

    fn sizes(self) -> Sizes {
        match self.work {
            Work::Trivial | Work::FirstBurst => Sizes::default(),
            Work::Tiles(size) => Sizes { tile: steps_for(size), short: 0 },
            Work::Mixed => {
                let [short, tile] = MIXED.map(steps_for);
                Sizes { tile, short }
            }
        }
    }
}

fn ms(span: Duration) -> f64 {
    span.as_micros() as f64 / 1e3
}

/// Serves one load, once.
struct Serve {
    load: Load,
    is_quick: bool,
}

impl Task for Serve {
    type Output = Vec<f64>;

    fn with<R: Http, T: Tiles>(self, runtime: R, tiles: T) -> Vec<f64> {
        let serving = server::http(&runtime, tiles, self.load.sizes());
        self.ask(serving)
    }
}

impl Serve {
    /// Each kind of request has three numbers: its rate, and two waits.
    fn ask(self, serving: Serving) -> Vec<f64> {
        let (warm_up, span) = if self.is_quick { (QUICK / 2, QUICK) } else { (WARM_UP, SPAN) };
        let (kind, at) = (self.load.kind(), serving.at.clone());
        let seen = load::Load { kind, at, connections: self.load.clients, warm_up, span }.run();
        serving.stop();
        let is_mixed = kind == Kind::Mixed;
        let kinds = if is_mixed { 2 } else { 1 };
        let rate: f64 = seen.numbers.iter().step_by(3).take(kinds).sum();
        let mut values = if is_mixed { vec![rate] } else { Vec::new() };
        values.extend(seen.numbers);
        values.push(seen.cpu.as_secs_f64() * 1e6 / (rate * span.as_secs_f64()));
        values.push(seen.threads.map_or(f64::NAN, |threads| threads as f64));
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_loads_have_the_same_name() {
        let [all, quick] = [false, true].map(|quick| Load::all(&Setting { workers: 2, quick }));
        let names: std::collections::BTreeSet<String> = all.iter().map(Load::name).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.contains("tiles of 0.1 ms, 64 clients"));
        assert!(quick.len() < all.len() && quick.iter().all(|load| all.contains(load)));
    }

    #[test]
    fn health_has_goals_where_tiles_are_long() {
        let goals = |work| Load { work, clients: 8 }.health_goals().len();
        assert_eq!(TILES.map(|size| goals(Work::Tiles(size))), [0, 2, 2]);
        assert_eq!([Work::Trivial, Work::Mixed, Work::FirstBurst].map(goals), [0, 2, 0]);
    }
}
