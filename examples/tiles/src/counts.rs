//! How many requests were there, and how long did they take?

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// The kind of a request, as the metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Tile,
    Healthz,
    Metrics,
    Page,
    Other,
}

impl Route {
    pub(crate) const ALL: [Route; 5] =
        [Route::Tile, Route::Healthz, Route::Metrics, Route::Page, Route::Other];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Route::Tile => "tile",
            Route::Healthz => "healthz",
            Route::Metrics => "metrics",
            Route::Page => "page",
            Route::Other => "other",
        }
    }
}

/// Upper bounds of the histogram's buckets, in milliseconds; one more has no bound.
pub(crate) const BOUNDS_MS: [f64; 16] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0];

/// Counts since the start. Relaxed throughout: they publish nothing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    routes: [RouteCounts; Route::ALL.len()],
    connections: AtomicU64,
    connections_open: AtomicI64,
    connections_failed: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct RouteCounts {
    /// By the class of the status: 2xx, 4xx, 5xx.
    statuses: [AtomicU64; 3],
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    nanos: AtomicU64,
}

impl Counts {
    pub(crate) fn answered(&self, route: Route, status: u16, took: Duration) {
        let counts = self.of(route);
        let class = match status {
            ..400 => 0,
            400..500 => 1,
            500.. => 2,
        };
        counts.statuses[class].fetch_add(1, Ordering::Relaxed);
        let ms = took.as_secs_f64() * 1e3;
        let bucket = BOUNDS_MS.iter().position(|&bound| ms <= bound).unwrap_or(BOUNDS_MS.len());
        counts.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        counts.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn of(&self, route: Route) -> &RouteCounts {
        &self.routes[route as usize]
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self, failed: bool) {
        self.connections_open.fetch_sub(1, Ordering::Relaxed);
        self.connections_failed.fetch_add(failed.into(), Ordering::Relaxed);
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn connections_open(&self) -> i64 {
        self.connections_open.load(Ordering::Relaxed)
    }

    pub(crate) fn connections_failed(&self) -> u64 {
        self.connections_failed.load(Ordering::Relaxed)
    }

    /// Requests of all kinds.
    pub(crate) fn requests(&self) -> u64 {
        self.routes.iter().flat_map(RouteCounts::statuses).map(|(_, count)| count).sum()
    }
}

impl RouteCounts {
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.statuses.iter().map(|count| count.load(Ordering::Relaxed));
        ["2xx", "4xx", "5xx"].into_iter().zip(counts)
    }

    /// For each bound, the number of requests that took at most so long; the last element counts
    /// all.
    pub(crate) fn cumulative(&self) -> Vec<u64> {
        let mut so_far = 0;
        let add = |bucket: &AtomicU64| {
            so_far += bucket.load(Ordering::Relaxed);
            so_far
        };
        self.buckets.iter().map(add).collect()
    }

    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let counts = Counts::default();
        for micros in [100, 101, 20_000_000] {
            counts.answered(Route::Tile, 200, Duration::from_micros(micros));
        }
        counts.answered(Route::Tile, 400, Duration::ZERO);
        let cumulative = counts.of(Route::Tile).cumulative();
        assert_eq!((cumulative[0], cumulative[1]), (2, 3));
        assert_eq!((cumulative[BOUNDS_MS.len() - 1], cumulative[BOUNDS_MS.len()]), (3, 4));
        assert_eq!(
            counts.of(Route::Tile).statuses().collect::<Vec<_>>(),
            [("2xx", 3), ("4xx", 1), ("5xx", 0)]
        );
        assert_eq!(counts.of(Route::Page).cumulative().last(), Some(&0));
        assert_eq!(counts.requests(), 4);
    }

    #[test]
    fn the_table_of_routes_is_in_their_order() {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, index);
        }
    }
}
