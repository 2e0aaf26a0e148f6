//! Do other threads serve everything that a stuck worker holds?
#![allow(missing_docs)]

mod common;

use std::future::poll_fn;
use std::time::{Duration, Instant};

use common::{
    Count, End, Signal, block_on, close, eventually, join, join_all, run, spawn, spawn_here, start,
    start_with, start_without_watchdog, yield_now,
};
use selvedge_scheduler::{Config, JoinHandle, Scheduler, Timer};

/// Spawns tasks whose polls end when `release` is set, and returns when all of them are inside
/// their polls.
fn block(scheduler: &Scheduler, count: usize, release: &Signal) -> Vec<JoinHandle<End<()>>> {
    let inside = Count::new();
    let tasks = (0..count)
        .map(|_| {
            let (inside, release) = (inside.clone(), release.clone());
            spawn(scheduler, async move {
                inside.add();
                release.block();
            })
        })
        .collect();
    eventually("all are stuck", || inside.get() == count);
    tasks
}

fn rest_comes_back(scheduler: &Scheduler, workers: usize) {
    eventually("standbys leave", || scheduler.metrics().workers_active == workers);
}

/// The queue of a stuck worker, its next-task slot, the injector and a timer: each must be served,
/// or the blockers are never released.
#[test]
fn all_workers_are_stuck_and_everything_else_runs() {
    for workers in [1, 2, 4] {
        let scheduler = start(workers);
        for blockers in [workers, 2 * workers] {
            for _ in 0..5 {
                let (release, served) = (Signal::new(), Count::new());
                let next = Signal::new();
                let of_slot = spawn(&scheduler, {
                    let (next, served) = (next.clone(), served.clone());
                    async move {
                        next.wait().await;
                        served.add();
                    }
                });
                run(&scheduler, yield_now());
                // This blocker leaves tasks in its worker's deque, and one in the next-task slot if
                // that is free.
                let (wait, count) = (release.clone(), served.clone());
                let last = spawn(&scheduler, async move {
                    next.set();
                    for _ in 0..100 {
                        let count = count.clone();
                        drop(spawn_here(async move { count.add() }));
                    }
                    wait.block();
                });
                let others = block(&scheduler, blockers, &release);
                let count = served.clone();
                block_on(join(spawn(&scheduler, async move {
                    let deadline =
                        Scheduler::with_current(|here| here.expect("on a worker").now()) + 2_000_000;
                    let mut timer = Timer::new();
                    poll_fn(|cx| timer.poll(deadline, cx)).await.expect("on a worker");
                    count.add();
                })));
                eventually("everything is served", || served.get() == 102);
                release.set();
                join_all(others.into_iter().chain([last, of_slot]));
            }
            rest_comes_back(&scheduler, workers);
        }
        close(&scheduler);
    }
}

/// Tasks that all block are created one by one, each while those before are still stuck.
#[test]
fn blockers_that_are_new_each_time() {
    let scheduler = start(2);
    for _ in 0..10 {
        let mut releases = Vec::new();
        let mut stuck = Vec::new();
        for _ in 0..8 {
            let release = Signal::new();
            stuck.extend(block(&scheduler, 1, &release));
            releases.push(release);
            assert_eq!(run(&scheduler, async { 1 }), 1);
        }
        releases.iter().for_each(Signal::set);
        join_all(stuck);
    }
    assert!(scheduler.metrics().standbys_lent >= 7);
    rest_comes_back(&scheduler, 2);
    close(&scheduler);
}

/// The bound is generous: the promise is about a millisecond, on a machine that does nothing else.
#[test]
fn a_standby_comes_soon() {
    let scheduler = start(1);
    let mut waits: Vec<_> = (0..20)
        .map(|_| {
            let release = Signal::new();
            let stuck = block(&scheduler, 1, &release);
            let began = Instant::now();
            run(&scheduler, yield_now());
            let wait = began.elapsed();
            release.set();
            join_all(stuck);
            rest_comes_back(&scheduler, 1);
            wait
        })
        .collect();
    waits.sort_unstable();
    assert!(waits[10] < Duration::from_millis(100), "{waits:?}");
    close(&scheduler);
}

#[test]
fn spares_are_bounded() {
    let scheduler = start_with(Config { workers: 1, max_standbys: Some(2), ..Config::default() });
    let release = Signal::new();
    let stuck = block(&scheduler, 3, &release);
    // With all three places stuck, no worker serves these.
    let ran = Count::new();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let ran = ran.clone();
            spawn(&scheduler, async move { ran.add() })
        })
        .collect();
    for _ in 0..20 {
        // Some looks of the watchdog pass. None of them may find a place that does not exist.
        std::thread::sleep(Duration::from_millis(1));
        assert!(scheduler.metrics().workers_active <= 3);
    }
    assert_eq!(ran.get(), 0);
    release.set();
    join_all(stuck);
    assert_eq!(join_all(waiting).len(), 10);
    rest_comes_back(&scheduler, 1);
    close(&scheduler);
}

#[test]
fn without_a_watchdog_programs_run_as_usual() {
    let scheduler = start_without_watchdog(2);
    let release = Signal::new();
    let stuck = block(&scheduler, 1, &release);
    let sum = run(&scheduler, async {
        let mut sum = 0;
        for task in (0..1_000u64).map(|n| spawn_here(async move { n })).collect::<Vec<_>>() {
            sum += join(task).await;
        }
        sum
    });
    assert_eq!(sum, 499_500);
    assert_eq!((scheduler.metrics().standbys_lent, scheduler.metrics().workers_active), (0, 2));
    release.set();
    join_all(stuck);
    close(&scheduler);
}

/// How often the watchdog's thread has waited, as Linux counts.
#[cfg(target_os = "linux")]
fn waits_of_watchdog(thread_name: &str) -> u64 {
    let of_watchdog = || {
        let threads = std::fs::read_dir("/proc/self/task").expect("Linux shows the threads");
        threads.flatten().map(|thread| thread.path()).find(|thread| {
            let name = std::fs::read_to_string(thread.join("comm")).unwrap_or_default();
            name.trim() == format!("{thread_name}-watch")
        })
    };
    eventually("it has its name", || of_watchdog().is_some());
    let status = of_watchdog().map(|thread| std::fs::read_to_string(thread.join("status")));
    let status = status.expect("it lives").expect("it lives");
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    waits.and_then(|waits| waits.trim().parse().ok()).expect("Linux counts")
}

/// A watchdog that looked every millisecond would wake up hundreds of times.
#[cfg(target_os = "linux")]
#[test]
fn the_watchdog_sleeps_while_the_program_gets_on() {
    for (workers, micros, name) in [(1, 0, "calm-a"), (2, 0, "calm-b"), (1, 100, "calm-c"), (2, 5, "calm-d")]
    {
        let scheduler = start_with(Config { workers, thread_name: name.into(), ..Config::default() });
        // A machine that is busy takes the core away from a worker, which then looks stuck: a few tries.
        let waits = (0..20).map(|_| {
            let before = waits_of_watchdog(name);
            let tasks = (0..4).map(|_| {
                spawn(&scheduler, async move {
                    let began = Instant::now();
                    while began.elapsed() < Duration::from_millis(200) {
                        let poll = Instant::now();
                        while poll.elapsed() < Duration::from_micros(micros) {}
                        yield_now().await;
                    }
                })
            });
            join_all(tasks.collect::<Vec<_>>());
            waits_of_watchdog(name) - before
        });
        let least = waits.take_while(|&waits| waits > 20).count();
        assert!(least < 20, "it woke up more than 20 times in each of 20 fifths of a second");
        close(&scheduler);
    }
}
