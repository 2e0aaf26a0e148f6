//! What happens when the system grants no more threads? Alone in its file, because it sees to that.
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use common::{close, eventually, join_all, spawn, start};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Too little for the stack of a thread, and enough for all else that this test needs.
const LEFT: u64 = 1 << 20;

fn refuse_threads() -> Rlimit {
    let before = getrlimit(Resource::As);
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux shows the size");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let size = size.and_then(|size| size.parse::<u64>().ok()).expect("a number") << 10;
    setrlimit(Resource::As, Rlimit { current: Some(size + LEFT), ..before }).expect("limits may be lowered");
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "threads are still to be had");
    before
}

async fn computes(span: Duration) {
    let began = Instant::now();
    while began.elapsed() < span {
        std::hint::spin_loop();
    }
}

async fn computes_until(ends: Arc<AtomicBool>) {
    while !ends.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

#[test]
fn without_threads_the_workers_compute() {
    let scheduler = start(2);
    // Until both workers have begun.
    let both = Arc::new(Barrier::new(2));
    join_all([0, 1].map(|_| {
        let both = Arc::clone(&both);
        spawn(&scheduler, async move { _ = both.wait() })
    }));
    let limit = refuse_threads();
    for _ in 0..3 {
        let spans = (0..40).map(|n| Duration::from_millis(if n < 20 { 5 } else { 0 }));
        join_all(spans.map(|span| spawn(&scheduler, computes(span))).collect::<Vec<_>>());
    }
    let metrics = scheduler.metrics();
    assert_eq!((metrics.computing_threads, metrics.demotions), (0, 0));
    setrlimit(Resource::As, limit).expect("the limit was the same before");
    // As soon as there are threads again, those that compute are demoted.
    let ends = Arc::new(AtomicBool::new(false));
    let long = spawn(&scheduler, computes_until(Arc::clone(&ends)));
    eventually("a demotion", || scheduler.metrics().demotions > 0);
    ends.store(true, Ordering::Relaxed);
    join_all([long]);
    close(&scheduler);
}
