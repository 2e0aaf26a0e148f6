//! With many spawners, tasks and schedulers: is anything lost or run twice, or does a thread stay
//! behind?
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use common::{
    Count, End, block_on, close, end, eventually, join, join_all, run, spawn, spawn_here, start, start_with,
    start_without_watchdog, threads, yield_now,
};
use selvedge_scheduler::Config;

/// RUSTSEC-2021-0093: each task has a number of its own, and each number comes up once.
#[test]
fn spawns_from_everywhere_run_once() {
    const SPAWNERS: usize = 4;
    const EACH: usize = 5_000;
    for workers in [1, 2, 4] {
        let scheduler = start(workers);
        let runs: Arc<Vec<AtomicU32>> =
            Arc::new((0..2 * SPAWNERS * EACH).map(|_| AtomicU32::new(0)).collect());
        let from_threads: Vec<_> = (0..SPAWNERS)
            .map(|spawner| {
                let (scheduler, runs) = (scheduler.clone(), Arc::clone(&runs));
                thread::spawn(move || {
                    let handles: Vec<_> = (spawner * EACH..(spawner + 1) * EACH)
                        .map(|n| {
                            let runs = Arc::clone(&runs);
                            spawn(&scheduler, async move { runs[n].fetch_add(1, Ordering::Relaxed) })
                        })
                        .collect();
                    assert!(join_all(handles).iter().all(|&before| before == 0));
                })
            })
            .collect();
        let from_tasks: Vec<_> = (SPAWNERS..2 * SPAWNERS)
            .map(|spawner| {
                let runs = Arc::clone(&runs);
                spawn(&scheduler, async move {
                    for n in spawner * EACH..(spawner + 1) * EACH {
                        let runs = Arc::clone(&runs);
                        // Detached: only the count shows that it ran.
                        drop(spawn_here(async move { runs[n].fetch_add(1, Ordering::Relaxed) }));
                        if n % 100 == 0 {
                            yield_now().await;
                        }
                    }
                })
            })
            .collect();
        join_all(from_tasks);
        for thread in from_threads {
            thread.join().unwrap();
        }
        eventually("all are through", || scheduler.live_tasks() == 0);
        assert!(runs.iter().all(|runs| runs.load(Ordering::Relaxed) == 1));
        close(&scheduler);
    }
}

/// The scheduler closes while threads spawn: each task has either run or been refused, and its
/// handle says so.
#[test]
fn spawns_race_with_the_end() {
    for round in 0..100 {
        let scheduler = start(1 + round % 2);
        let (ran, dropped) = (Count::new(), Count::new());
        let spawners: Vec<_> = (0..2)
            .map(|_| {
                let (scheduler, ran, dropped) = (scheduler.clone(), ran.clone(), dropped.clone());
                thread::spawn(move || {
                    let handles: Vec<_> = (0..200)
                        .map(|_| {
                            let (ran, counted) = (ran.clone(), dropped.on_drop());
                            spawn(&scheduler, async move {
                                let _counted = counted;
                                yield_now().await;
                                ran.add();
                            })
                        })
                        .collect();
                    handles
                        .into_iter()
                        .map(|handle| block_on(end(handle)))
                        .filter(|end| *end == End::Value(()))
                        .count()
                })
            })
            .collect();
        if round % 3 == 0 {
            run(&scheduler, yield_now());
        }
        scheduler.close(common::PATIENCE);
        let values: usize = spawners.into_iter().map(|spawner| spawner.join().unwrap()).sum();
        assert_eq!((values, dropped.get()), (ran.get(), 400));
    }
}

#[test]
fn a_tree_of_tasks() {
    fn fib(n: u32) -> std::pin::Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            if n < 2 {
                return n;
            }
            let left = spawn_here(fib(n - 1));
            let right = fib(n - 2).await;
            right + join(left).await
        })
    }
    for scheduler in [start(1), start(4), start_without_watchdog(4)] {
        assert_eq!(run(&scheduler, fib(18)), 2_584);
        close(&scheduler);
    }
}

/// A chain in which each task spawns the next, and no handle is kept.
#[test]
fn a_chain_of_detached_tasks() {
    fn link(left: u32, through: Count) {
        if left == 0 {
            through.add();
            return;
        }
        drop(spawn_here(async move { link(left - 1, through) }));
    }
    let scheduler = start(2);
    let through = Count::new();
    for _ in 0..10 {
        let through = through.clone();
        run(&scheduler, async move { link(2_000, through) });
    }
    eventually("the ends of the chains", || through.get() == 10);
    close(&scheduler);
}

/// Counts the threads of the whole process. nextest gives each test a process of its own; under
/// `cargo test` the threads of the other tests in this file are gone in the end.
#[test]
fn schedulers_come_and_go_without_a_thread_left() {
    let cycle = |n: usize| {
        let scheduler = start_with(Config { workers: 2, max_blocking_threads: Some(2), ..Config::default() });
        if n % 2 == 0 {
            run(&scheduler, async { join(spawn_here(yield_now())).await });
        }
        if n % 5 == 0 {
            drop(spawn(&scheduler, std::future::pending::<()>()));
        }
        if n % 7 == 0 {
            scheduler.spawn_blocking(Box::new(|| {})).expect("a thread");
        }
        close(&scheduler);
    };
    (0..1_000).for_each(cycle);
    // The threads of the test binary itself: main, the watchdog, and at most one per test.
    eventually("all threads are gone", || threads() <= 2 + 6);
}
