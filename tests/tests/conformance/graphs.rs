//! Does the call graph show the same awaiters as asyncio's?

use std::sync::Arc;

use selvedge::{
    AnyFuture, Future, Result, Task, capture_call_graph, create_task, format_call_graph,
    future_add_to_awaited_by, future_discard_from_awaited_by, gather, get_running_loop, sleep, task_group,
    timeout, to_thread, wait,
};

use crate::check::conformance;
use crate::trace::{Cell, Trace};
use crate::{HOUR, me, pause};

/// The names of the tasks that await `future`.
fn awaiters(future: impl Into<AnyFuture>) -> Result<Vec<String>> {
    let graph = capture_call_graph(Some(future.into()), None)?.expect("it was named");
    let mut names: Vec<_> =
        graph.awaited_by().iter().map(|it| it.future().task().expect("a task waits").get_name()).collect();
    names.sort();
    Ok(names)
}

/// The printed graph without call stacks and without numbers.
fn text(future: &Future<()>) -> Result<Vec<String>> {
    let text = format_call_graph(future, 0)?;
    let lines = text.lines().map(|line| match line.split_once("0x") {
        Some((before, _)) => format!("{before}…)"),
        None => line.to_owned(),
    });
    Ok(lines.collect())
}

fn sleeper() -> Task<()> {
    create_task(sleep(HOUR))
}

async fn cancelled<T: Send + 'static>(task: &Task<T>) -> Result<()> {
    task.cancel();
    wait([task]).await.map(drop)
}

async fn a_task_is_awaited_by_the_one_that_awaits_it(t: Trace) -> Result<()> {
    let inner = sleeper();
    let handle = inner.handle();
    let task = create_task(inner).named("outer");
    pause(5).await?;
    t.value("inner", awaiters(&handle)?);
    t.value("outer", awaiters(&task)?);
    cancelled(&task).await?;
    t.value("after", awaiters(&handle)?);
    Ok(())
}

async fn gathered_tasks_are_awaited(t: Trace) -> Result<()> {
    let (first, second) = (sleeper(), sleeper());
    let handles = [first.handle(), second.handle()];
    let task = create_task(gather((first, second))).named("outer");
    pause(5).await?;
    t.value("first", awaiters(&handles[0])?);
    t.value("second", awaiters(&handles[1])?);
    cancelled(&task).await
}

async fn several_wait_for_one_task(t: Trace) -> Result<()> {
    let inner = sleeper();
    let tasks = ["first", "second"].map(|name| create_task(wait([inner.handle()])).named(name));
    pause(5).await?;
    t.value("inner", awaiters(&inner)?);
    cancelled(&inner).await?;
    wait(tasks).await.map(drop)
}

async fn a_shielded_task_is_awaited_until_its_awaiter_goes(t: Trace) -> Result<()> {
    let inner = sleeper();
    let handle = inner.handle();
    let task = create_task(selvedge::shield(inner)).named("outer");
    pause(5).await?;
    t.value("inner", awaiters(&handle)?);
    cancelled(&task).await?;
    t.value("after", awaiters(&handle)?);
    handle.cancel();
    Ok(())
}

async fn the_tasks_of_a_group_are_awaited_by_its_owner(t: Trace) -> Result<()> {
    let inner = Cell::default();
    let made = Arc::clone(&inner);
    let task = create_task(task_group(async move |tg| {
        *made.lock() = Some(tg.create_task(sleep(HOUR)).handle());
        sleep(HOUR).await
    }))
    .named("owner");
    pause(5).await?;
    t.value("inner", awaiters(inner.lock().take().expect("it was made"))?);
    cancelled(&task).await
}

async fn a_future_is_awaited_by_several(t: Trace) -> Result<()> {
    let future = get_running_loop()?.create_future::<()>();
    let tasks = ["first", "second"].map(|name| create_task(future.clone()).named(name));
    pause(5).await?;
    t.value("future", awaiters(&future)?);
    future.set_result(())?;
    wait(tasks).await?;
    t.value("after", awaiters(&future)?);
    Ok(())
}

async fn a_deadline_does_not_hide_who_awaits(t: Trace) -> Result<()> {
    let inner = sleeper();
    let handle = inner.handle();
    let task = create_task(timeout(HOUR, async |_| inner.await)).named("outer");
    pause(5).await?;
    t.value("inner", awaiters(&handle)?);
    cancelled(&task).await
}

async fn a_callback_has_no_graph(t: Trace) -> Result<()> {
    let done = get_running_loop()?.create_future();
    let ours = done.clone();
    get_running_loop()?.call_soon(move || {
        let graph = capture_call_graph(None, None).expect("it is on a loop");
        let text = format_call_graph(None, None).expect("it is on a loop");
        t.value("callback", graph.is_none() && text.is_empty());
        ours.set_result(()).expect("nobody else sets it");
    });
    done.await
}

async fn outside_of_a_loop_somebody_must_be_named(t: Trace) -> Result<()> {
    to_thread(move || t.result("thread", &capture_call_graph(None, None).map(drop))).await
}

async fn a_task_asks_about_itself(t: Trace) -> Result<()> {
    let graph = capture_call_graph(None, None)?.expect("it runs in a task");
    t.value("itself", graph.future().task() == Some(&me()));
    t.value("stack", !graph.call_stack().is_empty());
    t.value("none", capture_call_graph(None, 0)?.expect("it runs in a task").call_stack().len());
    Ok(())
}

async fn a_graph_without_stacks_as_text(t: Trace) -> Result<()> {
    let future = get_running_loop()?.create_future();
    let reads = create_task(future.clone()).named("reader");
    let task = create_task(async { gather((reads, sleep(HOUR))).await }).named("top");
    pause(5).await?;
    for line in text(&future)? {
        t.tell(line);
    }
    cancelled(&task).await
}

async fn own_primitives_say_who_waits(t: Trace) -> Result<()> {
    let waiter = sleeper().named("waiter");
    let future = get_running_loop()?.create_future::<()>();
    pause(5).await?;
    future_add_to_awaited_by(&future, &waiter);
    future_add_to_awaited_by(&future, &waiter);
    t.value("added", awaiters(&future)?);
    future_discard_from_awaited_by(&future, &waiter);
    future_discard_from_awaited_by(&future, &waiter);
    t.value("discarded", awaiters(&future)?);
    cancelled(&waiter).await
}

conformance! {
    "graphs";
    same: [
        a_task_is_awaited_by_the_one_that_awaits_it, gathered_tasks_are_awaited, several_wait_for_one_task,
        a_shielded_task_is_awaited_until_its_awaiter_goes, the_tasks_of_a_group_are_awaited_by_its_owner,
        a_future_is_awaited_by_several, a_deadline_does_not_hide_who_awaits, a_callback_has_no_graph,
        outside_of_a_loop_somebody_must_be_named, a_task_asks_about_itself, a_graph_without_stacks_as_text,
        own_primitives_say_who_waits,
    ]
    alone: []
    better: []
    whenever: [a_callback_has_no_graph, outside_of_a_loop_somebody_must_be_named, a_task_asks_about_itself]
}
