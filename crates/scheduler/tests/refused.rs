//! What happens when the operating system refuses threads? An error or a wait, but never a hang or
//! a loss.
//!
//! Each test runs itself once more as a process of its own, with stacks so large and an address
//! space so small that only a handful of threads fit.
#![allow(missing_docs)]
// The shadow memory of these two sanitizers does not fit into a small address space.
#![cfg(not(any(selvedge_asan, selvedge_tsan)))]

mod common;

use std::process::Command;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use common::{
    Count, End, PATIENCE, Signal, block_on, close, end, eventually, join, run, spawn, start, start_with,
    start_without_watchdog, threads, watchdog, yield_now,
};
use selvedge_scheduler::{Config, Scheduler};

const IN_CHILD: &str = "SELVEDGE_TEST_IN_CHILD";

/// Runs the test `name` where threads are scarce.
fn where_threads_are_scarce(name: &str, test: impl FnOnce()) {
    if std::env::var_os(IN_CHILD).is_some() {
        watchdog();
        return test();
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -v 4194304 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("on Linux"))
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(IN_CHILD, "1")
        .env("RUST_MIN_STACK", (512 << 20).to_string())
        // A thread's heap takes address space too.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .expect("a shell");
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", child.status);
}

/// Foreign threads that take all the address space there is, until `leave` ends them.
struct Crowd(Signal, Vec<JoinHandle<()>>);

impl Crowd {
    fn gather() -> Self {
        let go_home = Signal::new();
        let mut threads = Vec::new();
        loop {
            let wait = go_home.clone();
            match Builder::new().spawn(move || wait.block()) {
                Ok(thread) => threads.push(thread),
                Err(_) => return Self(go_home, threads),
            }
        }
    }

    fn leave(self) {
        self.0.set();
        self.1.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    where_threads_are_scarce("a_start_that_fails_leaves_nothing_behind", || {
        let before = threads();
        for _ in 0..20 {
            let error = Scheduler::start(Config { workers: 64, ..Config::default() }).expect_err("no room");
            assert_ne!(error.raw_os_error(), None, "{error}");
            eventually("the workers that had started are gone", || threads() <= before);
        }
        let scheduler = start(2);
        assert_eq!(run(&scheduler, async { 1 }), 1);
        close(&scheduler);
    });
}

/// tokio#8406: the job comes back as an error, or another thread takes it.
#[test]
fn blocking_job_orphaned_when_the_os_refuses_a_thread() {
    where_threads_are_scarce("blocking_job_orphaned_when_the_os_refuses_a_thread", || {
        let config = Config { max_blocking_threads: Some(100), max_standbys: Some(0), ..Config::default() };
        let scheduler = start_with(config);
        let crowd = Crowd::gather();
        let dropped = Count::new();
        let counted = dropped.on_drop();
        let refused = scheduler.spawn_blocking(Box::new(move || drop(counted))).expect_err("no thread");
        assert_ne!(refused.error.raw_os_error(), None, "{:?}", refused.error);
        assert_eq!((dropped.get(), scheduler.metrics().blocking_queue), (1, 0));
        crowd.leave();
        // Now some threads can be started, fewer than there are jobs.
        let (release, done) = (Signal::new(), Count::new());
        for _ in 0..50 {
            let (release, done) = (release.clone(), done.clone());
            let job = move || {
                release.block();
                done.add();
            };
            scheduler.spawn_blocking(Box::new(job)).expect("a thread that runs a job will come to it");
        }
        assert!(scheduler.metrics().blocking_queue > 0, "threads are scarce");
        release.set();
        eventually("all jobs are done", || done.get() == 50);
        close(&scheduler);
    });
}

/// A standby comes as soon as a thread can be started, and its absence harms no other task.
#[test]
fn a_spare_that_is_refused_comes_later() {
    where_threads_are_scarce("a_spare_that_is_refused_comes_later", || {
        let scheduler = start(1);
        let crowd = Crowd::gather();
        let (stuck, release) = (Signal::new(), Signal::new());
        let (set, wait) = (stuck.clone(), release.clone());
        let blocker = spawn(&scheduler, async move {
            set.set();
            wait.block();
        });
        stuck.block();
        let (sender, ran) = mpsc::channel();
        let queued = spawn(&scheduler, async move { sender.send(()).expect("the test waits") });
        assert!(ran.recv_timeout(std::time::Duration::from_millis(20)).is_err(), "no standby");
        // A thread that is asked for counts until it is refused.
        eventually("one worker", || scheduler.metrics().workers_active == 1);
        assert_eq!(scheduler.metrics().standbys_lent, 0);
        crowd.leave();
        ran.recv_timeout(PATIENCE).expect("a standby");
        block_on(join(queued));
        release.set();
        block_on(join(blocker));
        close(&scheduler);
    });
}

#[test]
fn the_end_needs_no_thread() {
    where_threads_are_scarce("the_end_needs_no_thread", || {
        for from_a_task in [false, true] {
            let scheduler = start_without_watchdog(1);
            let suspended: Vec<_> =
                (0..10).map(|_| spawn(&scheduler, std::future::pending::<()>())).collect();
            run(&scheduler, yield_now());
            let crowd = Crowd::gather();
            if from_a_task {
                let inner = scheduler.clone();
                drop(spawn(&scheduler, async move { drop(inner.close(PATIENCE)) }));
            } else {
                close(&scheduler);
            }
            for handle in suspended {
                assert_eq!(block_on(end(handle)), End::Closed);
            }
            crowd.leave();
            close(&scheduler);
        }
    });
}
