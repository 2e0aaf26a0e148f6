//! Do introspection and eager tasks behave as asyncio's?

use selvedge::{
    ContextVar, Coroutine, Error, Result, Task, all_tasks, create_task, current_task, gather,
    get_running_loop, task,
};

use crate::check::conformance;
use crate::trace::Trace;
use crate::{me, pause};

static VAR: ContextVar<u32> = ContextVar::new("var");

fn eager<C: Coroutine>(coro: C) -> Task<C::Item> {
    task::Builder::new().eager_start(true).create_task(coro).expect("scenarios run in a loop")
}

async fn what_never_waits_is_done_at_once(t: Trace) -> Result<()> {
    let task = eager(async move {
        t.tell("body");
        Ok(7)
    });
    t.value("done", task.done());
    t.result("result", &task.result());
    Ok(())
}

async fn it_runs_to_its_first_suspension(t: Trace) -> Result<()> {
    let task = eager(async move {
        t.tell("body");
        pause(10).await?;
        t.tell("body ends");
        Ok(())
    });
    t.tell("made");
    task.await
}

async fn it_is_a_task_of_its_own(t: Trace) -> Result<()> {
    let creator = me();
    let known = creator.clone();
    drop(eager(async move {
        t.value("itself", me() == known);
        Ok(())
    }));
    t.value("creator again", me() == creator);
    Ok(())
}

async fn it_has_a_copied_context(t: Trace) -> Result<()> {
    VAR.set(1);
    drop(eager(async move {
        t.value("sees", VAR.get().unwrap_or(0));
        VAR.set(2);
        Ok(())
    }));
    t.value("creator sees", VAR.get().unwrap_or(0));
    Ok(())
}

async fn its_error_is_stored(t: Trace) -> Result<()> {
    let task = eager(async { Err::<(), _>(Error::msg("stored")) });
    t.value("done", task.done());
    t.told("task", task).await
}

async fn a_finished_one_is_not_listed(t: Trace) -> Result<()> {
    let _task = eager(async { Ok(()) });
    t.value("all tasks", all_tasks().len());
    Ok(())
}

async fn it_is_cancelled_like_any_other(t: Trace) -> Result<()> {
    let task = eager(pause(60_000));
    t.value("cancel", task.cancel_with("why"));
    t.told("task", task).await
}

async fn gathering_what_is_done_does_not_suspend(t: Trace) -> Result<()> {
    let other = create_task(t.nap("other", 1, ()));
    t.outcome("gather", gather([1, 2].map(|n| eager(async move { Ok(n) })))).await;
    t.tell("not suspended");
    other.cancel();
    Ok(())
}

async fn the_current_task_is_the_running_one(t: Trace) -> Result<()> {
    let task = create_task(async { Ok(me()) });
    let handle = task.handle();
    t.value("the child", task.await? == handle);
    t.value("not main", handle != me());
    Ok(())
}

async fn no_task_runs_in_a_callback(t: Trace) -> Result<()> {
    get_running_loop()?.call_soon(move || t.value("none", current_task().is_none()));
    pause(1).await
}

async fn all_tasks_are_those_that_are_not_done(t: Trace) -> Result<()> {
    t.value("main only", all_tasks().len());
    let tasks = [10, 20].map(|n| create_task(pause(n)));
    t.value("before they start", all_tasks().len());
    pause(15).await?;
    t.value("one has ended", all_tasks().len());
    pause(15).await?;
    t.value("both have ended", all_tasks().len());
    t.value("kept", tasks.len());
    Ok(())
}

async fn a_cancelled_task_is_listed_until_it_ends(t: Trace) -> Result<()> {
    let task = create_task(t.tidy("task", 20));
    let handle = task.handle();
    pause(10).await?;
    task.cancel();
    pause(10).await?;
    t.value("listed", all_tasks().contains(&handle));
    t.outcome("task", task).await;
    t.value("listed", all_tasks().contains(&handle));
    Ok(())
}

async fn a_plain_await_stays_in_the_task(t: Trace) -> Result<()> {
    t.value("the same", async { me() }.await == me());
    Ok(())
}

async fn a_task_that_is_over_has_no_stack(t: Trace) -> Result<()> {
    let task = create_task(pause(10));
    pause(5).await?;
    t.value("suspended", !task.get_stack(None).is_empty());
    pause(10).await?;
    t.value("over", !task.get_stack(None).is_empty());
    Ok(())
}

conformance! {
    "eager";
    same: [
        what_never_waits_is_done_at_once, it_runs_to_its_first_suspension, it_is_a_task_of_its_own,
        it_has_a_copied_context, its_error_is_stored, a_finished_one_is_not_listed,
        it_is_cancelled_like_any_other, the_current_task_is_the_running_one,
        no_task_runs_in_a_callback, all_tasks_are_those_that_are_not_done,
        a_cancelled_task_is_listed_until_it_ends, a_plain_await_stays_in_the_task,
        a_task_that_is_over_has_no_stack,
    ]
    alone: [gathering_what_is_done_does_not_suspend]
    better: []
    whenever: [
        what_never_waits_is_done_at_once, it_runs_to_its_first_suspension, its_error_is_stored,
        the_current_task_is_the_running_one,
    ]
}
