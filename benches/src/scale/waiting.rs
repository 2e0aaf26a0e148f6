//! What does each of many waits for one future or task cost?

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use selvedge::{Future, Task, create_task, get_running_loop, sleep, wait, wait_for};

use super::{CpuTimer, Order, run, runner, settle, timed};

fn poll<F: std::future::Future + Unpin>(all: &mut [F]) {
    let mut cx = Context::from_waker(Waker::noop());
    for each in all {
        assert!(Pin::new(each).poll(&mut cx).is_pending());
    }
}

fn future() -> Future<u32> {
    get_running_loop().expect("a loop runs this").create_future()
}

pub(super) fn arrive(n: usize) -> Duration {
    run(async move {
        let mut awaits = vec![future(); n];
        Ok(timed(|| poll(&mut awaits)))
    })
}

/// `n` awaits that are distributed in turn over so many futures.
fn awaits(n: usize, futures: usize) -> Vec<Future<u32>> {
    let futures: Vec<_> = (0..futures).map(|_| future()).collect();
    let mut awaits: Vec<_> = futures.iter().cycle().take(n).cloned().collect();
    poll(&mut awaits);
    awaits
}

pub(super) fn again(n: usize, futures: usize) -> Duration {
    run(async move {
        let mut awaits = Order::None.arrange(awaits(n, futures));
        Ok(timed(|| poll(&mut awaits)))
    })
}

pub(super) fn leave(n: usize, futures: usize, order: Order) -> Duration {
    run(async move {
        let awaits = order.arrange(awaits(n, futures));
        Ok(timed(|| drop(awaits)))
    })
}

pub(super) fn set(n: usize) -> Duration {
    run(async move {
        let future = future();
        let tasks: Vec<_> = (0..n).map(|_| create_task(future.clone())).collect();
        settle().await?;
        let start = CpuTimer::now();
        future.set_result(1)?;
        settle().await?;
        let lasted = start.elapsed();
        assert!(tasks.iter().all(selvedge::Task::done));
        Ok(lasted)
    })
}

pub(super) fn cancel_future(n: usize) -> Duration {
    run(async move {
        let future = future();
        let tasks: Vec<_> = (0..n).map(|_| create_task(future.clone())).collect();
        settle().await?;
        let start = CpuTimer::now();
        assert!(future.cancel());
        settle().await?;
        let lasted = start.elapsed();
        assert!(tasks.iter().all(selvedge::Task::cancelled));
        Ok(lasted)
    })
}

pub(super) fn time_out(n: usize) -> Duration {
    run(async move {
        // A deadline cancels the future that it waits for. So each block waits for a task that has
        // a clone, behind a shield.
        let future = future();
        let waiting = |_| {
            let mut inner = create_task(future.clone());
            create_task(async move {
                let late = wait_for(inner.shielded(), Duration::from_secs(1)).await;
                assert!(late.is_err_and(|error| error.is_timeout()));
                Ok(())
            })
        };
        let tasks: Vec<_> = (0..n).map(waiting).collect();
        settle().await?;
        let start = CpuTimer::now();
        sleep(Duration::from_secs(2)).await?;
        let lasted = start.elapsed();
        assert!(tasks.iter().all(selvedge::Task::done));
        future.set_result(1)?;
        Ok(lasted)
    })
}

pub(super) fn close(n: usize) -> Duration {
    let runner = runner();
    let future = runner.get_loop().create_future::<u32>();
    let main = async move {
        (0..n).for_each(|_| drop(create_task(future.clone())));
        settle().await
    };
    runner.run(main).expect("it only makes tasks");
    timed(|| runner.close())
}

pub(super) fn future_add(n: usize) -> Duration {
    run(async move {
        let future = future();
        Ok(timed(|| (0..n).for_each(|_| _ = future.add_done_callback(|_| {}))))
    })
}

pub(super) fn future_remove(n: usize, futures: usize, order: Order) -> Duration {
    run(async move {
        let futures: Vec<_> = (0..futures).map(|_| future()).collect();
        let ids = futures.iter().cycle().take(n).map(|future| (future, future.add_done_callback(|_| {})));
        let ids = order.arrange(ids.collect());
        Ok(timed(|| assert!(ids.iter().all(|(future, id)| future.remove_done_callback(*id)))))
    })
}

pub(super) fn future_call(n: usize) -> Duration {
    run(async move {
        let (future, called) = (future(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..n {
            let called = Arc::clone(&called);
            future.add_done_callback(move |_| _ = called.fetch_add(1, Ordering::Relaxed));
        }
        let start = CpuTimer::now();
        future.set_result(1)?;
        settle().await?;
        let lasted = start.elapsed();
        assert_eq!(called.load(Ordering::Relaxed), n);
        Ok(lasted)
    })
}

pub(super) fn task_add(n: usize) -> Duration {
    run(async move {
        let task = create_task(sleep(Duration::MAX));
        Ok(timed(|| (0..n).for_each(|_| _ = task.add_done_callback(|_| {}))))
    })
}

/// Tasks that do not end.
fn tasks(count: usize) -> Vec<Task<()>> {
    (0..count).map(|_| create_task(sleep(Duration::MAX))).collect()
}

pub(super) fn task_remove(n: usize, tasks: usize, order: Order) -> Duration {
    run(async move {
        let tasks = self::tasks(tasks);
        let ids = tasks.iter().cycle().take(n).map(|task| (task, task.add_done_callback(|_| {})));
        let ids = order.arrange(ids.collect());
        Ok(timed(|| assert!(ids.iter().all(|(task, id)| task.remove_done_callback(*id)))))
    })
}

pub(super) fn task_call(n: usize) -> Duration {
    run(async move {
        let (task, called) = (create_task(sleep(Duration::MAX)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..n {
            let called = Arc::clone(&called);
            task.add_done_callback(move |_| _ = called.fetch_add(1, Ordering::Relaxed));
        }
        settle().await?;
        let start = CpuTimer::now();
        task.cancel();
        settle().await?;
        let lasted = start.elapsed();
        assert_eq!(called.load(Ordering::Relaxed), n);
        Ok(lasted)
    })
}

pub(super) fn waits_arrive(n: usize) -> Duration {
    run(async move {
        let task = create_task(sleep(Duration::MAX));
        let mut waits: Vec<_> = (0..n).map(|_| wait([&task])).collect();
        let lasted = timed(|| poll(&mut waits));
        drop(waits);
        Ok(lasted)
    })
}

pub(super) fn waits_leave(n: usize, tasks: usize, order: Order) -> Duration {
    run(async move {
        let tasks = self::tasks(tasks);
        let mut waits: Vec<_> = tasks.iter().cycle().take(n).map(|task| wait([task])).collect();
        poll(&mut waits);
        let waits = order.arrange(waits);
        Ok(timed(|| drop(waits)))
    })
}

pub(super) fn waits_end(n: usize) -> Duration {
    run(async move {
        let task = create_task(sleep(Duration::MAX)).handle();
        let waiting = |_| {
            let task = task.clone();
            create_task(async move { wait([task]).await.map(drop) })
        };
        let tasks: Vec<_> = (0..n).map(waiting).collect();
        settle().await?;
        let start = CpuTimer::now();
        task.cancel();
        settle().await?;
        let lasted = start.elapsed();
        assert!(tasks.iter().all(selvedge::Task::done));
        Ok(lasted)
    })
}

pub(super) fn shields(n: usize) -> Duration {
    run(async move {
        let mut task = create_task(sleep(Duration::MAX));
        Ok(timed(|| (0..n).for_each(|_| poll(&mut [task.shielded()]))))
    })
}
