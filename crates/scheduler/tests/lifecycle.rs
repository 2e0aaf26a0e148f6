//! Whatever user code does: is each future and output dropped exactly once, does each handle
//! resolve, and do the workers live on?
#![allow(missing_docs)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use common::{
    Count, DropCount, End, Grenade, ON_PURPOSE, OnDrop, Signal, assert_all_workers_live, block_on, close,
    end, eventually, join, run, spawn, spawn_eager_here, spawn_here, spawn_with, start,
    start_without_watchdog, waker_of, yield_now,
};
use parking_lot::Mutex;
use selvedge_scheduler::{JoinHandle, Slot, TaskRef};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    Well,
    InPoll,
    InFutureDrop,
    InOutputDrop,
}

#[derive(Clone, Copy, Debug)]
enum Handle {
    Joined,
    DetachedBefore,
    DetachedAfter,
}

/// What a task ends with.
struct Output(Ends, #[expect(dead_code, reason = "counts its drop")] DropCount);

impl Drop for Output {
    fn drop(&mut self) {
        assert!(self.0 != Ends::InOutputDrop, "{ON_PURPOSE}: the drop of an output");
    }
}

/// Waits for the signal, yields once, and ends.
struct Subject {
    ends: Ends,
    go: Signal,
    yielded: bool,
    outputs: Count,
    _future: DropCount,
}

impl Future for Subject {
    type Output = End<Output>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.go.poll(cx).is_pending() {
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.yielded, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        assert!(self.ends != Ends::InPoll, "{ON_PURPOSE}: a poll");
        Poll::Ready(End::Value(Output(self.ends, self.outputs.on_drop())))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        assert!(self.ends != Ends::InFutureDrop, "{ON_PURPOSE}: the drop of a future");
    }
}

/// How many outputs the subject creates.
fn outputs_of(ends: Ends) -> usize {
    usize::from(ends != Ends::InPoll)
}

fn check_joined(ends: Ends, handle: JoinHandle<End<Output>>) {
    match (ends, block_on(end(handle))) {
        (Ends::InOutputDrop, End::Value(output)) => {
            catch_unwind(AssertUnwindSafe(|| drop(output))).expect_err("its drop panics");
        }
        // The text is formatted, so the payload is a `String`, which `End` shows as "?".
        (Ends::Well, End::Value(_)) | (Ends::InPoll | Ends::InFutureDrop, End::Panicked(_)) => {}
        _ => panic!("{ends:?}: a wrong end"),
    }
}

#[test]
fn every_way_to_end_with_every_handle() {
    for workers in [1, 2, 4] {
        let scheduler = start_without_watchdog(workers);
        for ends in [Ends::Well, Ends::InPoll, Ends::InFutureDrop, Ends::InOutputDrop] {
            for how in [Handle::Joined, Handle::DetachedBefore, Handle::DetachedAfter] {
                let (futures, outputs, slots, go) = (Count::new(), Count::new(), Count::new(), Signal::new());
                let subject = Subject {
                    ends,
                    go: go.clone(),
                    yielded: false,
                    outputs: outputs.clone(),
                    _future: futures.on_drop(),
                };
                let handle = scheduler.spawn(subject, CountedSlot(slots.on_drop()));
                let task = handle.task().clone();
                match how {
                    Handle::Joined => {
                        go.set();
                        check_joined(ends, handle);
                    }
                    Handle::DetachedBefore => {
                        drop(handle);
                        go.set();
                    }
                    Handle::DetachedAfter => {
                        go.set();
                        eventually("the task is done", || task.is_done());
                        assert_eq!(
                            outputs.get(),
                            usize::from(ends == Ends::InFutureDrop),
                            "kept for the handle"
                        );
                        drop(handle);
                    }
                }
                eventually("the task is done", || task.is_done());
                let counts = (futures.get(), outputs.get(), slots.get());
                assert_eq!(counts, (1, outputs_of(ends), 0), "{workers} {ends:?} {how:?}");
                drop(task);
                eventually("the cell is freed", || slots.get() == 1);
                assert_all_workers_live(&scheduler, workers);
            }
        }
        close(&scheduler);
    }
}

/// The data of a handle.
#[derive(Default)]
struct Data {
    counts: Option<DropCount>,
    panics: bool,
}

impl Drop for Data {
    fn drop(&mut self) {
        assert!(!self.panics, "{ON_PURPOSE}: the drop of a handle's data");
    }
}

struct SlotWithData(#[expect(dead_code, reason = "counts its drop")] DropCount);

impl Slot for SlotWithData {
    type ForHandle = Data;

    fn completed(&self, _: &TaskRef) {}
}

/// When the handle is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dropped {
    WhileTaskWaits,
    OnceTaskIsDone,
    OnceOutputIsTaken,
}

/// A handle's data is dropped once, when the handle is dropped, and before the cell is freed, on
/// whatever threads that is.
#[test]
fn the_data_of_a_handle_ends_with_the_handle() {
    let scheduler = start_without_watchdog(2);
    for when in [Dropped::WhileTaskWaits, Dropped::OnceTaskIsDone, Dropped::OnceOutputIsTaken] {
        for (moves, panics) in [(false, false), (false, true), (true, false), (true, true)] {
            let (data, slots, go) = (Count::new(), Count::new(), Signal::new());
            let wait = go.clone();
            let body = async move {
                wait.wait().await;
                End::Value(())
            };
            let mut handle = scheduler.spawn(body, SlotWithData(slots.on_drop()));
            assert!(handle.data().counts.is_none(), "it begins with its default");
            *handle.data() = Data { counts: Some(data.on_drop()), panics };
            let waker = waker_of(|| {});
            assert!(handle.poll_join(&mut Context::from_waker(&waker)).is_pending());
            if when != Dropped::WhileTaskWaits {
                go.set();
                eventually("the task is done", || handle.task().is_done());
            }
            let counts = data.clone();
            let finish = move || {
                if when == Dropped::OnceOutputIsTaken {
                    assert_eq!(handle.try_take(), Some(End::Value(())));
                }
                assert!(handle.data().counts.is_some() && counts.get() == 0, "it is still there");
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(handle)));
                assert_eq!((dropped.is_err(), counts.get()), (panics, 1));
            };
            if moves {
                std::thread::spawn(finish).join().expect("no panic");
            } else {
                finish();
            }
            go.set();
            eventually("the cell is freed", || slots.get() == 1);
            assert_eq!(data.get(), 1, "{when:?}");
            assert_all_workers_live(&scheduler, 2);
        }
    }
    close(&scheduler);
}

struct CountedSlot(#[expect(dead_code, reason = "counts its drop")] DropCount);

impl Slot for CountedSlot {
    type ForHandle = ();

    fn completed(&self, _: &TaskRef) {}
}

/// Counts its calls, and panics in each; its drop panics too.
struct PanickySlot(Count);

impl Slot for PanickySlot {
    type ForHandle = ();

    fn completed(&self, task: &TaskRef) {
        assert!(task.is_done());
        self.0.add();
        panic!("{ON_PURPOSE}: completed");
    }
}

impl Drop for PanickySlot {
    fn drop(&mut self) {
        panic!("{ON_PURPOSE}: the drop of a slot");
    }
}

#[test]
fn completion_is_told_once_and_its_panic_stays_there() {
    let scheduler = start_without_watchdog(2);
    for watched in [false, true] {
        for detached in [false, true] {
            let (calls, go) = (Count::new(), Signal::new());
            let wait = go.clone();
            let slot = PanickySlot(calls.clone());
            let handle = spawn_with(&scheduler, async move { wait.wait().await }, slot);
            let task = handle.task().clone();
            if watched {
                assert!(!task.watch_completion());
                assert!(!task.watch_completion());
            }
            let handle = (!detached).then_some(handle);
            go.set();
            if let Some(handle) = handle {
                block_on(join(handle));
            }
            eventually("the call", || task.is_done() && calls.get() == usize::from(watched));
            assert!(task.watch_completion(), "too late");
            drop(task);
            assert_all_workers_live(&scheduler, 2);
            assert_eq!(calls.get(), usize::from(watched));
        }
    }
    close(&scheduler);
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    let scheduler = start_without_watchdog(2);
    let go = Signal::new();
    let wait = go.clone();
    let mut handle = spawn(&scheduler, async move { wait.wait().await });
    let bombs = Count::new();
    let exploding = bombs.clone();
    let bomb = OnDrop(move || {
        exploding.add();
        panic!("{ON_PURPOSE}: the drop of a waker");
    });
    let waker = waker_of(move || {
        let _ = &bomb;
        std::panic::panic_any(Grenade);
    });
    assert!(handle.poll_join(&mut Context::from_waker(&waker)).is_pending());
    // The task's copy is the last one: its drop panics inside the scheduler.
    drop(waker);
    go.set();
    eventually("the task is done", || handle.task().is_done());
    assert_eq!(handle.try_take(), Some(End::Value(())));
    drop(handle);
    eventually("the task's copy is dropped", || bombs.get() == 1);
    assert_all_workers_live(&scheduler, 2);
    close(&scheduler);
}

#[test]
fn a_destructor_may_spawn_and_wake() {
    for workers in [1, 2, 4] {
        let scheduler = start(workers);
        let (woken, spawned) = (Signal::new(), Count::new());
        let sleeper = spawn(&scheduler, {
            let woken = woken.clone();
            async move { woken.wait().await }
        });
        let spawned_by_drop = spawned.clone();
        let guard = OnDrop(move || {
            let count = spawned_by_drop.clone();
            drop(spawn_here(async move { count.add() }));
            woken.set();
        });
        run(&scheduler, async move {
            yield_now().await;
            let _guard = guard;
        });
        block_on(join(sleeper));
        eventually("the destructor's task ran", || spawned.get() == 1);
        close(&scheduler);
    }
}

#[test]
fn an_eager_task_is_polled_inside_the_call() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let order = Arc::clone(&order);
        move |text| order.lock().push(text)
    };
    let scheduler = start(2);
    run(&scheduler, async move {
        let inner = log.clone();
        let handle = spawn_eager_here(async move {
            inner("first poll");
            yield_now().await;
            std::panic::panic_any(ON_PURPOSE);
        });
        log("spawned");
        let ended = end(handle).await;
        assert!(matches!(ended, End::Panicked(_)));
    });
    assert_eq!(*order.lock(), ["first poll", "spawned"]);
    close(&scheduler);
}

/// A cell that is being freed is no longer the current task: the destructor of its slot, which is
/// foreign code, must not get a reference to it.
#[test]
fn the_destructor_of_a_slot_finds_no_current_task() {
    struct AsksInDrop(std::sync::mpsc::Sender<bool>);
    impl selvedge_scheduler::Slot for AsksInDrop {
        type ForHandle = ();

        fn completed(&self, _: &selvedge_scheduler::TaskRef) {}
    }
    impl Drop for AsksInDrop {
        fn drop(&mut self) {
            let _ = self.0.send(selvedge_scheduler::TaskRef::current().is_some());
        }
    }
    let scheduler = common::start(1);
    let (sender, told) = std::sync::mpsc::channel();
    drop(scheduler.spawn(async { common::End::Value(1) }, AsksInDrop(sender)));
    assert_eq!(told.recv(), Ok(false));
    scheduler.close(std::time::Duration::from_secs(20));
}
