//! Are blocking jobs bounded, queued, and dropped at the end, and do the pool's threads come on
//! demand and retire when idle?
#![allow(missing_docs)]

mod common;

use std::cell::RefCell;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{
    Count, Grenade, ON_PURPOSE, OnDrop, Signal, block_on, close, eventually, join, join_all, run, spawn,
    start, start_with, start_without_watchdog, yield_now,
};
use selvedge_scheduler::{Config, Scheduler};

fn with_threads(count: usize) -> Config {
    Config { workers: 1, max_blocking_threads: Some(count), ..Config::default() }
}

fn submit(scheduler: &Scheduler, job: impl FnOnce() + Send + 'static) {
    scheduler.spawn_blocking(Box::new(job)).expect("a thread");
}

#[test]
fn jobs_run_beside_each_other_up_to_the_limit() {
    let scheduler = start_with(with_threads(3));
    let (inside, most, done, release) = (Count::new(), Count::new(), Count::new(), Signal::new());
    for _ in 0..100 {
        let (inside, most, done, release) = (inside.clone(), most.clone(), done.clone(), release.clone());
        submit(&scheduler, move || {
            most.0.fetch_max(inside.add(), std::sync::atomic::Ordering::SeqCst);
            release.block();
            inside.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            done.add();
        });
    }
    eventually("as many as may", || inside.get() == 3);
    assert_eq!(scheduler.metrics().blocking_queue, 97);
    // A worker is free meanwhile.
    run(&scheduler, yield_now());
    release.set();
    eventually("the queue is drained", || done.get() == 100);
    assert_eq!((most.get(), scheduler.metrics().blocking_queue), (3, 0));
    close(&scheduler);
}

/// A burst must not start a thread per job while the first threads are still on their way.
#[test]
fn a_burst_of_jobs_starts_no_more_threads_than_the_limit() {
    let scheduler = start_with(Config { max_standbys: Some(0), ..with_threads(2) });
    let done = Count::new();
    let mut threads = 0;
    for _ in 0..500 {
        let done = done.clone();
        submit(&scheduler, move || {
            done.add();
        });
        threads = threads.max(scheduler.metrics().pool_threads);
    }
    eventually("all jobs are done", || done.get() == 500);
    // The worker is a thread of the pool too.
    assert!(threads <= 1 + 2, "{threads} threads");
    close(&scheduler);
}

#[test]
fn idle_threads_retire_and_new_ones_come() {
    let scheduler = start_with(Config { blocking_keep_alive: Duration::from_millis(5), ..with_threads(4) });
    for _ in 0..3 {
        let (all, done) = (std::sync::Arc::new(std::sync::Barrier::new(4)), Count::new());
        for _ in 0..4 {
            let (all, done) = (std::sync::Arc::clone(&all), done.clone());
            submit(&scheduler, move || {
                all.wait();
                done.add();
            });
        }
        eventually("four at once", || done.get() == 4);
        eventually("all have retired", || scheduler.metrics().pool_threads <= 1);
    }
    close(&scheduler);
}

/// tokio#8056: a job comes while the only thread is about to retire.
#[test]
fn blocking_job_stranded() {
    let keep_alive = Duration::from_micros(200);
    let scheduler = start_with(Config { blocking_keep_alive: keep_alive, ..with_threads(1) });
    for round in 0..1_000 {
        let (sender, done) = mpsc::channel();
        submit(&scheduler, move || sender.send(()).expect("the test waits"));
        done.recv().expect("the job runs");
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(round % 400) {
            std::hint::spin_loop();
        }
    }
    close(&scheduler);
}

#[test]
fn a_panic_in_a_job_stays_there() {
    let scheduler = start_with(with_threads(1));
    for _ in 0..3 {
        submit(&scheduler, || panic!("{ON_PURPOSE}: a job"));
        submit(&scheduler, || std::panic::panic_any(Grenade));
    }
    let (sender, done) = mpsc::channel();
    submit(&scheduler, move || sender.send(()).expect("the test waits"));
    done.recv_timeout(common::PATIENCE).expect("the thread lives, or another one came");
    close(&scheduler);
}

#[test]
fn jobs_that_have_not_begun_are_dropped_at_the_end() {
    let scheduler = start_with(with_threads(1));
    let (inside, release, dropped, ran) = (Signal::new(), Signal::new(), Count::new(), Count::new());
    let (set, wait) = (inside.clone(), release.clone());
    submit(&scheduler, move || {
        set.set();
        wait.block();
    });
    inside.block();
    for n in 0..10 {
        let (counted, ran) = (dropped.on_drop(), ran.clone());
        let again = scheduler.clone();
        let guard = OnDrop(move || {
            assert!(again.spawn_blocking(Box::new(|| {})).is_err(), "closed");
            assert!(n != 5, "{ON_PURPOSE}: the drop of a job");
        });
        submit(&scheduler, move || {
            let _held = (counted, guard);
            ran.add();
        });
    }
    let began = Instant::now();
    assert_eq!(scheduler.close(Duration::from_millis(50)), [], "a job is no task");
    assert!(began.elapsed() < Duration::from_secs(20), "the job that runs is not waited for");
    assert_eq!((dropped.get(), ran.get()), (10, 0));
    let refused = dropped.on_drop();
    let error = scheduler.spawn_blocking(Box::new(move || drop(refused))).expect_err("closed");
    assert!(error.error.to_string().contains("closed"));
    assert_eq!(dropped.get(), 11);
    release.set();
}

/// Both the running job and the queued one are waited for. A task that the first one needs runs
/// meanwhile.
#[test]
fn jobs_are_waited_for_while_tasks_run() {
    let scheduler = start_with(with_threads(1));
    let (done, inner) = (Count::new(), scheduler.clone());
    for _ in 0..2 {
        let (done, inner) = (done.clone(), inner.clone());
        submit(&scheduler, move || {
            block_on(join(spawn(&inner, yield_now())));
            done.add();
        });
    }
    scheduler.wait_for_blocking(Duration::MAX);
    assert_eq!(done.get(), 2);
    scheduler.wait_for_blocking(Duration::MAX);
    close(&scheduler);
}

#[test]
fn jobs_are_waited_for_no_longer_than_patience_lasts() {
    let scheduler = start_with(with_threads(1));
    let (release, inner) = (Signal::new(), scheduler.clone());
    let wait = release.clone();
    submit(&scheduler, move || wait.block());
    for patience in [Duration::ZERO, Duration::from_millis(1)] {
        scheduler.wait_for_blocking(patience);
        assert!(!release.is_set());
    }
    release.set();
    let (sender, done) = mpsc::channel();
    submit(&scheduler, move || {
        inner.wait_for_blocking(Duration::MAX);
        sender.send(()).expect("the test waits");
    });
    done.recv_timeout(common::PATIENCE).expect("a job does not wait for itself");
    close(&scheduler);
}

/// A queue whose jobs are dropped counts as drained.
#[test]
fn who_waits_for_jobs_is_told_that_they_were_dropped() {
    let scheduler = start_with(with_threads(1));
    let (inside, release) = (Signal::new(), Signal::new());
    let (set, wait, inner) = (inside.clone(), release.clone(), scheduler.clone());
    submit(&scheduler, move || {
        set.set();
        wait.block();
    });
    inside.block();
    submit(&scheduler, || unreachable!("it is dropped"));
    let waiting = std::thread::spawn(move || inner.wait_for_blocking(Duration::MAX));
    let closed = scheduler.close(Duration::ZERO);
    assert_eq!(closed, []);
    release.set();
    waiting.join().expect("it ends");
}

/// Standbys and jobs come from the same threads, but neither takes the threads of the other.
#[test]
fn jobs_run_while_spares_are_needed() {
    let scheduler = start_with(with_threads(2));
    for _ in 0..10 {
        let (release, inside, done) = (Signal::new(), Count::new(), Count::new());
        let polls: Vec<_> = (0..4)
            .map(|_| {
                let (inside, release) = (inside.clone(), release.clone());
                spawn(&scheduler, async move {
                    inside.add();
                    release.block();
                })
            })
            .collect();
        for _ in 0..2 {
            let (inside, release, done) = (inside.clone(), release.clone(), done.clone());
            submit(&scheduler, move || {
                inside.add();
                release.block();
                done.add();
            });
        }
        eventually("four polls and two jobs at once", || inside.get() == 6);
        run(&scheduler, yield_now());
        release.set();
        join_all(polls);
        eventually("both jobs are done", || done.get() == 2);
    }
    close(&scheduler);
}

#[test]
fn jobs_and_tasks_wait_for_each_other() {
    let scheduler = start(2);
    let inner = scheduler.clone();
    let sum = run(&scheduler, async move {
        let (sender, receiver) = mpsc::channel();
        let inside = inner.clone();
        submit(&inner, move || {
            let task = spawn(&inside, async { 20 });
            sender.send(block_on(join(task)) + 1).expect("the task waits");
        });
        receiver.recv().expect("the job answers")
    });
    assert_eq!(sum, 21);
    close(&scheduler);
}

/// A retiring thread drops what a job has left in its thread-locals. Such a destructor may use the
/// pool.
#[test]
fn a_destructor_of_a_retiring_thread_may_use_the_pool() {
    std::thread_local! {
        static LEFT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    let keep_alive = Duration::from_millis(1);
    let scheduler =
        start_with(Config { blocking_keep_alive: keep_alive, max_standbys: Some(0), ..with_threads(1) });
    let (retiring, go) = (Signal::new(), Signal::new());
    let (set, wait, inner) = (retiring.clone(), go.clone(), scheduler.clone());
    submit(&scheduler, move || {
        let guard = OnDrop(move || {
            set.set();
            wait.block();
            inner.metrics();
        });
        LEFT.with(|left| left.borrow_mut().push(Box::new(guard)));
    });
    retiring.block();
    let (sender, done) = mpsc::channel();
    let submitter = scheduler.clone();
    // Starts a thread while the other one is about to end.
    let submitting = std::thread::spawn(move || {
        submit(&submitter, move || sender.send(()).expect("the test waits"));
    });
    let answer = done.recv_timeout(Duration::from_secs(5));
    go.set();
    answer.expect("a thread on its way out holds nobody up");
    submitting.join().unwrap();
    close(&scheduler);
}

/// A job may close the scheduler on which it runs.
#[test]
fn a_job_may_close_its_scheduler() {
    let scheduler = start_without_watchdog(1);
    let suspended = spawn(&scheduler, std::future::pending::<()>());
    let (sender, closed) = mpsc::channel();
    let inner = scheduler.clone();
    submit(&scheduler, move || {
        inner.close(Duration::from_secs(3600));
        sender.send(()).expect("the test waits");
    });
    closed.recv_timeout(Duration::from_secs(5)).expect("it does not wait for itself");
    assert_eq!(block_on(common::end(suspended)), common::End::Closed);
    close(&scheduler);
}
