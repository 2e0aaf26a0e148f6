//! Does `wait_for` behave as asyncio's?

use std::time::Duration;

use selvedge::{ContextVar, Future, Result, create_task, get_running_loop, sleep, wait_for};

use crate::check::conformance;
use crate::parts::{fail, spiteful};
use crate::trace::Trace;
use crate::{HOUR, me, ms, pause};

static VAR: ContextVar<u32> = ContextVar::new("var");

async fn it_runs_in_the_callers_task_and_context(t: Trace) -> Result<()> {
    let caller = me();
    let body = async {
        t.value("same task", me() == caller);
        VAR.set(3);
        Ok(())
    };
    VAR.set(1);
    t.outcome("wait_for", wait_for(body, HOUR)).await;
    t.value("sees", VAR.get().unwrap_or(0));
    Ok(())
}

async fn in_time(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(t.nap("nap", 10, 1), ms(20))).await
}

async fn too_late(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(t.nap("nap", 30, 1), ms(20))).await
}

async fn an_error_in_time(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(fail::<()>(10, "no"), ms(20))).await
}

async fn without_a_timeout(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(t.nap("nap", 10_000, 1), None)).await
}

async fn no_time_and_a_done_task(t: Trace) -> Result<()> {
    let task = create_task(t.nap("task", 10, 1));
    pause(20).await?;
    t.told("wait_for", wait_for(task, Duration::ZERO)).await
}

async fn no_time_and_a_failed_task(t: Trace) -> Result<()> {
    let task = create_task(fail::<()>(10, "no"));
    pause(20).await?;
    t.told("wait_for", wait_for(task, Duration::ZERO)).await
}

async fn no_time_and_a_pending_task(t: Trace) -> Result<()> {
    let mut task = create_task(t.nap("task", 60_000, ()));
    pause(10).await?;
    t.outcome("wait_for", wait_for(&mut task, Duration::ZERO)).await;
    t.value("cancelled", task.cancelled());
    Ok(())
}

async fn no_time_and_a_coroutine(t: Trace) -> Result<()> {
    let body = async move {
        t.tell("started");
        Ok(1)
    };
    t.told("wait_for", wait_for(body, Duration::ZERO)).await
}

async fn hardly_any_time_is_enough_for_what_never_waits(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(async { Ok(1) }, Duration::from_nanos(1))).await
}

async fn it_waits_for_clean_up(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(t.tidy("body", 30), ms(10))).await
}

async fn it_waits_for_a_tasks_clean_up(t: Trace) -> Result<()> {
    let mut task = create_task(t.tidy("task", 30));
    t.outcome("wait_for", wait_for(&mut task, ms(10))).await;
    t.value("cancelled", task.cancelled());
    Ok(())
}

async fn a_value_in_spite_of_the_deadline(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(t.stubborn("body", 60_000, 5), ms(10))).await
}

async fn an_error_in_answer_to_the_deadline(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(spiteful("spite"), ms(10))).await
}

async fn cancelled_by_a_third_party(t: Trace) -> Result<()> {
    let inner = create_task(pause(60_000));
    let handle = inner.handle();
    get_running_loop()?.call_later(ms(10), move || {
        handle.cancel();
    });
    t.told("wait_for", wait_for(inner, ms(50))).await
}

async fn cancelled_from_outside(t: Trace) -> Result<()> {
    let task = create_task(wait_for(t.nap("body", 60_000, ()), HOUR));
    pause(10).await?;
    task.cancel_with("outer");
    t.told("task", task).await
}

async fn cancelled_from_outside_and_swallowed(t: Trace) -> Result<()> {
    let task = create_task(async move {
        t.outcome("wait_for", wait_for(t.stubborn("body", 60_000, 5), HOUR)).await;
        t.outcome("sleep", pause(10)).await;
        Ok(())
    });
    pause(10).await?;
    task.cancel_with("outer");
    t.told("task", task).await
}

async fn the_result_and_the_deadline_in_one_instant(t: Trace) -> Result<()> {
    t.told("wait_for", wait_for(sleep(ms(20)).returning(1), ms(20))).await
}

async fn the_result_and_a_request_in_one_instant(t: Trace) -> Result<()> {
    let future: Future<u32> = get_running_loop()?.create_future();
    let awaited = future.clone();
    let task = create_task(async move {
        t.outcome("wait_for", wait_for(awaited, HOUR)).await;
        t.outcome("sleep", pause(10)).await;
        Ok(())
    });
    pause(10).await?;
    future.set_result(1)?;
    task.cancel_with("late");
    task.await
}

async fn a_shielded_task_outlives_the_deadline(t: Trace) -> Result<()> {
    let mut task = create_task(t.nap("task", 30, 1));
    t.outcome("wait_for", wait_for(task.shielded(), ms(10))).await;
    t.told("task", task).await
}

async fn the_inner_of_two_deadlines(t: Trace) -> Result<()> {
    let inner = t.told("inner", wait_for(pause(60_000), ms(10)));
    t.told("outer", wait_for(inner, ms(50))).await
}

async fn the_outer_of_two_deadlines(t: Trace) -> Result<()> {
    let body = async move { wait_for(t.nap("body", 60_000, ()), ms(50)).await };
    t.told("outer", wait_for(body, ms(10))).await
}

conformance! {
    "deadlines";
    same: [
        it_runs_in_the_callers_task_and_context, in_time, too_late, an_error_in_time, without_a_timeout,
        no_time_and_a_done_task, no_time_and_a_failed_task, no_time_and_a_pending_task,
        hardly_any_time_is_enough_for_what_never_waits, it_waits_for_clean_up, it_waits_for_a_tasks_clean_up,
        a_value_in_spite_of_the_deadline, an_error_in_answer_to_the_deadline, cancelled_by_a_third_party,
        cancelled_from_outside, cancelled_from_outside_and_swallowed, a_shielded_task_outlives_the_deadline,
        the_inner_of_two_deadlines, the_outer_of_two_deadlines,
    ]
    alone: []
    better: [
        // A deadline that has passed still polls once: an operation that need not wait succeeds.
        no_time_and_a_coroutine => ["0 started", "0 wait_for: 1"],
        // A ready result wins over a deadline.
        the_result_and_the_deadline_in_one_instant => ["20 wait_for: 1"],
        // It also wins over a request, which is delivered to the next await.
        the_result_and_a_request_in_one_instant => ["10 wait_for: 1", "10 sleep: cancelled late"],
    ]
    whenever: [
        an_error_in_answer_to_the_deadline, a_value_in_spite_of_the_deadline, the_inner_of_two_deadlines,
        it_waits_for_clean_up,
    ]
}
