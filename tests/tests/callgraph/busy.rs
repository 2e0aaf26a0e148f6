//! What does a call graph show of a task that cannot be probed, and which threads can capture one?

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use selvedge::{Activity, Result, Runner, create_task, get_running_loop, sleep, to_thread};
use selvedge_tests::{LONG, settle};

use crate::{awaiters, functions, graph_of};

/// A capture does not wait for a computation: this one ends only after the capture.
#[selvedge::test(workers = 2)]
async fn a_task_that_runs_is_said_to_run_and_for_how_long() -> Result<()> {
    let (began, has_begun) = async_channel::bounded(1);
    let (end, may_end) = mpsc::channel();
    let busy = create_task(async move {
        began.send(()).await?;
        // On its worker, in the poll.
        may_end.recv()?;
        Ok(())
    });
    has_begun.recv().await?;
    let graph = loop {
        let graph = graph_of(&busy)?;
        match graph.activity() {
            Activity::Running { lasted: Some(_), .. } => break graph,
            // The watchdog visits each worker every millisecond.
            Activity::Running { lasted: None, .. } | Activity::Ready | Activity::Suspended => {
                sleep(Duration::from_millis(1)).await?;
            }
            other => panic!("{other:?}"),
        }
    };
    let Activity::Running { worker, lasted: Some(lasted) } = graph.activity() else {
        unreachable!("see above")
    };
    assert!(worker < get_running_loop()?.metrics().workers.len());
    assert!(
        graph.to_string().contains(&format!("+ Running on worker {worker} for {} ms", lasted.as_millis()))
    );
    assert_eq!(graph.call_stack().len(), 1, "its coroutine, and where it was made");
    end.send(())?;
    busy.await
}

/// Without the watchdog, so that no standby replaces the only worker while it captures.
#[test]
fn a_task_that_has_not_begun_is_ready() {
    let ended = Runner::builder().workers(1).virtual_time(true).watchdog(false).run(async {
        let fresh = create_task(sleep(LONG));
        let graph = graph_of(&fresh)?;
        assert_eq!(graph.activity(), Activity::Ready);
        assert!(graph.to_string().contains("+ Ready to run"), "{graph}");
        settle().await?;
        assert_eq!(graph_of(&fresh)?.activity(), Activity::Suspended);
        fresh.cancel();
        assert_eq!(graph_of(&fresh)?.activity(), Activity::Ready, "it was woken to be told");
        Ok(())
    });
    ended.unwrap();
}

#[test]
fn a_thread_that_is_no_worker_may_ask() {
    let runner = Runner::builder().workers(1).build().unwrap();
    let event_loop = runner.get_loop();
    let awaited = event_loop.create_task(sleep(LONG));
    let handle = awaited.handle();
    let future = event_loop.create_future::<()>();
    let waiter = event_loop.create_task(awaited).named("waiter");
    // Both tasks are suspended when the graph says so. The time limit of the test ends a loop that
    // never ends.
    while awaiters(&graph_of(&handle).unwrap()) != ["waiter"] {
        thread::yield_now();
    }
    assert_eq!(functions(&graph_of(&handle).unwrap())[0], "sleep");
    assert_eq!(handle.get_stack(1)[0].function(), "selvedge::sleep");
    assert_eq!(graph_of(&future).unwrap().activity(), Activity::Suspended);
    let inside = runner.run(async move { to_thread(move || graph_of(&handle)).await? });
    assert_eq!(awaiters(&inside.unwrap()), ["waiter"]);
    drop(waiter);
}

#[test]
fn a_worker_of_another_loop_may_ask() {
    let runner = Runner::builder().workers(1).build().unwrap();
    let task = runner.get_loop().create_task(sleep(LONG));
    let handle = task.handle();
    let other = Runner::builder().workers(1).build().unwrap();
    let activity = other.run(async move {
        loop {
            let graph = graph_of(&handle)?;
            if graph.activity() == Activity::Suspended {
                return Ok(functions(&graph)[0] == "sleep");
            }
        }
    });
    assert!(activity.unwrap());
}

/// The only worker is stuck and there is no watchdog: the capture returns without an answer.
#[test]
fn a_loop_that_is_stuck_is_not_waited_for() {
    let runner = Runner::builder().workers(1).watchdog(false).build().unwrap();
    let (began, has_begun) = mpsc::channel();
    let (end, may_end) = mpsc::channel::<()>();
    let sleeps = runner.get_loop().create_task(sleep(LONG));
    let stuck = runner.get_loop().create_task(async move {
        began.send(())?;
        let _ = may_end.recv();
        Ok(())
    });
    has_begun.recv().unwrap();
    let asked = Instant::now();
    assert_eq!(graph_of(&sleeps).unwrap().activity(), Activity::Unknown);
    assert_eq!(graph_of(&stuck).unwrap().activity(), Activity::Running { worker: 0, lasted: None });
    assert_eq!(stuck.get_stack(None).len(), 1, "its coroutine, and where it was made");
    assert!(asked.elapsed() < LONG, "nobody waited for the worker");
    assert!(graph_of(&sleeps).unwrap().to_string().contains("+ Not asked"));
    drop(end);
    runner.close();
    assert_eq!(graph_of(&sleeps).unwrap().activity(), Activity::Done);
}
