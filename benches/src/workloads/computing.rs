//! Does light work make progress while every worker computes?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{Goal, Row, Setting, Workload};
use crate::neutral::compute_for;
use crate::rival::{Outside, Rival, Spawner};
use crate::stats::percentile;

const LONG_POLL: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_millis(500);
const SPAN: Duration = Duration::from_secs(2);

const TICK: Duration = Duration::from_millis(1);
const BESIDE_TICKER: usize = 4;

/// A task that sleeps a millisecond at a time, beside tasks that compute. How late is it?
pub struct TickerBesideComputing;

impl Workload for TickerBesideComputing {
    const ROWS: &'static [Row] = &[Row {
        name: "1 ms ticker beside 4 tasks that compute, p99",
        unit: "ms late",
        goal: Goal::AtMost(2.0),
    }];
    const MOST_ROUNDS: usize = 3;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        let runtime = R::start(setting.workers);
        let (spawner, span) = (runtime.spawner(), setting.span(SPAN));
        let load = Load::start(&runtime, BESIDE_TICKER);
        let lateness = runtime.block_on(async move {
            let mut lateness = Lateness::new(span);
            while !lateness.is_over() {
                let start = Instant::now();
                spawner.sleep(TICK).await;
                lateness.note(start.elapsed().saturating_sub(TICK));
            }
            lateness
        });
        load.stop();
        vec![lateness.p99_ms()]
    }

    fn by_os_threads(setting: &Setting) -> Option<Vec<f64>> {
        let load = Load::on_threads(setting.workers.min(BESIDE_TICKER));
        let mut lateness = Lateness::new(setting.span(SPAN));
        while !lateness.is_over() {
            let start = Instant::now();
            std::thread::sleep(TICK);
            lateness.note(start.elapsed().saturating_sub(TICK));
        }
        load.stop();
        Some(vec![lateness.p99_ms()])
    }
}

const BETWEEN_REQUESTS: Duration = Duration::from_millis(3);
const BESIDE_REQUESTS: usize = 8;

/// A foreign thread submits light requests while more tasks compute than there are workers. How
/// long does it wait?
pub struct RequestsBesideComputing;

impl Workload for RequestsBesideComputing {
    const ROWS: &'static [Row] =
        &[Row { name: "requests beside 8 tasks that compute, p99", unit: "ms", goal: Goal::AtMost(2.0) }];
    const MOST_ROUNDS: usize = 3;

    fn measure<R: Rival>(setting: &Setting) -> Vec<f64> {
        let runtime = R::start(setting.workers);
        let outside = runtime.outside();
        let load = Load::start(&runtime, BESIDE_REQUESTS);
        let waits = request_repeatedly(setting, || outside.call(async {}));
        load.stop();
        vec![waits.p99_ms()]
    }

    fn by_os_threads(setting: &Setting) -> Option<Vec<f64>> {
        let (ask, asked) = mpsc::sync_channel::<()>(1);
        let (reply, replied) = mpsc::sync_channel::<()>(1);
        let server = std::thread::spawn(move || asked.iter().try_for_each(|()| reply.send(())));
        let load = Load::on_threads(setting.workers.min(BESIDE_REQUESTS));
        let waits = request_repeatedly(setting, || {
            ask.send(()).expect("the server lives");
            replied.recv().expect("the server replies");
        });
        load.stop();
        drop(ask);
        server.join().expect("the server does not panic").expect("the asker outlives the server");
        Some(vec![waits.p99_ms()])
    }
}

fn request_repeatedly(setting: &Setting, request: impl Fn()) -> Lateness {
    let mut waits = Lateness::new(setting.span(SPAN));
    while !waits.is_over() {
        std::thread::sleep(BETWEEN_REQUESTS);
        let start = Instant::now();
        request();
        waits.note(start.elapsed());
    }
    waits
}

/// Samples in milliseconds; samples of the warm-up are dropped.
struct Lateness {
    samples: Vec<f64>,
    warm: Instant,
    end: Instant,
}

impl Lateness {
    fn new(span: Duration) -> Self {
        let warm = Instant::now() + WARM_UP;
        Self { samples: Vec::new(), warm, end: warm + span }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    fn note(&mut self, late: Duration) {
        if Instant::now() >= self.warm {
            self.samples.push(late.as_secs_f64() * 1e3);
        }
    }

    fn p99_ms(&self) -> f64 {
        percentile(&self.samples, 0.99)
    }
}

/// Tasks or threads that compute for [`LONG_POLL`] at a time until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
}

impl Load {
    fn start<R: Rival>(runtime: &R, tasks: usize) -> Self {
        let (outside, spawner) = (runtime.outside(), runtime.spawner());
        Self::with(tasks, |stop, end| {
            outside.detach(async move {
                // Relaxed, here and below: the flag publishes nothing.
                while !stop.load(Ordering::Relaxed) {
                    compute_for(LONG_POLL);
                    // The runtime's own yield: with the neutral one, tokio serves its timers only
                    // every so many polls, a second apart.
                    spawner.yield_now().await;
                }
                drop(end);
            });
        })
    }

    /// As many threads as would compute at the same time.
    fn on_threads(threads: usize) -> Self {
        Self::with(threads, |stop, end| {
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    compute_for(LONG_POLL);
                }
                drop(end);
            });
        })
    }

    fn with(count: usize, start: impl Fn(Arc<AtomicBool>, mpsc::Sender<()>)) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (end, ended) = mpsc::channel();
        for _ in 0..count {
            start(Arc::clone(&stop), end.clone());
        }
        Self { stop, ended }
    }

    /// Returns when the last one has ended: then every clone of the sender is gone.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.ended.recv().expect_err("nobody sends");
    }
}
