//! What do changes of the call graph cost, which records the task that each task awaits?

use std::time::Duration;

use selvedge::{
    capture_call_graph, create_task, future_add_to_awaited_by, future_discard_from_awaited_by,
    get_running_loop, sleep,
};

use super::{CpuTimer, Order, run, settle, timed};

/// Times `n` awaits that are recorded in the graph, or their removal from it.
pub(super) fn told(n: usize, is_taken_back: bool) -> Duration {
    run(async move {
        let future = get_running_loop()?.create_future::<u32>();
        let waiters: Vec<_> = (0..n).map(|_| create_task(sleep(Duration::MAX)).handle()).collect();
        let say = || waiters.iter().for_each(|waiter| future_add_to_awaited_by(&future, waiter));
        if !is_taken_back {
            return Ok(timed(say));
        }
        say();
        let waiters = Order::None.arrange(waiters);
        let take_back = |waiter| future_discard_from_awaited_by(&future, waiter);
        Ok(timed(|| waiters.iter().for_each(take_back)))
    })
}

pub(super) fn capture(n: usize) -> Duration {
    run(async move {
        let future = get_running_loop()?.create_future::<u32>();
        (0..n).for_each(|_| drop(create_task(future.clone())));
        settle().await?;
        let start = CpuTimer::now();
        let graph = capture_call_graph(&future, 0)?.expect("it was named");
        let lasted = start.elapsed();
        assert!(!graph.awaited_by().is_empty());
        Ok(lasted)
    })
}

pub(super) fn capture_wait(n: usize) -> Duration {
    run(async move {
        let tasks: Vec<_> = (0..n).map(|_| create_task(sleep(Duration::MAX)).handle()).collect();
        let first = tasks[0].clone();
        drop(create_task(async move { selvedge::wait(tasks).await.map(drop) }));
        settle().await?;
        let start = CpuTimer::now();
        let graph = capture_call_graph(&first, 0)?.expect("it was named");
        let lasted = start.elapsed();
        assert_eq!(graph.awaited_by().len(), 1);
        Ok(lasted)
    })
}
