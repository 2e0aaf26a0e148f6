//! Is whoever awaits told? Futures that are set by hand, and what waits for several tasks, as they ship.

use std::sync::atomic::AtomicUsize;

use loom::thread;
use selvedge::{EventLoop, Future, Result, Task, create_task, gather, wait};
use selvedge_scheduler::model::{House, Worker};

use crate::support::{Model, drain, loop_house, reached};

static FOUND_SET: AtomicUsize = AtomicUsize::new(0);
static TOLD: AtomicUsize = AtomicUsize::new(0);

/// A future is set by a foreign thread while a task looks at it and lies down.
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

/// A task that has started another one, which ends on another worker while `awaits` begins to wait for it.
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

/// A gathering looks, leaves its waker and looks again while its only child ends.
pub(super) const GATHER_VS_CHILD_EXIT: Model =
    Model::new("gather_vs_child_exit", "a child ends while its gathering begins to wait", || {
        while_a_child_ends(|child| async {
            let [value] = gather([child]).await?;
            Ok(value)
        });
    })
    .finds(&["gather-looks-once", "watch-though-complete"]);

/// `wait` asks to be told while the task ends.
pub(super) const WAIT_VS_CHILD_EXIT: Model =
    Model::new("wait_vs_child_exit", "a task ends while somebody asks to be told of it", || {
        while_a_child_ends(|child| async {
            let (mut done, _) = wait([child]).await?;
            done.remove(0).await
        });
    })
    .finds(&["watch-though-complete"]);
