//! What happens when a caller makes a mistake? An error or nothing, but never a hang, a panic of
//! the scheduler's own, or a loss.
#![allow(missing_docs)]

mod common;

use std::io::ErrorKind;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use common::{
    Count, End, Signal, block_on, close, end, eventually, join, join_all, run, spawn, spawn_here, start,
    start_with, start_without_watchdog, waker_of, watchdog, yield_now,
};
use selvedge_scheduler::{Config, JoinHandle, MAX_WORKERS, NoScheduler, Scheduler, TaskRef, Timer};

#[test]
fn absurd_numbers_of_workers_are_refused() {
    watchdog();
    for workers in [0, MAX_WORKERS + 1, usize::MAX] {
        let error = Scheduler::start(Config { workers, ..Config::default() }).expect_err("absurd");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains(&workers.to_string()) && text.contains("choose 1 to"), "{text}");
    }
}

#[test]
fn absurd_numbers_of_other_threads_do_no_harm() {
    let standbys = Config { max_standbys: Some(usize::MAX), ..Config::default() };
    let error = Scheduler::start(standbys).expect_err("absurd");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("choose at most"), "{error}");
    let scheduler = start_with(Config { max_blocking_threads: Some(usize::MAX), ..Config::default() });
    assert_eq!(run(&scheduler, async { 1 }), 1);
    close(&scheduler);
    let scheduler = start_with(Config { max_blocking_threads: Some(0), ..Config::default() });
    let (sender, ran) = mpsc::channel();
    scheduler.spawn_blocking(Box::new(move || sender.send(()).expect("the test waits"))).expect("a thread");
    ran.recv_timeout(common::PATIENCE).expect("at least one thread");
    close(&scheduler);
}

#[test]
fn absurd_durations_do_no_harm() {
    let scheduler = start_with(Config {
        blocking_keep_alive: Duration::MAX,
        slow_poll: Duration::MAX,
        max_blocking_threads: Some(1),
        ..Config::default()
    });
    for _ in 0..3 {
        let (sender, ran) = mpsc::channel();
        scheduler
            .spawn_blocking(Box::new(move || sender.send(()).expect("the test waits")))
            .expect("a thread");
        ran.recv_timeout(common::PATIENCE).expect("the job runs");
    }
    assert_eq!(scheduler.close(Duration::MAX), []);
    let scheduler = start_with(Config {
        blocking_keep_alive: Duration::ZERO,
        slow_poll: Duration::ZERO,
        ..Config::default()
    });
    let (sender, ran) = mpsc::channel();
    scheduler.spawn_blocking(Box::new(move || sender.send(()).expect("the test waits"))).expect("a thread");
    ran.recv_timeout(common::PATIENCE).expect("the job runs");
    run(&scheduler, yield_now());
    close(&scheduler);
}

#[test]
fn a_name_that_no_thread_can_have_is_an_error() {
    watchdog();
    let started = std::panic::catch_unwind(|| {
        Scheduler::start(Config { thread_name: "nul\0nul".into(), ..Config::default() }).map(drop)
    });
    assert_eq!(started.expect("no panic").expect_err("refused").kind(), ErrorKind::InvalidInput);
}

#[test]
fn far_more_workers_than_cores() {
    let scheduler = start(64);
    let sum = run(&scheduler, async {
        let mut sum = 0;
        for task in (0..5_000u64)
            .map(|n| {
                spawn_here(async move {
                    yield_now().await;
                    n
                })
            })
            .collect::<Vec<_>>()
        {
            sum += join(task).await;
        }
        sum
    });
    assert_eq!(sum, 4_999 * 5_000 / 2);
    close(&scheduler);
}

#[test]
fn a_spawn_after_close_is_refused_and_its_future_dropped() {
    let scheduler = start(1);
    close(&scheduler);
    let dropped = Count::new();
    for eager in [false, true] {
        let counted = dropped.on_drop();
        let future = async move {
            drop(counted);
            End::Value(())
        };
        let handle: JoinHandle<End<()>> = if eager {
            scheduler.spawn_eager(future, common::NoSlot)
        } else {
            scheduler.spawn(future, common::NoSlot)
        };
        assert!(handle.task().is_done());
        assert_eq!(handle.peek(), Some(&End::Closed));
        assert_eq!(block_on(end(handle)), End::Closed);
    }
    assert_eq!(dropped.get(), 2);
}

#[test]
fn a_timer_without_a_scheduler_says_so() {
    let noop = waker_of(|| {});
    let mut cx = Context::from_waker(&noop);
    let mut timer = Timer::new();
    assert_eq!(timer.poll(1, &mut cx), Poll::Ready(Err(NoScheduler)));
    assert_eq!(timer.start(1, &mut cx), Err(NoScheduler));
    timer.disarm();
    assert!(
        Scheduler::current().is_none()
            && Scheduler::current_worker().is_none()
            && TaskRef::current().is_none()
    );
}

/// An armed timer moves to another scheduler and to another thread, and outlives both schedulers.
#[test]
fn a_timer_may_wander() {
    let (here, there) = (start(1), start(1));
    let arm = |mut timer: Timer| async move {
        std::future::poll_fn(move |cx| {
            assert!(timer.poll(u64::MAX - 1, cx).is_pending());
            Poll::Ready(std::mem::take(&mut timer))
        })
        .await
    };
    let timer = run(&here, arm(Timer::new()));
    assert_eq!((here.metrics().timers_armed, there.metrics().timers_armed), (1, 0));
    let timer = run(&there, arm(timer));
    assert_eq!((here.metrics().timers_armed, there.metrics().timers_armed), (0, 1));
    close(&there);
    drop(there);
    drop(timer);
    close(&here);
}

/// User code parks its thread inside a poll, and takes the thread's tokens that are meant for the
/// worker.
#[test]
fn a_poll_may_park_its_thread() {
    let scheduler = start_without_watchdog(2);
    for _ in 0..50 {
        let (parked, go) = (Signal::new(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let thread = Arc::new(std::sync::Mutex::new(None));
        let (set, flag, room) = (parked.clone(), Arc::clone(&go), Arc::clone(&thread));
        let task = spawn(&scheduler, async move {
            *room.lock().unwrap() = Some(std::thread::current());
            set.set();
            while !flag.load(std::sync::atomic::Ordering::SeqCst) {
                std::thread::park();
            }
        });
        parked.block();
        let tasks: Vec<_> = (0..20).map(|_| spawn(&scheduler, yield_now())).collect();
        join_all(tasks);
        go.store(true, std::sync::atomic::Ordering::SeqCst);
        thread.lock().unwrap().take().expect("it parks").unpark();
        block_on(join(task));
    }
    eventually("nothing is left", || scheduler.live_tasks() == 0);
    close(&scheduler);
}
