//! How late is a ticker while a process computes for the first time?
//!
//! A runtime may learn from its first tiles which tasks compute. So each run has a process of its
//! own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::peer::{Peer, Task};
use crate::neutral::steps_for;
use crate::probe::print;
use crate::rival::Spawner;
use crate::served::network::Http;
use crate::served::tiles::Tiles;
use crate::workloads::Setting;

const TICK: Duration = Duration::from_millis(2);
/// The ticker's own first ticks do not count as beside the tiles.
const BEFORE: Duration = Duration::from_millis(21);
const TILE: Duration = Duration::from_millis(10);
const TILES: usize = 64;

/// In the child process: prints the largest lateness, in milliseconds.
pub fn answer(peer: Peer, setting: &Setting) {
    print(&[peer.start(setting.workers, Burst { steps: steps_for(TILE) })]);
}

struct Burst {
    steps: u64,
}

impl Task for Burst {
    type Output = f64;

    fn with<R: Http, T: Tiles>(self, runtime: R, tiles: T) -> f64 {
        let spawner = runtime.spawner();
        let worst = runtime.block_on(async move {
            let over = Arc::new(AtomicBool::new(false));
            let ticker = spawner.spawn(worst_lateness(spawner, Arc::clone(&over)));
            spawner.sleep(BEFORE).await;
            join_all((0..TILES).map(|_| tiles.compute(self.steps))).await;
            // Relaxed, here and below: the flag publishes nothing.
            over.store(true, Ordering::Relaxed);
            ticker.await
        });
        worst.as_secs_f64() * 1e3
    }
}

async fn worst_lateness(spawner: impl Spawner, over: Arc<AtomicBool>) -> Duration {
    let mut worst = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        spawner.sleep(TICK).await;
        worst = worst.max(began.elapsed().saturating_sub(TICK));
    }
    worst
}
