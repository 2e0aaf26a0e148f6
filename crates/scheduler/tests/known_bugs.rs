//! Does the scheduler have bugs that other runtimes shipped? Each test names the report. More such
//! tests are in the files of their subjects; `docs/testing.md` lists all of them.
#![allow(missing_docs)]

mod common;

use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Count, End, OnDrop, Signal, block_on, close, end, join, join_all, run, spawn, spawn_here, start,
    start_with, start_without_watchdog, waker_of, yield_now,
};
use selvedge_scheduler::{Config, Scheduler, Timer};

/// tokio#525: a push while the last worker goes to sleep.
#[test]
fn lost_wakeup_in_the_pool() {
    for workers in [1, 2, 4] {
        for scheduler in [start(workers), start_without_watchdog(workers)] {
            for n in 0..5_000 {
                assert_eq!(block_on(join(spawn(&scheduler, async move { n }))), n);
                // About when the worker has searched and spun long enough and parks.
                let (began, wait) = (Instant::now(), Duration::from_nanos(n * 7_919 % 48_000));
                while began.elapsed() < wait {
                    std::hint::spin_loop();
                }
            }
            close(&scheduler);
        }
    }
}

/// tokio#1768: a task that is woken onto a worker whose poll then never ends.
#[test]
fn woken_task_never_polled() {
    for workers in [1, 2] {
        let scheduler = start(workers);
        let ran = Signal::new();
        let wakes = Signal::new();
        let (wait, set) = (wakes.clone(), ran.clone());
        let woken = spawn(&scheduler, async move {
            wait.wait().await;
            set.set();
        });
        run(&scheduler, yield_now());
        run(&scheduler, async move {
            wakes.set();
            ran.block();
        });
        block_on(join(woken));
        close(&scheduler);
    }
}

/// tokio#5429, for timers: the drop of the old waker calls back into the wheel.
#[test]
fn replaced_waker_dropped_under_a_lock() {
    let scheduler = start(1);
    let dropped = Count::new();
    let counted = dropped.clone();
    run(&scheduler, async move {
        let mut timer = Timer::new();
        for _ in 0..50 {
            let counted = counted.clone();
            let guard = OnDrop(move || {
                counted.add();
                Scheduler::with_current(|scheduler| {
                    assert!(scheduler.expect("on a worker").metrics().timers_armed <= 1);
                });
                let mut other = Timer::new();
                let noop = waker_of(|| {});
                assert!(other.poll(u64::MAX - 1, &mut Context::from_waker(&noop)).is_pending());
                drop(spawn_here(async {}));
            });
            let waker = waker_of(move || {
                let _ = &guard;
            });
            assert!(timer.poll(u64::MAX - 1, &mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(counted.get(), 49, "all but the last");
        drop(timer);
        assert_eq!(counted.get(), 50);
    });
    close(&scheduler);
}

/// A standby must come although all workers slept a moment ago, and the watchdog with them.
#[test]
fn watch_asleep_while_a_worker_gets_stuck() {
    let scheduler = start_with(Config { workers: 2, ..Config::default() });
    for round in 0..40 {
        // About as long as the watchdog stays awake while all workers rest.
        thread::sleep(Duration::from_micros(9_000 + round * 100));
        let release = Signal::new();
        let blockers: Vec<_> = (0..2)
            .map(|_| {
                let wait = release.clone();
                spawn(&scheduler, async move { wait.block() })
            })
            .collect();
        run(&scheduler, async move { release.set() });
        join_all(blockers);
    }
    close(&scheduler);
}

/// async-task#11: the last wake still notifies a worker when the task has already run and completed,
/// and was the last task of its scheduler.
#[test]
fn schedule_function_freed_while_running() {
    for _ in 0..300 {
        let scheduler = start(2);
        let go = Signal::new();
        let wait = go.clone();
        let task = spawn(&scheduler, async move { wait.wait().await });
        let waking = thread::spawn(move || go.set());
        block_on(join(task));
        scheduler.close(common::PATIENCE);
        drop(scheduler);
        waking.join().unwrap();
    }
}

/// async-executor#163: as above, with destructors that wake tasks, and a scheduler whose last
/// handle is dropped meanwhile.
#[test]
fn wake_during_executor_drop() {
    for _ in 0..200 {
        let scheduler = start(2);
        let handle = spawn(&scheduler, std::future::pending::<()>());
        let task = handle.task().clone();
        let guard = OnDrop(move || task.wake());
        let other = spawn(&scheduler, async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let closing = scheduler.clone();
        let closer = thread::spawn(move || closing.close(common::PATIENCE));
        drop(scheduler);
        assert_eq!(closer.join().unwrap(), []);
        assert_eq!(block_on(end(handle)), End::Closed);
        assert_eq!(block_on(end(other)), End::Closed);
    }
}

/// async-executor#103: a new wait stores its waker in the place of the one before and nowhere else.
/// Only the last waker is woken, and only the last one is kept.
#[test]
fn two_stores_for_one_waker() {
    let counting = |count: &Count| {
        let count = count.clone();
        waker_of(move || _ = count.add())
    };
    for swaps in [1, 2, 5] {
        let scheduler = start_without_watchdog(1);
        let go = Signal::new();
        let wait = go.clone();
        let mut task = spawn(&scheduler, async move { wait.wait().await });
        let woken: Vec<_> = (0..=swaps).map(|_| Count::new()).collect();
        let joins: Vec<_> = woken.iter().map(counting).collect();
        for waker in &joins {
            assert!(task.poll_join(&mut Context::from_waker(waker)).is_pending());
        }
        go.set();
        assert_eq!(block_on(end(task)), End::Value(()), "woken or not, the task ends");
        assert!(woken[..swaps].iter().all(|count| count.get() == 0), "an old waker was woken");

        let counts: Vec<_> = (0..=swaps).map(|_| Count::new()).collect();
        let wakers: Vec<_> = counts.iter().map(counting).collect();
        let fired = run(&scheduler, async move {
            let mut timer = Timer::new();
            let deadline = Scheduler::with_current(|it| it.expect("on a worker").now()) + 1_000_000;
            for waker in &wakers {
                assert!(timer.poll(deadline, &mut Context::from_waker(waker)).is_pending());
            }
            while counts[swaps].get() == 0 {
                yield_now().await;
            }
            counts.iter().map(Count::get).collect::<Vec<_>>()
        });
        assert!(fired[..swaps].iter().all(|count| *count == 0), "an old waker was woken");
        assert_eq!((fired[swaps], scheduler.metrics().timers_armed), (1, 0));
        close(&scheduler);
    }
}

/// rayon#768: a thread that waits for a task ends as soon as it is woken, and frees everything it
/// waited with, while the waking thread has not returned from the wake. (A sanitizer sees accesses
/// to freed memory.)
#[test]
fn latch_touched_after_its_waiter_left() {
    let scheduler = start(2);
    for _ in 0..500 {
        let go = Signal::new();
        let wait = go.clone();
        let task = spawn(&scheduler, async move {
            wait.wait().await;
            vec![7; 100]
        });
        let waiter = thread::spawn(move || {
            let latch = Box::new(Signal::new());
            let sets = Signal::clone(&latch);
            let waker = waker_of(move || sets.set());
            let mut task = task;
            while task.poll_join(&mut Context::from_waker(&waker)).is_pending() {
                latch.block();
            }
        });
        go.set();
        waiter.join().unwrap();
    }
    close(&scheduler);
}

/// RUSTSEC-2021-0124: a handle is dropped, polled before or not, while the output arrives. One side
/// drops the output, once.
#[test]
fn oneshot_race_after_close() {
    let scheduler = start(2);
    let dropped = Count::new();
    for round in 0..2_000 {
        let (output, go) = (dropped.on_drop(), Signal::new());
        let wait = go.clone();
        let mut task = scheduler.spawn(
            async move {
                wait.wait().await;
                End::Value(output)
            },
            common::NoSlot,
        );
        if round % 2 == 0 {
            let noop = waker_of(|| {});
            assert!(task.poll_join(&mut Context::from_waker(&noop)).is_pending());
        }
        let closes = thread::spawn(move || drop(task));
        go.set();
        closes.join().unwrap();
    }
    close(&scheduler);
    assert_eq!(dropped.get(), 2_000);
}
