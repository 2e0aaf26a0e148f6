//! Is every waiting task woken? Futures that are set by hand, calls on threads, deadlines that
//! move, callbacks, and operations that wait for several tasks, as they ship.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::thread;
use selvedge::{
    EventLoop, Future, Result, Task, as_completed, create_task, gather, timeout, to_thread, wait,
};
use selvedge_scheduler::model::{House, Worker};

use crate::support::{Model, drain, loop_house, reached};

static FOUND_SET: AtomicUsize = AtomicUsize::new(0);
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// A foreign thread sets a future while a task checks it and suspends.
pub(super) const FUTURE_SET_VS_AWAIT: Model =
    Model::new("future_set_vs_await", "a future is set while a task begins to wait for it", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let future = event_loop.create_future();
        let task = event_loop.create_task(future.clone());
        let setter = thread::spawn(move || future.set_result(7).expect("set once"));
        assert!(worker.turn());
        reached(if task.done() { &FOUND_SET } else { &TOLD });
        while !task.done() {
            assert!(worker.turn());
        }
        setter.join().expect("no panic");
        assert_eq!(*task.result().expect("it was set"), 7);
    })
    .finds(&["future-looks-before-its-lock"])
    .reaches(|| vec![("it was set already", &FOUND_SET), ("it was set later", &TOLD)]);

/// A task has started another one, which ends on another worker while `awaits` begins to wait for
/// it.
fn while_a_child_ends<F>(awaits: impl FnOnce(Task<u32>) -> F + Send + 'static)
where
    F: std::future::Future<Output = Result<u32>> + Send + 'static,
{
    loom::stop_exploring();
    let (house, event_loop): (House, EventLoop) = loop_house(2, false);
    let here: Worker = house.reserve(0).sit();
    let gate: Future<()> = event_loop.create_future();
    let opened = gate.clone();
    let waits = event_loop.create_task(async move {
        let child = create_task(async { Ok(7) });
        opened.await?;
        awaits(child).await
    });
    assert!(here.turn());
    let child = here.pop().expect("the child");
    gate.set_result(()).expect("set once");
    let there = house.reserve(1);
    loom::explore();
    let elsewhere = thread::spawn(move || {
        let there = there.sit();
        there.poll(child);
        while let Some(right) = there.pop() {
            there.poll(right);
        }
    });
    here.poll(here.pop().expect("woken by the gate"));
    elsewhere.join().expect("no panic");
    drain(&house, &here);
    assert!(waits.done(), "it was not told");
    assert_eq!(*waits.result().expect("the child's value"), 7);
}

/// `gather` checks its only child, stores its waker and checks again, while the child ends.
pub(super) const GATHER_VS_CHILD_EXIT: Model =
    Model::new("gather_vs_child_exit", "a child ends while its gathering begins to wait", || {
        while_a_child_ends(|child| async {
            let [value] = gather([child]).await?;
            Ok(value)
        });
    })
    .finds(&["gather-looks-once", "watch-though-complete"]);

/// `wait` registers for a task's end while the task ends.
pub(super) const WAIT_VS_CHILD_EXIT: Model =
    Model::new("wait_vs_child_exit", "a task ends while somebody asks to be told of it", || {
        while_a_child_ends(|child| async {
            let (mut done, _) = wait([child]).await?;
            done.remove(0).await
        });
    })
    .finds(&["watch-though-complete"]);

/// `as_completed` checks the task, stores its waker and checks again, while the task ends.
pub(super) const COMPLETED_VS_CHILD_EXIT: Model = Model::new(
    "completed_vs_child_exit",
    "a task ends while somebody begins to wait for the next that does",
    || {
        while_a_child_ends(|child| async { as_completed([child]).next().await.expect("there is one") });
    },
)
.finds(&["completed-looks-once", "watch-though-complete"]);

/// A call ends on a thread of the pool while the task that made the call begins to wait.
pub(super) const CALL_VS_AWAIT: Model =
    Model::new("call_vs_await", "a call on a thread ends while a task begins to wait for it", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let task = event_loop.create_task(to_thread(|| 7));
        while !task.done() {
            assert!(worker.turn());
        }
        assert_eq!(*task.result().expect("the call's value"), 7);
        drop(worker);
        house.scheduler().close(Duration::MAX);
    })
    .finds(&["job-looks-before-its-lock"]);

/// The deadline of a block moves to a time that has passed while the block begins to wait.
pub(super) const DEADLINE_MOVES_VS_AWAIT: Model = Model::new(
    "deadline_moves_vs_await",
    "a deadline is moved from outside while its block begins to wait",
    || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let never = event_loop.create_future::<u32>();
        let task = event_loop.create_task(timeout(None, move |deadline| {
            thread::spawn(move || deadline.reschedule(Duration::ZERO).expect("the block has not ended"));
            never
        }));
        while !task.done() {
            assert!(worker.turn());
        }
        assert!(task.result().is_err_and(|error| error.is_timeout()));
    },
)
.finds(&["timeout-reads-before-its-lock"]);

/// A task ends while a foreign thread adds a callback to it.
pub(super) const CALLBACK_VS_COMPLETE: Model =
    Model::new("callback_vs_complete", "a task ends while a callback is added to it", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let task = event_loop.create_task(async { Ok(7) });
        let calls = Arc::new(AtomicUsize::new(0));
        let (handle, counts) = (task.handle(), Arc::clone(&calls));
        let asks = thread::spawn(move || {
            handle.add_done_callback(move |task| {
                assert!(task.done());
                reached(&counts);
            });
        });
        assert!(worker.turn());
        asks.join().expect("no panic");
        drain(&house, &worker);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    })
    .finds(&["watch-though-complete"]);

/// A future is set while a foreign thread adds a callback to it.
pub(super) const CALLBACK_VS_SET: Model =
    Model::new("callback_vs_set", "a future is set while a callback is added to it", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let future = event_loop.create_future();
        let sets = future.clone();
        let setter = thread::spawn(move || sets.set_result(7).expect("set once"));
        let calls = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&calls);
        future.add_done_callback(move |outcome| {
            assert!(matches!(outcome, Ok(7)));
            reached(&counts);
        });
        setter.join().expect("no panic");
        drain(&house, &worker);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    })
    .finds(&["callback-though-done"]);
