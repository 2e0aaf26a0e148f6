//! Does each wake lead to a poll, cost at most one poll, and work from any thread at any time?
#![allow(missing_docs)]
#![expect(clippy::waker_clone_wake, reason = "a wake by value is what is tested")]

mod common;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use common::{
    Count, DropCount, End, Signal, block_on, close, end, eventually, join, run, spawn, spawn_eager_here,
    spawn_here, spawn_with, start, start_without_watchdog, yield_now,
};
use parking_lot::Mutex;
use selvedge_scheduler::{JoinHandle, Scheduler, Slot, TaskRef};

struct CountedSlot(#[expect(dead_code, reason = "counts its drop")] DropCount);

impl Slot for CountedSlot {
    type ForHandle = ();

    fn completed(&self, _: &TaskRef) {}
}

/// A task that never ends by itself, and the waker that it was polled with.
fn sleeper(scheduler: &Scheduler, polls: &Count, cells: &Count) -> (JoinHandle<End<()>>, Waker) {
    let (polled, polls) = (Arc::new(Mutex::new(None)), polls.clone());
    let room = Arc::clone(&polled);
    let future = poll_fn(move |cx| {
        *room.lock() = Some(cx.waker().clone());
        polls.add();
        Poll::<()>::Pending
    });
    let handle = spawn_with(scheduler, future, CountedSlot(cells.on_drop()));
    let mut waker = None;
    eventually("the first poll", || {
        waker = polled.lock().take();
        waker.is_some()
    });
    (handle, waker.expect("just seen"))
}

/// Relaxed on purpose: what a thread wrote before its wake must be visible to the poll, even if the
/// wake is merged into an earlier one (tokio#7632).
#[test]
fn coalesced_wakes_publish_what_was_written_before_them() {
    const WAKES: usize = 5_000;
    for workers in [1, 2, 4] {
        let scheduler = start(workers);
        let (polls, written) = (Count::new(), Arc::new(AtomicUsize::new(0)));
        let (sender, wakers) = std::sync::mpsc::channel::<Waker>();
        let (counted, seen) = (polls.clone(), Arc::clone(&written));
        let task = spawn(
            &scheduler,
            poll_fn(move |cx| {
                counted.add();
                let _ = sender.send(cx.waker().clone());
                if seen.load(Ordering::Relaxed) == 2 * WAKES { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
        let waker = wakers.recv().expect("the first poll");
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (waker, written) = (waker.clone(), Arc::clone(&written));
                thread::spawn(move || {
                    for _ in 0..WAKES {
                        written.fetch_add(1, Ordering::Relaxed);
                        waker.wake_by_ref();
                    }
                })
            })
            .collect();
        block_on(join(task));
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(polls.get() <= 1 + 2 * WAKES, "a wake costs at most one poll");
        close(&scheduler);
    }
}

/// However often a task wakes itself during a poll, it is polled once more; if it does not wake
/// itself, it is not polled again.
#[test]
fn wakes_are_counted_exactly() {
    let scheduler = start_without_watchdog(1);
    let waking: [fn(&Waker); 5] = [
        |waker| waker.wake_by_ref(),
        |waker| waker.clone().wake(),
        |waker| (0..10).for_each(|_| waker.wake_by_ref()),
        |waker| (0..10).for_each(|_| waker.clone().wake()),
        |waker| {
            let waker = waker.clone();
            thread::spawn(move || (0..10).for_each(|_| waker.wake_by_ref())).join().unwrap();
        },
    ];
    for wake in waking {
        let polls = Count::new();
        let counted = polls.clone();
        let future = poll_fn(move |cx| {
            if counted.add() == 1 {
                wake(cx.waker());
            }
            Poll::<()>::Pending
        });
        let task = spawn(&scheduler, future);
        // First in, first out: when these tasks have run, the task under test has had its turns.
        for _ in 0..3 {
            run(&scheduler, yield_now());
        }
        assert_eq!(polls.get(), 2);
        // The only worker runs the task that wakes, so both wakes come before the poll.
        let of_task = task.task().clone();
        run(&scheduler, async move {
            of_task.wake();
            of_task.wake();
        });
        run(&scheduler, yield_now());
        assert_eq!(polls.get(), 3);
    }
    close(&scheduler);
}

#[test]
fn a_storm_on_one_task_leaves_no_reference_behind() {
    let scheduler = start(2);
    let (polls, cells) = (Count::new(), Count::new());
    let (handle, waker) = sleeper(&scheduler, &polls, &cells);
    let threads: Vec<_> = (0..4)
        .map(|seed: usize| {
            let waker = waker.clone();
            thread::spawn(move || {
                let mut held = vec![waker];
                for step in 0..5_000 {
                    match (step * 7 + seed) % 5 {
                        0 | 1 => held.push(held[0].clone()),
                        2 if held.len() > 1 => held.pop().expect("more than one").wake(),
                        3 if held.len() > 1 => drop(held.pop()),
                        _ => held[0].wake_by_ref(),
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let before = polls.get();
    waker.wake_by_ref();
    eventually("a wake after the storm", || polls.get() > before);
    close(&scheduler);
    assert_eq!(block_on(end(handle)), End::Closed);
    // The future held a waker of its own, which was dropped with it.
    assert_eq!(cells.get(), 0);
    drop(waker);
    assert_eq!(cells.get(), 1);
}

#[test]
fn wakers_may_outlive_the_scheduler() {
    let (polls, cells) = (Count::new(), Count::new());
    let scheduler = start(2);
    let mut all: Vec<_> = (0..100).map(|_| sleeper(&scheduler, &polls, &cells)).collect();
    close(&scheduler);
    let polled = polls.get();
    for (_, waker) in &all {
        waker.wake_by_ref();
    }
    drop(scheduler);
    for (handle, waker) in &mut all {
        waker.wake_by_ref();
        waker.clone().wake();
        assert_eq!(block_on(poll_fn(|cx| handle.poll_join(cx))), Some(End::Closed));
    }
    let (handles, wakers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    drop(handles);
    assert_eq!((polls.get(), cells.get()), (polled, 0));
    thread::spawn(move || wakers.into_iter().for_each(Waker::wake)).join().unwrap();
    assert_eq!(cells.get(), 100);
}

#[test]
fn threads_wake_while_the_scheduler_closes() {
    for round in 0..60 {
        let scheduler = start(1 + round % 3);
        let (polls, cells, stop) = (Count::new(), Count::new(), Arc::new(AtomicBool::new(false)));
        let (handles, wakers): (Vec<_>, Vec<_>) = (0..4).map(|_| sleeper(&scheduler, &polls, &cells)).unzip();
        let wakers = Arc::new(wakers);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (wakers, stop) = (Arc::clone(&wakers), Arc::clone(&stop));
                thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        wakers.iter().for_each(Waker::wake_by_ref);
                    }
                })
            })
            .collect();
        close(&scheduler);
        drop(scheduler);
        for handle in handles {
            assert_eq!(block_on(end(handle)), End::Closed);
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
        drop(wakers);
        eventually("the cells are freed", || cells.get() == 4);
    }
}

/// A task of one scheduler is woken by a task of another: it must be queued at its own scheduler.
#[test]
fn tasks_stay_with_their_scheduler() {
    let (here, there) = (start(2), start(2));
    let go = Signal::new();
    let wait = go.clone();
    let of_there = there.clone();
    let task = spawn(&there, async move {
        for _ in 0..100 {
            yield_now().await;
        }
        wait.wait().await;
        Scheduler::with_current(|current| current.expect("on a worker").ptr_eq(&of_there))
    });
    let inner = there.clone();
    let spawned = run(&here, async move {
        go.set();
        let of_inner = inner.clone();
        let is_of_inner =
            async move { Scheduler::with_current(|current| current.expect("on a worker").ptr_eq(&of_inner)) };
        join(spawn(&inner, is_of_inner)).await
    });
    assert!(block_on(join(task)) && spawned);
    close(&here);
    close(&there);
}

/// A task starts an eager child inside its poll. During the child's poll the child is the current
/// task, and afterwards the outer task is again.
#[test]
fn a_poll_inside_a_poll_keeps_both_tasks_apart() {
    struct Nested(u32);
    impl Future for Nested {
        type Output = u32;
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
            let outer = TaskRef::current().expect("in a poll");
            self.0 += 1;
            if self.0 == 3 {
                return Poll::Ready(3);
            }
            cx.waker().wake_by_ref();
            let waker = cx.waker().clone();
            let inner = async move {
                assert_ne!(TaskRef::current(), Some(outer));
                // This changes the state of the outer task, which is not the current one now.
                waker.wake();
            };
            drop(spawn_eager_here(inner));
            Poll::Pending
        }
    }
    let scheduler = start(2);
    assert_eq!(run(&scheduler, async { join(spawn_here(Nested(0))).await }), 3);
    close(&scheduler);
}
