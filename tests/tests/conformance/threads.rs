//! Do threads behave as asyncio's: `to_thread`, executors, `run_coroutine_threadsafe`?

use std::sync::mpsc;
use std::thread;

use selvedge::{
    ContextVar, Error, Future, Result, create_task, gather, get_running_loop, run_coroutine_threadsafe,
    to_thread, try_create_task,
};

use crate::check::conformance;
use crate::pause;
use crate::trace::Trace;

static VAR: ContextVar<u32> = ContextVar::new("var");

async fn a_function_in_a_thread(t: Trace) -> Result<()> {
    t.told("to_thread", to_thread(|| 5)).await
}

async fn another_thread_it_is(t: Trace) -> Result<()> {
    let own = thread::current().id();
    t.told("another", to_thread(move || thread::current().id() != own)).await
}

async fn a_failing_function_in_a_thread(t: Trace) -> Result<()> {
    let failed: Result<()> = to_thread(|| Err(Error::msg("in the thread"))).await?;
    t.result("to_thread", &failed);
    Ok(())
}

async fn the_context_goes_along_and_does_not_come_back(t: Trace) -> Result<()> {
    VAR.set(1);
    let body = || {
        let seen = VAR.get().unwrap_or(0);
        VAR.set(2);
        seen
    };
    t.outcome("thread sees", to_thread(body)).await;
    t.value("task sees", VAR.get().unwrap_or(0));
    Ok(())
}

async fn cancelled_while_the_thread_runs(t: Trace) -> Result<()> {
    let (release, released) = mpsc::channel::<()>();
    let started: Future<()> = get_running_loop()?.create_future();
    let starting = started.clone();
    let task = create_task(async move {
        to_thread(move || {
            starting.set_result(()).expect("nobody else sets it");
            let _ = released.recv();
        })
        .await
    });
    started.await?;
    task.cancel_with("enough");
    t.outcome("task", task).await;
    drop(release);
    Ok(())
}

async fn several_threads(t: Trace) -> Result<()> {
    let squares = [0, 1, 2, 3].map(|n| async move { to_thread(move || n * n).await });
    t.told("gather", gather(squares)).await
}

async fn a_function_in_the_default_executor(t: Trace) -> Result<()> {
    t.told("executor", get_running_loop()?.run_in_executor(None, || 5)).await
}

async fn the_executor_carries_no_context(t: Trace) -> Result<()> {
    VAR.set(1);
    t.told("sees", get_running_loop()?.run_in_executor(None, || VAR.get().unwrap_or(0))).await
}

async fn no_loop_runs_in_a_thread(t: Trace) -> Result<()> {
    t.result("loop", &to_thread(get_running_loop).await?);
    Ok(())
}

async fn no_task_is_made_in_a_thread(t: Trace) -> Result<()> {
    t.result("create_task", &to_thread(|| try_create_task(pause(0))).await?);
    Ok(())
}

async fn a_callback_from_a_thread(t: Trace) -> Result<()> {
    let event_loop = get_running_loop()?;
    let called = event_loop.create_future();
    let setter = called.clone();
    to_thread(move || {
        event_loop.call_soon_threadsafe(move || setter.set_result(3).expect("nobody else sets it"));
    })
    .await?;
    t.told("called", called).await
}

async fn a_coroutine_from_a_thread(t: Trace) -> Result<()> {
    let event_loop = get_running_loop()?;
    let body = async move {
        t.tell("in the loop: true");
        Ok(7)
    };
    let result = to_thread(move || run_coroutine_threadsafe(body, &event_loop).result(None)).await?;
    t.result("result", &result);
    Ok(())
}

async fn a_failing_coroutine_from_a_thread(t: Trace) -> Result<()> {
    let event_loop = get_running_loop()?;
    let body = async { Err::<(), _>(Error::msg("in the loop")) };
    let result = to_thread(move || run_coroutine_threadsafe(body, &event_loop).result(None)).await?;
    t.result("result", &result);
    Ok(())
}

async fn a_coroutine_from_a_thread_is_never_running(t: Trace) -> Result<()> {
    let event_loop = get_running_loop()?;
    let gate: Future<u32> = event_loop.create_future();
    to_thread(move || {
        let future = run_coroutine_threadsafe(gate.clone(), &event_loop);
        t.value("running", future.running());
        t.value("done", future.done());
        event_loop.call_soon_threadsafe(move || gate.set_result(1).expect("nobody else sets it"));
        t.result("result", &future.result(None));
        t.value("done", future.done());
        t.value("cancel", future.cancel());
    })
    .await
}

async fn a_task_asked_from_a_thread(t: Trace) -> Result<()> {
    let event_loop = get_running_loop()?;
    t.told("all tasks", to_thread(move || event_loop.all_tasks().len())).await
}

conformance! {
    "threads";
    same: [
        a_function_in_a_thread, another_thread_it_is, a_failing_function_in_a_thread,
        the_context_goes_along_and_does_not_come_back, cancelled_while_the_thread_runs, several_threads,
        a_function_in_the_default_executor, the_executor_carries_no_context, no_loop_runs_in_a_thread,
        no_task_is_made_in_a_thread, a_callback_from_a_thread, a_coroutine_from_a_thread,
        a_failing_coroutine_from_a_thread, a_coroutine_from_a_thread_is_never_running,
        a_task_asked_from_a_thread,
    ]
    alone: []
    better: []
    whenever: [
        a_function_in_a_thread, another_thread_it_is, a_failing_function_in_a_thread,
        the_context_goes_along_and_does_not_come_back, cancelled_while_the_thread_runs, several_threads,
        a_function_in_the_default_executor, the_executor_carries_no_context, no_loop_runs_in_a_thread,
        no_task_is_made_in_a_thread, a_callback_from_a_thread, a_coroutine_from_a_thread,
        a_failing_coroutine_from_a_thread, a_coroutine_from_a_thread_is_never_running,
        a_task_asked_from_a_thread,
    ]
}
