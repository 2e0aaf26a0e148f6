//! Which clients request tiles in the demo, where there is no browser?
//!
//! Threads that block, outside of the loop: several that request tiles one after the other, and two
//! that request `/healthz` at the same time. The tiles of the picture come first, then those of a
//! walk that is the same each time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::client::Client;
use crate::latency::Latencies;
use crate::tile::{SIDE, Tile};

/// The picture is all tiles of this level.
const PICTURE_ZOOM: u32 = 2;
const HEALTH_CLIENTS: usize = 2;
const BETWEEN_CHECKS: Duration = Duration::from_millis(5);
/// The point into which the walk zooms: the seam between the two largest parts of the set, which
/// has detail at every depth.
const DESTINATION: (f64, f64) = (0.438_9, 0.471_4);
const DEEPEST_OF_THE_WALK: u64 = 12;

/// The progress of the clients, for display. Relaxed throughout: the counts publish nothing.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    next: AtomicU64,
    tiles: AtomicU64,
    stop: AtomicBool,
    picture: Mutex<BTreeMap<Tile, Vec<u8>>>,
}

/// The measurements of the clients.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) elapsed: Duration,
    pub(crate) tiles: Latencies,
    pub(crate) healthz: Latencies,
    /// The files of the picture's tiles; empty if there was no time for all of them.
    pub(crate) picture: BTreeMap<Tile, Vec<u8>>,
}

impl Crowd {
    /// Sends requests for `span`. Blocks.
    pub(crate) fn ask(&self, addr: SocketAddr, clients: usize, span: Duration) -> io::Result<Seen> {
        let began = Instant::now();
        let is_over = || self.stop.load(Ordering::Relaxed) || began.elapsed() >= span;
        let (tiles, healthz) = thread::scope(|scope| {
            let tiles: Vec<_> =
                (0..clients).map(|_| scope.spawn(|| self.ask_for_tiles(addr, is_over))).collect();
            let healthz: Vec<_> =
                (0..HEALTH_CLIENTS).map(|_| scope.spawn(|| check_health(addr, is_over))).collect();
            (all(tiles), all(healthz))
        });
        let elapsed = began.elapsed();
        let mut picture = std::mem::take(&mut *self.picture.lock());
        if picture.len() < picture_tiles() as usize {
            picture.clear();
        }
        Ok(Seen { elapsed, tiles: Latencies::new(tiles?), healthz: Latencies::new(healthz?), picture })
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn tiles(&self) -> u64 {
        self.tiles.load(Ordering::Relaxed)
    }

    fn ask_for_tiles(&self, addr: SocketAddr, is_over: impl Fn() -> bool) -> io::Result<Vec<Duration>> {
        let mut client = Client::connect(addr)?;
        let mut latencies = Vec::new();
        while !is_over() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let tile = nth(number);
            let began = Instant::now();
            let answer = client.get(&tile.path())?;
            latencies.push(began.elapsed());
            if answer.status != 200 {
                return Err(io::Error::other(format!(
                    "the server answers {} to {}",
                    answer.status,
                    tile.path()
                )));
            }
            self.tiles.fetch_add(1, Ordering::Relaxed);
            if number < picture_tiles() {
                self.picture.lock().insert(tile, answer.body);
            }
        }
        Ok(latencies)
    }
}

fn check_health(addr: SocketAddr, is_over: impl Fn() -> bool) -> io::Result<Vec<Duration>> {
    let mut client = Client::connect(addr)?;
    let mut latencies = Vec::new();
    while !is_over() {
        let began = Instant::now();
        let answer = client.get("/healthz")?;
        latencies.push(began.elapsed());
        if answer.status != 200 {
            return Err(io::Error::other(format!("the server is not well: {}", answer.status)));
        }
        thread::sleep(BETWEEN_CHECKS);
    }
    Ok(latencies)
}

fn all(threads: Vec<thread::ScopedJoinHandle<'_, io::Result<Vec<Duration>>>>) -> io::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().map_err(|_| io::Error::other("a client panicked"))??);
    }
    Ok(latencies)
}

const fn picture_side() -> u64 {
    1 << PICTURE_ZOOM
}

fn picture_tiles() -> u64 {
    picture_side() * picture_side()
}

/// Pixels along each side of the picture.
pub(crate) fn picture_pixels() -> u32 {
    picture_side() as u32 * SIDE
}

/// The tiles in the order in which they are requested.
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a place in a square of small numbers")]
fn nth(number: u64) -> Tile {
    if number < picture_tiles() {
        let (x, y) = (number % picture_side(), number / picture_side());
        return Tile { zoom: PICTURE_ZOOM, x, y };
    }
    // At each level, three by three tiles around the destination.
    let step = number - picture_tiles();
    let zoom = 3 + step / 9 % (DEEPEST_OF_THE_WALK - 2);
    let last = (1_u64 << zoom) - 1;
    let around = |share: f64, offset: u64| {
        let middle = (share * (1_u64 << zoom) as f64) as u64;
        (middle + offset).saturating_sub(1).min(last)
    };
    let (x, y) = (around(DESTINATION.0, step % 3), around(DESTINATION.1, step / 3 % 3));
    Tile { zoom: zoom as u32, x, y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_comes_first_and_the_walk_stays_within() {
        let picture: Vec<Tile> = (0..picture_tiles()).map(nth).collect();
        assert!(picture.iter().all(|tile| tile.zoom == PICTURE_ZOOM));
        assert_eq!(picture.iter().collect::<std::collections::BTreeSet<_>>().len(), picture.len());
        for number in picture_tiles()..1000 {
            let tile = nth(number);
            assert_eq!(Tile::parse(tile.path().strip_prefix("/tile/").unwrap()), Ok(tile));
            assert_ne!(tile.zoom, PICTURE_ZOOM);
        }
    }
}
