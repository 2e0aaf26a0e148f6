//! Can tasks, their handles and their waiters be used while their thread ends?

use std::future::poll_fn;
use std::sync::mpsc::channel;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use selvedge::{ConcurrentFuture, EventLoop, Task, run_coroutine_threadsafe};

use super::{Case, forever, object, poll_once, wait_for};

pub(super) fn tasks(cases: &mut Vec<Case>) {
    object(
        cases,
        "Task",
        |env| env.live.create_task(forever()),
        |_, task| {
            assert!(task.cancel() && wait_for(task).unwrap_err().is_cancelled());
        },
    );
    object(
        cases,
        "Task with a result",
        |env| {
            let task = env.live.create_task(async { Ok(vec![7; 7]) });
            while !task.done() {
                thread::yield_now();
            }
            task
        },
        |_, task| assert_eq!(wait_for(task).unwrap(), [7; 7]),
    );
    object(
        cases,
        "Task of a closed loop",
        |env| env.closed.create_task(async { Ok(7) }),
        |_, task| assert!(wait_for(task).unwrap_err().is_cancelled()),
    );
    object(
        cases,
        "Task of its own loop",
        |env| env.own.create_task(async { Ok(7) }),
        |_, task| assert!(task.cancel() || task.done()),
    );
    object(
        cases,
        "a hundred Tasks",
        |env| [(); 100].map(|()| env.live.create_task(forever())),
        |_, tasks| {
            for task in tasks {
                task.cancel();
            }
        },
    );
    object(
        cases,
        "TaskHandle",
        |env| env.live.create_task(forever()).handle(),
        |_, handle| {
            handle.set_name("late");
            handle.add_done_callback(|_| ());
            assert!(handle.cancel());
            assert!(format!("{handle:?}").contains("late"));
            drop(handle.clone());
        },
    );
    object(
        cases,
        "waker",
        |env| wakers(&env.live),
        |_, (waker, _task)| {
            waker.wake_by_ref();
            let again = waker.clone();
            waker.wake();
            again.wake();
        },
    );
    object(
        cases,
        "waker of an ended task",
        |env| {
            let (waker, task) = wakers(&env.live);
            task.cancel();
            assert!(wait_for(task).is_err());
            waker
        },
        |_, waker| {
            waker.wake_by_ref();
            let again = waker.clone();
            waker.wake();
            again.wake();
        },
    );
}

pub(super) fn futures(cases: &mut Vec<Case>) {
    object(
        cases,
        "Future",
        |env| env.live.create_future::<u32>(),
        |_, future| {
            future.add_done_callback(|_| ());
            poll_once(future.clone());
            future.set_result(7).unwrap();
            assert_eq!(wait_for(future).unwrap(), 7);
        },
    );
    object(
        cases,
        "Future of a closed loop",
        |env| env.closed.create_future::<u32>(),
        |_, future| {
            future.add_done_callback(|_| ());
            assert!(future.cancel() && wait_for(future).unwrap_err().is_cancelled());
        },
    );
    object(
        cases,
        "ConcurrentFuture",
        |env| run_coroutine_threadsafe(async { Ok(7) }, &env.live),
        |_, future| {
            future.add_done_callback(|_| ()).unwrap();
            assert_eq!(future.result(None).unwrap(), 7);
        },
    );
    object(
        cases,
        "ConcurrentFuture that waits",
        |env| run_coroutine_threadsafe(forever(), &env.live),
        |_, future| {
            assert!(future.result(Duration::from_millis(1)).unwrap_err().is_timeout());
            assert!(future.cancel() && future.exception(None).unwrap_err().is_cancelled());
        },
    );
    object(
        cases,
        "ConcurrentFuture of a closed loop",
        |env| run_coroutine_threadsafe(async { Ok(7) }, &env.closed),
        |_, future: ConcurrentFuture<i32>| {
            assert_eq!(future.result(None).unwrap_err().to_string(), "Event loop is closed");
        },
    );
}

/// A task that waits, and its waker.
fn wakers(event_loop: &EventLoop) -> (Waker, Task<()>) {
    let (sender, receiver) = channel();
    let task = event_loop.create_task(async move {
        poll_fn(|cx| {
            // The receiver is gone when the task is polled again.
            let _ = sender.send(cx.waker().clone());
            Poll::<()>::Pending
        })
        .await;
        Ok(())
    });
    (receiver.recv().expect("it is polled"), task)
}
