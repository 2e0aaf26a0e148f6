//! Which tasks does a call graph show as awaiters, for each way to wait?

use selvedge::{
    Result, Task, TaskHandle, as_completed, create_task, gather, get_running_loop, sleep, task_group,
    timeout, wait, wait_for,
};
use selvedge_tests::{LONG, settle};

use crate::{awaiters, graph_of};

fn sleeper() -> Task<()> {
    create_task(sleep(LONG))
}

/// Starts `waits` as a task named `waiter`, lets it suspend, and returns the tasks that await
/// `awaited`.
async fn told<F>(awaited: &TaskHandle, waits: F) -> Result<Vec<String>>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let waiter = create_task(waits).named("waiter");
    settle().await?;
    let graph = graph_of(awaited)?;
    // A finished task has no awaiters.
    awaited.cancel();
    settle().await?;
    assert!(graph_of(awaited)?.awaited_by().is_empty());
    waiter.cancel();
    settle().await?;
    Ok(awaiters(&graph))
}

/// A test for one way to wait for a task.
macro_rules! is_an_edge {
    ($($name:ident: |$task:ident| $waits:expr;)+) => {
        $(
            #[selvedge::test(workers = 1, virtual_time)]
            async fn $name() -> Result<()> {
                #[allow(unused_mut, reason = "some ways borrow it")]
                let mut $task = sleeper();
                let handle = $task.handle();
                assert_eq!(told(&handle, async move { $waits }).await?, ["waiter"]);
                Ok(())
            }
        )+
    };
}

is_an_edge! {
    an_await_is_an_edge: |task| task.await;
    an_await_of_a_borrow_is_an_edge: |task| (&mut task).await;
    a_gathering_is_an_edge: |task| gather([sleeper(), task]).await.map(drop);
    a_gathering_of_errors_is_an_edge: |task| gather((task, async { Ok(1) })).return_exceptions().await.map(drop);
    a_wait_is_an_edge: |task| wait([task]).await.map(drop);
    a_wait_for_references_is_an_edge: |task| wait([&task]).await.map(drop);
    a_wait_for_handles_is_an_edge: |task| wait([task.handle(), sleeper().handle()]).await.map(drop);
    a_shield_is_an_edge: |task| selvedge::shield(task).await;
    a_shielded_borrow_is_an_edge: |task| task.shielded().await;
    a_result_that_comes_is_an_edge: |task| as_completed([sleeper(), task]).next().await.expect("two are left");
    a_deadline_does_not_hide_an_edge: |task| wait_for(task, LONG).await;
    a_timeout_does_not_hide_an_edge: |task| timeout(LONG, async |_| task.await).await;
    an_await_in_a_group_is_an_edge: |task| task_group(async |_| task.await).await;
    an_await_beside_another_is_an_edge: |task| futures_util::try_join!(sleep(LONG), task).map(drop);
}

/// As in asyncio, the tasks of a group are awaited by its owner from the start, whatever the body does.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_group_awaits_its_tasks() -> Result<()> {
    for body_waits in [true, false] {
        let (give, get) = async_channel::bounded(1);
        let owner = create_task(task_group(async move |tg| {
            give.send(tg.create_task(sleep(LONG)).handle()).await?;
            if body_waits { sleep(LONG).await } else { Ok(()) }
        }))
        .named("owner");
        settle().await?;
        assert_eq!(awaiters(&graph_of(get.recv().await?)?), ["owner"], "{body_waits}");
        drop(owner);
    }
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn whoever_awaits_a_future_is_an_edge() -> Result<()> {
    let future = get_running_loop()?.create_future::<u32>();
    let other = get_running_loop()?.create_future::<u32>();
    let awaits = |name| create_task(future.clone()).named(name);
    let (first, second) = (awaits("first"), awaits("second"));
    settle().await?;
    assert_eq!(awaiters(&graph_of(&future)?), ["first", "second"]);
    assert!(graph_of(&other)?.awaited_by().is_empty(), "nobody awaits this one");
    future.set_result(1)?;
    assert!(graph_of(&future)?.awaited_by().is_empty());
    assert_eq!((first.await?, second.await?), (1, 1));
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn the_graph_goes_on_to_those_who_await_the_awaiters() -> Result<()> {
    let innermost = sleeper();
    let handle = innermost.handle();
    let left = create_task(innermost).named("left");
    let seen = handle.clone();
    let right = create_task(async move { wait([seen]).await.map(drop) }).named("right");
    let top = create_task(async { gather((left, right)).await.map(drop) }).named("top");
    settle().await?;
    let graph = graph_of(&handle)?;
    assert_eq!(awaiters(&graph), ["left", "right"]);
    for awaiter in graph.awaited_by() {
        assert_eq!(awaiters(awaiter), ["top"], "{graph}");
        assert!(awaiter.awaited_by()[0].awaited_by().is_empty() && !awaiter.is_cut());
    }
    drop(top);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_circle_is_shown_once_and_said_to_be_one() -> Result<()> {
    let (give, get) = async_channel::bounded::<Task<()>>(1);
    let first = create_task(async move { get.recv().await?.await }).named("first");
    let handle = first.handle();
    give.send(create_task(first).named("second")).await?;
    settle().await?;
    let graph = graph_of(&handle)?;
    assert_eq!(awaiters(&graph), ["second"]);
    let again = &graph.awaited_by()[0].awaited_by()[0];
    assert_eq!(again.future().task(), Some(&handle));
    assert!(again.is_cut() && again.awaited_by().is_empty());
    assert!(graph.to_string().ends_with("+ Awaited by: see above"), "{graph}");
    handle.cancel();
    Ok(())
}

/// If every task of a layer waits for every task of the next one, there are too many paths to show
/// them all.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_graph_of_very_many_ways_ends() -> Result<()> {
    let mut layer = vec![sleeper().handle()];
    let first = layer[0].clone();
    for _ in 0..20 {
        let below = layer.clone();
        layer = (0..3).map(|_| create_task(wait(below.clone())).handle()).collect();
    }
    settle().await?;
    let graph = graph_of(&first)?;
    assert!(graph.to_string().contains("* and others"));
    Ok(())
}

/// A chain has no limit on its depth.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_long_chain_is_shown() -> Result<()> {
    let first = sleeper();
    let handle = first.handle();
    let mut last = first;
    for _ in 0..100 {
        last = create_task(last);
    }
    settle().await?;
    let mut graph = &graph_of(&handle)?;
    let mut depth = 0;
    while let [above] = graph.awaited_by() {
        (graph, depth) = (above, depth + 1);
    }
    assert_eq!(depth, 100);
    drop(last);
    Ok(())
}
