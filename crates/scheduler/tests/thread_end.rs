//! May values that are left in a thread-local use the scheduler while their thread ends, both
//! before and after the scheduler's own thread-locals are gone?
#![allow(missing_docs)]

mod common;

use std::any::Any;
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{
    Count, End, OnDrop, Signal, block_on, close, end, eventually, run, spawn, start, start_with,
    start_without_watchdog,
};
use selvedge_scheduler::{Config, Scheduler};

thread_local! {
    /// Its items are dropped from the front.
    static LEFT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Leaves values for the end of the calling thread. With `ours_first` they are dropped after the
/// thread's shelf of task cells is gone.
fn leave(scheduler: &Scheduler, ours_first: bool, make: impl FnOnce() -> Vec<Box<dyn Any>>) {
    let touch_ours = || {
        let handle = scheduler.spawn(async { End::Value(()) }, common::NoSlot);
        while !handle.task().is_done() {
            std::thread::yield_now();
        }
    };
    if ours_first {
        // The first to be registered is the last to be destroyed.
        LEFT.with(|_| ());
        touch_ours();
    } else {
        touch_ours();
    }
    LEFT.with_borrow_mut(|left| left.extend(make()));
}

/// Each thing that can be held, with what a destructor may do with it.
fn everything(scheduler: &Scheduler, drops: &Count) -> Vec<Box<dyn Any>> {
    let counted = || drops.on_drop();
    let mut left: Vec<Box<dyn Any>> = Vec::new();
    // The last reference to a task that has ended: its cell is returned here.
    for _ in 0..200 {
        let token = counted();
        let handle = spawn(scheduler, async move { token });
        while !handle.task().is_done() {
            std::thread::yield_now();
        }
        left.push(Box::new(handle));
    }
    let (sender, wakers) = mpsc::channel::<Waker>();
    let token = counted();
    let waits = spawn(scheduler, async move {
        let _token = token;
        poll_fn(|cx| {
            let _ = sender.send(cx.waker().clone());
            Poll::<()>::Pending
        })
        .await;
    });
    let waker = wakers.recv().expect("it is polled");
    left.push(Box::new(OnDrop(move || waker.wake_by_ref())));
    left.push(Box::new(waits.task().clone()));
    left.push(Box::new(waits));
    let (spawner, token) = (scheduler.clone(), drops.clone());
    left.push(Box::new(OnDrop(move || {
        for _ in 0..200 {
            let token = token.on_drop();
            drop(spawn(&spawner, async move { drop(token) }));
        }
        let token = token.on_drop();
        let _ = spawner.spawn_blocking(Box::new(move || drop(token)));
        let _ = (spawner.tasks(), spawner.metrics(), Scheduler::current());
    })));
    left
}

/// How many tasks and tokens `everything` makes.
const MADE: usize = 200 + 1 + 200 + 1;

#[test]
fn a_foreign_thread() {
    for ours_first in [false, true] {
        let (scheduler, drops) = (start(1), Count::new());
        std::thread::scope(|scope| {
            scope.spawn(|| leave(&scheduler, ours_first, || everything(&scheduler, &drops)));
        });
        let is_over = || scheduler.live_tasks() == 1 && drops.get() == MADE - 1;
        eventually("all but the task that waits are gone", is_over);
        close(&scheduler);
        assert_eq!(drops.get(), MADE);
    }
}

#[test]
fn a_thread_of_the_pool() {
    for ours_first in [false, true] {
        let (scheduler, other, drops) = (start(1), start(1), Count::new());
        let (of_job, counted) = (other.clone(), drops.clone());
        let job = move || leave(&of_job, ours_first, || everything(&of_job, &counted));
        scheduler.spawn_blocking(Box::new(job)).expect("threads can be had");
        scheduler.wait_for_blocking(Duration::MAX);
        close(&scheduler);
        eventually("all but the task that waits are gone", || drops.get() == MADE - 1);
        close(&other);
        assert_eq!(drops.get(), MADE);
    }
}

#[test]
fn a_worker() {
    for ours_first in [false, true] {
        let (scheduler, other, drops) = (start(1), start(1), Count::new());
        let (of_task, counted) = (other.clone(), drops.clone());
        run(&scheduler, async move {
            leave(&of_task, ours_first, || everything(&of_task, &counted));
        });
        close(&scheduler);
        eventually("all but the task that waits are gone", || drops.get() == MADE - 1);
        close(&other);
        assert_eq!(drops.get(), MADE);
    }
}

/// A thread belongs to the scheduler until its last destructor has run. `close` on such a thread
/// does not wait, least of all for the thread itself.
#[test]
fn a_destructor_may_close_the_scheduler_of_its_own_thread() {
    let config = || Config { blocking_keep_alive: Duration::from_millis(1), ..Config::default() };
    for on_worker in [false, true] {
        let scheduler = start_with(Config { workers: 1, ..config() });
        let waits = spawn(&scheduler, pending::<()>());
        let (sender, closed) = mpsc::channel();
        let inner = scheduler.clone();
        let leaves = move || {
            let guard = OnDrop(move || {
                inner.close(Duration::MAX);
                let _ = sender.send(());
            });
            LEFT.with_borrow_mut(|left| left.push(Box::new(guard)));
        };
        if on_worker {
            run(&scheduler, async move { leaves() });
            close(&scheduler);
        } else {
            // The thread retires by itself.
            scheduler.spawn_blocking(Box::new(leaves)).expect("threads can be had");
        }
        closed.recv_timeout(Duration::from_secs(20)).expect("it does not wait for itself");
        assert_eq!(block_on(end(waits)), End::Closed);
        close(&scheduler);
    }
    // Another scheduler is waited for, wherever its memory lies.
    let scheduler = start_without_watchdog(1);
    let (other, is_joined) = (start_without_watchdog(1), Count::new());
    let (inner, counted) = (other.clone(), is_joined.clone());
    run(&scheduler, async move {
        let guard = OnDrop(move || {
            assert!(inner.close(Duration::MAX).is_empty());
            counted.add();
        });
        LEFT.with_borrow_mut(|left| left.push(Box::new(guard)));
    });
    close(&scheduler);
    assert_eq!(is_joined.get(), 1);
    assert!(other.is_closed());
}

/// What is left behind at the deadline may be a destructor of a thread-local.
#[test]
fn close_does_not_wait_for_a_destructor_beyond_its_patience() {
    for on_worker in [false, true] {
        let scheduler = start(1);
        let (stuck, release, is_over) = (Signal::new(), Signal::new(), Count::new());
        let (set, wait, over) = (stuck.clone(), release.clone(), is_over.clone());
        let leaves = move || {
            let guard = OnDrop(move || {
                set.set();
                wait.block();
                over.add();
            });
            LEFT.with_borrow_mut(|left| left.push(Box::new(guard)));
        };
        if on_worker {
            run(&scheduler, async move { leaves() });
        } else {
            scheduler.spawn_blocking(Box::new(leaves)).expect("threads can be had");
            scheduler.wait_for_blocking(Duration::MAX);
        }
        // Without the limit it would wait for ever.
        scheduler.close(Duration::from_millis(10));
        stuck.block();
        assert_eq!(is_over.get(), 0);
        release.set();
        eventually("the thread goes on", || is_over.get() == 1);
        // A destructor that ends in time is waited for.
        let (waits, is_over) = (start(1), Count::new());
        let over = is_over.clone();
        run(&waits, async move {
            let guard = OnDrop(move || {
                std::thread::sleep(Duration::from_millis(5));
                over.add();
            });
            LEFT.with_borrow_mut(|left| left.push(Box::new(guard)));
        });
        close(&waits);
        assert_eq!(is_over.get(), 1);
    }
}
