//! Bugs that other runtimes shipped, each under a name and with the number of its report. More of them stand where they belong:
//! wakers in `wake.rs`, queues in `fairness.rs`, threads in `pool.rs`, stuck workers in `rescue.rs`.
#![allow(missing_docs)]

mod common;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use common::{
    Count, End, ON_PURPOSE, OnDrop, PATIENCE, Signal, block_on, close, end, eventually, join, join_all, run,
    spawn, spawn_here, start, start_with, start_without_rescue, waker_of, yield_now,
};
use selvedge_scheduler::{Config, Scheduler, TaskRef, Timer};

fn now() -> u64 {
    Scheduler::with_current(|scheduler| scheduler.expect("on a worker").now())
}

async fn sleep(nanos: u64) {
    let deadline = now() + nanos;
    let mut timer = Timer::new();
    poll_fn(|cx| timer.poll(deadline, cx)).await.expect("on a worker");
    assert!(now() >= deadline, "never early");
}

/// tokio#525: a push while the last worker goes to sleep.
#[test]
fn lost_wakeup_in_the_pool() {
    for workers in [1, 2, 4] {
        for scheduler in [start(workers), start_without_rescue(workers)] {
            for n in 0..2_000 {
                assert_eq!(block_on(join(spawn(&scheduler, async move { n }))), n);
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

/// RUSTSEC-2021-0072: a future is dropped by its runner, never by the thread that ends it while it is polled.
#[test]
fn abort_drops_on_the_wrong_thread() {
    let scheduler = start_without_rescue(2);
    let (polled, release) = (Signal::new(), Signal::new());
    let (set, wait) = (polled.clone(), release.clone());
    let dropped = Arc::new(Mutex::new(None));
    let room = Arc::clone(&dropped);
    let in_poll = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&in_poll);
    let guard = OnDrop(move || {
        assert!(!flag.load(Ordering::SeqCst), "dropped during its poll");
        *room.lock().unwrap() = Some(thread::current().id());
    });
    let worker = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&worker);
    let handle = spawn(
        &scheduler,
        poll_fn(move |_| {
            let _ = &guard;
            in_poll.store(true, Ordering::SeqCst);
            *seen.lock().unwrap() = Some(thread::current().id());
            set.set();
            wait.block();
            in_poll.store(false, Ordering::SeqCst);
            Poll::<()>::Pending
        }),
    );
    polled.block();
    let left = scheduler.close(Duration::from_millis(50));
    assert_eq!(left, [handle.task().clone()]);
    assert_eq!(*dropped.lock().unwrap(), None);
    release.set();
    assert_eq!(block_on(end(handle)), End::Closed);
    assert_eq!(*dropped.lock().unwrap(), *worker.lock().unwrap());
}

/// tokio#2046: what is dropped at the end wakes others that are being dropped, spawns, and looks around.
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
                    let all = tasks.lock().unwrap().clone();
                    all.iter().for_each(TaskRef::wake);
                    refused.lock().unwrap().push(spawn(&closed, async {}));
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
        *tasks.lock().unwrap() = handles.iter().map(|handle| handle.task().clone()).collect();
        run(&scheduler, yield_now());
        close(&scheduler);
        for handle in handles {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        assert_eq!(dropped.get(), 100);
        for handle in refused.lock().unwrap().drain(..) {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        tasks.lock().unwrap().clear();
    }
}

/// tokio#3869: what waits in the queues of stuck workers when the end comes.
#[test]
fn queued_tasks_lost_at_shutdown() {
    for workers in [1, 2, 4] {
        let scheduler = start_without_rescue(workers);
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
                        handles.lock().unwrap().push(spawn_here(async move { drop(counted) }));
                    }
                    stuck.add();
                    release.block();
                })
            })
            .collect();
        eventually("all workers are stuck", || stuck.get() == workers);
        for _ in 0..200 {
            let counted = dropped.on_drop();
            handles.lock().unwrap().push(spawn(&scheduler, async move { drop(counted) }));
        }
        let closing = scheduler.clone();
        let closer = thread::spawn(move || closing.close(PATIENCE));
        let handles = std::mem::take(&mut *handles.lock().unwrap());
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

/// tokio#5429, for timers: the old waker's drop comes back to the wheel.
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

/// tokio#2119: the end is bounded although a poll is not, and names the task.
#[test]
fn shutdown_while_a_worker_blocks() {
    for patience in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(50)] {
        for scheduler in [start(1), start_without_rescue(2)] {
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
            // Also those that nobody holds up.
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

/// tokio#6682: timers are armed on all workers while others fire.
#[test]
fn timer_not_fired_because_next_wake_was_updated_after_unlock() {
    for scheduler in [start(4), start_without_rescue(4)] {
        let tasks: Vec<_> = (0..200u64)
            .map(|n| {
                spawn(&scheduler, async move {
                    for step in 0..20 {
                        sleep((n * 7919 + step * 104_729) % 400_000).await;
                    }
                })
            })
            .collect();
        join_all(tasks);
        assert_eq!(scheduler.metrics().timers_armed, 0);
        close(&scheduler);
    }
}

/// A task that sleeps for `nanos`: where it armed its timer, and when that is due.
fn spawn_sleeper(scheduler: &Scheduler, nanos: u64, fired: &Signal) -> (usize, u64) {
    let fired = fired.clone();
    let (sender, place) = std::sync::mpsc::channel();
    let mut deadline = None;
    let mut timer = Timer::new();
    let future = poll_fn(move |cx| {
        let deadline = *deadline.get_or_insert_with(|| now() + nanos);
        let polled = timer.poll(deadline, cx);
        if polled.is_pending() {
            let _ = sender.send((Scheduler::current_worker().expect("on a worker"), deadline));
        } else {
            fired.set();
        }
        polled.map(Result::unwrap)
    });
    drop(spawn(scheduler, future));
    place.recv().expect("polled")
}

/// Never rests until the timer has fired, which is to be soon.
async fn busy_until(fired: Signal, deadline: u64) {
    while !fired.is_set() {
        let late = Duration::from_nanos(now().saturating_sub(deadline));
        assert!(late < Duration::from_millis(150), "{late:?} late");
        yield_now().await;
    }
}

/// golang#45716: a timer lies in the wheel of a spare that has gone home, and the only worker never rests.
#[test]
fn timer_lost_when_the_worker_count_shrinks() {
    let scheduler = start(1);
    let (stuck, release) = (Signal::new(), Signal::new());
    let (set, wait) = (stuck.clone(), release.clone());
    let blocker = spawn(&scheduler, async move {
        set.set();
        wait.block();
    });
    stuck.block();
    let fired = Signal::new();
    let (place, deadline) = spawn_sleeper(&scheduler, 200_000_000, &fired);
    assert!(place >= 1, "armed by a spare");
    release.set();
    let busy = spawn(&scheduler, busy_until(fired.clone(), deadline));
    block_on(join(blocker));
    block_on(join(busy));
    close(&scheduler);
}

/// The same the other way round: the timer lies in the wheel of a worker that is stuck, and the spare never rests.
#[test]
fn timer_held_hostage_by_a_stuck_worker() {
    let scheduler = start(1);
    let fired = Signal::new();
    let (place, deadline) = spawn_sleeper(&scheduler, 50_000_000, &fired);
    assert_eq!(place, 0);
    let (stuck, release) = (Signal::new(), fired.clone());
    let set = stuck.clone();
    let blocker = spawn(&scheduler, async move {
        set.set();
        release.block();
    });
    stuck.block();
    let busy = spawn(&scheduler, busy_until(fired, deadline));
    block_on(join(busy));
    block_on(join(blocker));
    close(&scheduler);
}

/// And without rescue: one worker sleeps beside its timer; the other one, which waited for both, runs a poll that does not end.
#[test]
fn timer_forgotten_when_its_driver_gets_busy() {
    let scheduler = start_without_rescue(2);
    for round in 0..200 {
        let fired = Signal::new();
        spawn_sleeper(&scheduler, 3_000_000, &fired);
        for _ in 0..round % 4 {
            run(&scheduler, yield_now());
        }
        run(&scheduler, async move { fired.block() });
    }
    close(&scheduler);
}

/// A rescue must come although all workers slept a moment ago, and the watch with them.
#[test]
fn watch_asleep_while_a_worker_gets_stuck() {
    let scheduler = start_with(Config { workers: 2, ..Config::default() });
    for round in 0..40 {
        // About as long as the watch stays awake beside workers that rest.
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
