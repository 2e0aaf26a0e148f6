//! Does `close` end everything, in bounded time, wherever it is called?
#![allow(missing_docs)]

mod common;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use common::{
    Count, DropCount, End, ON_PURPOSE, OnDrop, PATIENCE, Signal, block_on, close, end, eventually, run,
    spawn, spawn_here, start, start_without_watchdog, yield_now,
};
use parking_lot::Mutex;
use selvedge_scheduler::{JoinHandle, TaskRef};

/// RUSTSEC-2021-0072: the worker that polls a future drops it; a thread that closes the scheduler
/// during the poll never does.
#[test]
fn abort_drops_on_the_wrong_thread() {
    let scheduler = start_without_watchdog(2);
    let (polled, release) = (Signal::new(), Signal::new());
    let (set, wait) = (polled.clone(), release.clone());
    let dropped = Arc::new(Mutex::new(None));
    let room = Arc::clone(&dropped);
    let in_poll = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&in_poll);
    let guard = OnDrop(move || {
        assert!(!flag.load(Ordering::SeqCst), "dropped during its poll");
        *room.lock() = Some(thread::current().id());
    });
    let worker = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&worker);
    let handle = spawn(
        &scheduler,
        poll_fn(move |_| {
            let _ = &guard;
            in_poll.store(true, Ordering::SeqCst);
            *seen.lock() = Some(thread::current().id());
            set.set();
            wait.block();
            in_poll.store(false, Ordering::SeqCst);
            Poll::<()>::Pending
        }),
    );
    polled.block();
    let left = scheduler.close(Duration::from_millis(50));
    assert_eq!(left, [handle.task().clone()]);
    assert_eq!(*dropped.lock(), None);
    release.set();
    assert_eq!(block_on(end(handle)), End::Closed);
    assert_eq!(*dropped.lock(), *worker.lock());
}

/// tokio#2046: destructors that run at the end wake other tasks that are being dropped, spawn
/// tasks, and read metrics.
#[test]
fn destructor_wakes_under_the_queue_lock_at_shutdown() {
    for workers in [1, 2, 4] {
        let scheduler = start(workers);
        let dropped = Count::new();
        let refused = Arc::new(Mutex::new(Vec::new()));
        let tasks: Arc<Mutex<Vec<TaskRef>>> = Arc::default();
        let handles: Vec<_> = (0..100)
            .map(|_| {
                let (closed, tasks, dropped, refused) =
                    (scheduler.clone(), Arc::clone(&tasks), dropped.clone(), Arc::clone(&refused));
                let guard = OnDrop(move || {
                    dropped.add();
                    let all = tasks.lock().clone();
                    all.iter().for_each(TaskRef::wake);
                    refused.lock().push(spawn(&closed, async {}));
                    closed.metrics();
                    closed.tasks();
                    assert!(closed.spawn_blocking(Box::new(|| {})).is_err());
                });
                spawn(&scheduler, async move {
                    let _guard = guard;
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        *tasks.lock() = handles.iter().map(|handle| handle.task().clone()).collect();
        run(&scheduler, yield_now());
        close(&scheduler);
        for handle in handles {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        assert_eq!(dropped.get(), 100);
        for handle in refused.lock().drain(..) {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        tasks.lock().clear();
    }
}

/// tokio#3869: tasks that wait in the queues of stuck workers when the scheduler closes are
/// dropped, and their handles resolve.
#[test]
fn queued_tasks_lost_at_shutdown() {
    for workers in [1, 2, 4] {
        let scheduler = start_without_watchdog(workers);
        let (stuck, release, dropped) = (Count::new(), Signal::new(), Count::new());
        let handles = Arc::new(Mutex::new(Vec::new()));
        let all_stuck = Arc::new(Barrier::new(workers));
        let blockers: Vec<_> = (0..workers)
            .map(|_| {
                let all_stuck = Arc::clone(&all_stuck);
                let (handles, stuck, release, dropped) =
                    (Arc::clone(&handles), stuck.clone(), release.clone(), dropped.clone());
                spawn(&scheduler, async move {
                    all_stuck.wait();
                    for _ in 0..200 {
                        let counted = dropped.on_drop();
                        handles.lock().push(spawn_here(async move { drop(counted) }));
                    }
                    stuck.add();
                    release.block();
                })
            })
            .collect();
        eventually("all workers are stuck", || stuck.get() == workers);
        for _ in 0..200 {
            let counted = dropped.on_drop();
            handles.lock().push(spawn(&scheduler, async move { drop(counted) }));
        }
        let closing = scheduler.clone();
        let closer = thread::spawn(move || closing.close(PATIENCE));
        let handles = std::mem::take(&mut *handles.lock());
        let count = handles.len();
        for handle in handles {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        assert_eq!((count, dropped.get()), ((workers + 1) * 200, (workers + 1) * 200));
        release.set();
        assert_eq!(closer.join().unwrap(), []);
        for blocker in blockers {
            assert_eq!(block_on(end(blocker)), End::Value(()), "a poll that ends well in time counts");
        }
    }
}

/// tokio#2119: the end is bounded although a poll is not, and `close` returns the task.
#[test]
fn shutdown_while_a_worker_blocks() {
    for patience in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(50)] {
        for scheduler in [start(1), start_without_watchdog(2)] {
            let (stuck, release) = (Signal::new(), Signal::new());
            let (set, wait) = (stuck.clone(), release.clone());
            let blocker = spawn(&scheduler, async move {
                set.set();
                wait.block();
                yield_now().await;
            });
            let suspended = spawn(&scheduler, std::future::pending::<()>());
            stuck.block();
            let left = scheduler.close(patience);
            assert!(left.contains(blocker.task()), "{patience:?}");
            // The other tasks end too.
            assert_eq!(block_on(end(suspended)), End::Closed, "{patience:?}");
            drop(scheduler);
            release.set();
            assert_eq!(block_on(end(blocker)), End::Closed, "{patience:?}");
        }
    }
}

/// tokio#1584: destructors of futures and outputs panic while the scheduler ends.
#[test]
fn panic_in_a_destructor_blocks_shutdown() {
    let scheduler = start(2);
    let handles: Vec<_> = (0..100)
        .map(|_| {
            let guard = OnDrop(|| panic!("{ON_PURPOSE}: a destructor"));
            spawn(&scheduler, async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            })
        })
        .collect();
    run(&scheduler, yield_now());
    close(&scheduler);
    for handle in handles {
        assert!(matches!(block_on(end(handle)), End::Panicked(_)));
    }
}

#[test]
fn a_second_close_finds_nothing_left_to_do() {
    let scheduler = start(2);
    let handles: Vec<_> = (0..100).map(|_| spawn(&scheduler, std::future::pending::<()>())).collect();
    let other = scheduler.clone();
    let beside = std::thread::spawn(move || other.close(common::PATIENCE));
    close(&scheduler);
    assert_eq!(beside.join().unwrap(), []);
    close(&scheduler);
    assert!(scheduler.is_closed());
    for handle in handles {
        assert_eq!(block_on(end(handle)), End::Closed);
    }
    // Each of these calls is made on a closed scheduler.
    assert_eq!((scheduler.live_tasks(), scheduler.tasks()), (0, Vec::<TaskRef>::new()));
    assert_eq!(scheduler.metrics().workers_active, 0);
    assert!(format!("{scheduler:?}").contains("Scheduler"));
}

/// Everything has ended when `close` returns: handles resolve without waiting, and what the tasks
/// held is dropped.
#[test]
fn after_close_everything_has_ended() {
    for round in 0..200 {
        let scheduler = start(1 + round % 2);
        let dropped = Count::new();
        let mut handles: Vec<JoinHandle<End<DropCount>>> = (0..20)
            .map(|_| {
                let counted = dropped.on_drop();
                spawn(&scheduler, async move {
                    std::future::pending::<()>().await;
                    counted
                })
            })
            .collect();
        close(&scheduler);
        assert_eq!(dropped.get(), 20);
        assert!(handles.iter_mut().all(|handle| matches!(handle.try_take(), Some(End::Closed))));
    }
}

#[test]
fn a_task_may_close_its_scheduler() {
    for scheduler in [start(1), start(4), start_without_watchdog(1), start_without_watchdog(4)] {
        let dropped = Count::new();
        let suspended: Vec<_> = (0..10)
            .map(|_| {
                let counted = dropped.on_drop();
                spawn(&scheduler, async move {
                    let _counted = counted;
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        run(&scheduler, yield_now());
        let inner = scheduler.clone();
        let closer = spawn(&scheduler, async move {
            assert_eq!(inner.close(Duration::MAX), []);
            assert_eq!(end(spawn(&inner, async {})).await, End::Closed);
            std::future::pending::<()>().await;
        });
        // The scheduler's handle is dropped at once: no thread outside will close it.
        drop(scheduler);
        assert_eq!(block_on(end(closer)), End::Closed);
        for handle in suspended {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        assert_eq!(dropped.get(), 10);
    }
}

/// A destructor that `close` runs closes the scheduler, with unlimited patience.
#[test]
fn a_destructor_may_close_its_scheduler() {
    let scheduler = start(2);
    let handles: Vec<_> = (0..3)
        .map(|_| {
            let inner = scheduler.clone();
            let guard = OnDrop(move || assert_eq!(inner.close(Duration::MAX), []));
            spawn(&scheduler, async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            })
        })
        .collect();
    run(&scheduler, yield_now());
    assert_eq!(scheduler.close(common::PATIENCE), []);
    for handle in handles {
        assert_eq!(block_on(end(handle)), End::Closed);
    }
}
