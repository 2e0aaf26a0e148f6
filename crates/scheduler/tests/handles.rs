//! May a handle be polled, moved and dropped on any thread at any time?
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{
    Count, DropCount, End, OnDrop, Signal, block_on, close, eventually, join, join_all, run, spawn, start,
    waker_of,
};
use parking_lot::Mutex;
use selvedge_scheduler::{JoinHandle, Scheduler};

#[test]
fn a_task_may_drop_the_last_handle_of_another() {
    let scheduler = start(2);
    for done_before in [false, true] {
        let (outputs, go) = (Count::new(), Signal::new());
        let (wait, output) = (go.clone(), outputs.on_drop());
        let other = spawn(&scheduler, async move {
            wait.wait().await;
            output
        });
        if done_before {
            go.set();
            eventually("the task is done", || other.task().is_done());
        }
        run(&scheduler, async move { drop(other) });
        assert_eq!(outputs.get(), usize::from(done_before));
        go.set();
        eventually("the output is dropped", || outputs.get() == 1);
    }
    close(&scheduler);
}

#[test]
fn a_task_may_drop_its_own_handle() {
    let scheduler = start(2);
    let outputs = Count::new();
    for _ in 0..200 {
        let room: Arc<Mutex<Option<JoinHandle<End<DropCount>>>>> = Arc::default();
        let (own, output) = (Arc::clone(&room), outputs.on_drop());
        let mut locked = room.lock();
        *locked = Some(spawn(&scheduler, async move {
            drop(own.lock().take());
            output
        }));
    }
    eventually("all outputs are dropped", || outputs.get() == 200);
    close(&scheduler);
}

/// As `replaced_waker_dropped_under_a_lock`, for handles: the drop of the old waker calls back into
/// the scheduler.
#[test]
fn a_handle_may_be_polled_with_ever_new_wakers_by_ever_new_threads() {
    let scheduler = start(2);
    let (go, dropped, woken) = (Signal::new(), Count::new(), Count::new());
    let wait = go.clone();
    let mut handle = spawn(&scheduler, async move { wait.wait().await });
    let sleeper = spawn(&scheduler, std::future::pending::<()>());
    let make_waker = || -> Waker {
        let task = sleeper.task().clone();
        let (scheduler, dropped, woken) = (scheduler.clone(), dropped.clone(), woken.clone());
        let guard = OnDrop(move || {
            dropped.add();
            task.wake();
            drop(spawn(&scheduler, async {}));
        });
        waker_of(move || {
            let _ = &guard;
            woken.add();
        })
    };
    for _ in 0..50 {
        let waker = make_waker();
        handle = std::thread::spawn(move || {
            assert!(handle.poll_join(&mut Context::from_waker(&waker)).is_pending());
            assert!(handle.poll_join(&mut Context::from_waker(&waker)).is_pending());
            handle
        })
        .join()
        .expect("no panic");
    }
    assert_eq!(dropped.get(), 49, "all but the last");
    go.set();
    eventually("the last waker is woken", || woken.get() == 1);
    block_on(join(handle));
    eventually("the last waker is dropped", || dropped.get() == 50);
    close(&scheduler);
}

/// Polls race with completion: the handle resolves in either order.
#[test]
fn a_waker_swap_races_with_completion() {
    let scheduler = start(2);
    for _ in 0..500 {
        let mut handle = spawn(&scheduler, async { 7 });
        let task_done = Signal::new();
        let noop = waker_of(|| {});
        let waker = waker_of({
            let task_done = task_done.clone();
            move || task_done.set()
        });
        let mut polled = handle.poll_join(&mut Context::from_waker(&noop));
        if polled.is_pending() {
            polled = handle.poll_join(&mut Context::from_waker(&waker));
        }
        let value = match polled {
            Poll::Ready(value) => value,
            Poll::Pending => {
                task_done.block();
                handle.try_take()
            }
        };
        assert_eq!(value, Some(End::Value(7)));
        assert_eq!(handle.poll_join(&mut Context::from_waker(&waker)), Poll::Ready(None), "taken once");
    }
    close(&scheduler);
}

/// Many tasks, some of which have ended, so that pages of both schedulers have been freed and
/// allocated anew.
#[test]
fn a_task_leads_to_its_scheduler_as_long_as_it_lives() {
    let schedulers = [start(1), start(2)];
    for round in 0..3 {
        let signals = [Signal::new(), Signal::new()];
        let handles: Vec<_> = schedulers
            .iter()
            .zip(&signals)
            .map(|(scheduler, signal)| {
                let wait = || {
                    let signal = signal.clone();
                    spawn(scheduler, async move { signal.wait().await })
                };
                (0..1_000).map(|_| wait()).collect::<Vec<_>>()
            })
            .collect();
        for (handles, scheduler) in handles.iter().zip(&schedulers) {
            let is_found = |task| Scheduler::of(task).is_some_and(|found| found.ptr_eq(scheduler));
            assert!(handles.iter().all(|handle| is_found(handle.task())), "round {round}");
        }
        signals.iter().for_each(Signal::set);
        let tasks: Vec<_> = handles.iter().flatten().map(|handle| handle.task().clone()).collect();
        join_all(handles.into_iter().flatten());
        assert!(tasks.iter().all(|task| task.is_done() && Scheduler::of(task).is_none()));
    }
    schedulers.iter().for_each(close);
}
