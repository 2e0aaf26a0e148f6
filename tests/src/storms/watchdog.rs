//! When is a storm stuck, and what is printed then?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use selvedge::EventLoop;

use super::Progress;

/// No single step of a storm takes so long, even under a sanitizer or on a busy machine.
const TOO_LONG: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(500);

/// Ends the process when a storm makes no progress.
pub struct Watchdog(Arc<Seen>);

#[derive(Default)]
struct Seen {
    progress: Arc<AtomicU64>,
    storm: Mutex<Option<(&'static str, u64)>>,
    event_loop: Mutex<Option<EventLoop>>,
}

impl Watchdog {
    /// Starts the watchdog thread. The default patience also suits sanitizers and busy machines.
    ///
    /// # Panics
    ///
    /// If the system refuses a thread.
    pub fn start(patience: Option<Duration>) -> Watchdog {
        let patience = patience.unwrap_or(TOO_LONG);
        let seen = Arc::<Seen>::default();
        let watched = Arc::clone(&seen);
        std::thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watched.watch(patience))
            .expect("a thread can be started");
        Watchdog(seen)
    }

    pub(super) fn begins(&self, storm: &'static str, seed: u64) {
        *self.0.storm.lock() = Some((storm, seed));
        self.0.progress.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ends(&self) {
        *self.0.storm.lock() = None;
        *self.0.event_loop.lock() = None;
    }

    pub(super) fn looks_at(&self, event_loop: &EventLoop) {
        *self.0.event_loop.lock() = Some(event_loop.clone());
    }

    pub(super) fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.0.progress))
    }
}

impl Seen {
    fn watch(&self, patience: Duration) {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(LOOK);
            let now = self.progress.load(Ordering::Relaxed);
            if now != last || self.storm.lock().is_none() {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > patience {
                self.dump(patience);
                std::process::exit(1);
            }
        }
    }

    fn dump(&self, patience: Duration) {
        let (storm, seed) = self.storm.lock().unwrap_or(("?", 0));
        eprintln!("\nno progress for {patience:?}: the storm `{storm}` with seed {seed} is stuck");
        let Some(event_loop) = self.event_loop.lock().clone() else { return };
        eprintln!("{:#?}", event_loop.metrics());
        for task in event_loop.all_tasks() {
            eprintln!("{task:?}");
            let _ = task.print_stack(None, &mut std::io::stderr());
        }
    }
}
