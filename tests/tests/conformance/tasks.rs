//! Do tasks behave as asyncio's: start, cancellation, results, context?

use std::sync::Arc;

use parking_lot::Mutex;
use selvedge::{
    CancelledError, ContextVar, Error, Future, Result, Task, copy_context, create_task, get_running_loop,
    sleep, task,
};

use crate::check::conformance;
use crate::parts::{fail, spiteful};
use crate::trace::{Cell, Trace};
use crate::{me, ms, pause};

static VAR: ContextVar<u32> = ContextVar::new("var");

async fn the_body_starts_when_the_creator_waits(t: Trace) -> Result<()> {
    let task = create_task(async move {
        t.tell("body");
        Ok(())
    });
    t.tell("made");
    task.await
}

async fn every_task_starts_once(t: Trace) -> Result<()> {
    let names = ["nap 0", "nap 1", "nap 2", "nap 3"];
    let tasks = (0..4).zip(names).map(|(n, name)| create_task(t.nap(name, n * 10, n))).collect::<Vec<_>>();
    for task in tasks {
        t.outcome("nap", task).await;
    }
    Ok(())
}

async fn names_are_kept(t: Trace) -> Result<()> {
    let mut task = create_task(pause(1)).named("first");
    t.value("name", task.get_name());
    task.set_name("second");
    (&mut task).await?;
    t.value("name", task.get_name());
    t.value("empty", create_task(pause(1)).named("").get_name());
    Ok(())
}

async fn a_done_task_cannot_be_cancelled(t: Trace) -> Result<()> {
    let task = create_task(t.nap("nap", 10, 1));
    pause(20).await?;
    t.value("cancel", task.cancel());
    t.value("cancelling", task.cancelling());
    t.outcome("task", task).await;
    Ok(())
}

async fn a_sleeping_task_is_cancelled(t: Trace) -> Result<()> {
    let mut task = create_task(pause(60_000));
    pause(10).await?;
    t.value("cancel", task.cancel_with("enough"));
    t.value("cancelling", task.cancelling());
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    t.value("done", task.done());
    Ok(())
}

async fn a_request_is_not_yet_the_end(t: Trace) -> Result<()> {
    let mut task = create_task(t.tidy("task", 10));
    pause(10).await?;
    task.cancel();
    t.value("cancelled", task.cancelled());
    pause(5).await?;
    t.value("done", task.done());
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    Ok(())
}

async fn a_child_cancels_its_parent(t: Trace) -> Result<()> {
    let parent = me();
    let child = create_task(async move {
        pause(10).await?;
        t.value("cancel", parent.cancel_with("from below"));
        Ok(())
    });
    t.outcome("parent", pause(60_000)).await;
    t.outcome("child", child).await;
    Ok(())
}

async fn cancelled_before_the_first_step_the_body_never_runs(t: Trace) -> Result<()> {
    let mut task = create_task(t.nap("body", 1, ()));
    t.value("cancel", task.cancel_with("early"));
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn two_requests_before_one_delivery_deliver_once(t: Trace) -> Result<()> {
    let mut task = create_task(async move {
        t.outcome("first await", pause(60_000)).await;
        t.outcome("second await", pause(10)).await;
        Ok(())
    });
    pause(10).await?;
    task.cancel_with("first");
    task.cancel_with("second");
    t.outcome("task", &mut task).await;
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn a_request_after_a_delivery_is_delivered_too(t: Trace) -> Result<()> {
    let mut task = create_task(async move {
        t.outcome("first await", pause(60_000)).await;
        t.outcome("second await", pause(60_000)).await;
        Ok(())
    });
    pause(10).await?;
    task.cancel_with("first");
    pause(10).await?;
    task.cancel_with("second");
    t.outcome("task", &mut task).await;
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn a_request_reaches_into_clean_up(t: Trace) -> Result<()> {
    let mut task = create_task(t.tidy("task", 50));
    pause(10).await?;
    task.cancel_with("first");
    pause(10).await?;
    task.cancel_with("second");
    t.outcome("task", &mut task).await;
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn a_swallowed_request_is_not_repeated(t: Trace) -> Result<()> {
    let mut task = create_task(async move {
        t.stubborn("body", 60_000, ()).await?;
        pause(10).await?;
        t.tell("rested");
        Ok(5)
    });
    pause(10).await?;
    task.cancel();
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn a_value_returned_after_cancelling_oneself(t: Trace) -> Result<()> {
    let task = create_task(async {
        me().cancel();
        Ok(5)
    });
    pause(10).await?;
    t.value("cancelled", task.cancelled());
    t.outcome("task", task).await;
    Ok(())
}

async fn an_error_raised_after_cancelling_oneself(t: Trace) -> Result<()> {
    let mut task: Task<()> = create_task(async {
        me().cancel();
        Err(Error::msg("mine"))
    });
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    Ok(())
}

async fn a_request_to_oneself_meets_the_next_wait(t: Trace) -> Result<()> {
    let task = create_task(async move {
        me().cancel_with("me");
        t.tell("still running");
        t.outcome("yield", sleep(ms(0))).await;
        t.outcome("sleep", pause(10)).await;
        Ok(())
    });
    t.outcome("task", task).await;
    Ok(())
}

async fn a_ready_await_does_not_take_the_request(t: Trace) -> Result<()> {
    let task = create_task(async move {
        let ready = get_running_loop()?.create_future();
        ready.set_result(1)?;
        me().cancel_with("me");
        t.outcome("ready", ready).await;
        t.outcome("yield", sleep(ms(0))).await;
        Ok(())
    });
    t.outcome("task", task).await;
    Ok(())
}

async fn a_result_and_a_request_in_one_instant(t: Trace) -> Result<()> {
    let future: Future<u32> = get_running_loop()?.create_future();
    let awaited = future.clone();
    let task = create_task(async move {
        t.outcome("future", awaited).await;
        t.outcome("sleep", pause(10)).await;
        Ok(())
    });
    pause(10).await?;
    future.set_result(7)?;
    task.cancel_with("late");
    t.outcome("task", task).await;
    Ok(())
}

async fn a_request_is_passed_on_to_the_awaited_task(t: Trace) -> Result<()> {
    let inner = create_task(t.nap("inner", 60_000, ()));
    let handle = inner.handle();
    let outer = create_task(inner);
    pause(10).await?;
    outer.cancel_with("down");
    t.outcome("outer", outer).await;
    t.value("inner cancelled", handle.cancelled());
    t.value("inner cancelling", handle.cancelling());
    Ok(())
}

async fn a_request_goes_down_a_chain(t: Trace) -> Result<()> {
    fn link(t: Trace, depth: u32) -> Task<()> {
        create_task(async move {
            if depth == 0 { t.nap("last", 60_000, ()).await } else { link(t, depth - 1).await }
        })
    }
    let task = link(t, 5);
    pause(10).await?;
    task.cancel_with("down");
    t.outcome("task", task).await;
    Ok(())
}

async fn one_cancelled_waiter_cancels_the_future_for_all(t: Trace) -> Result<()> {
    let future: Future<()> = get_running_loop()?.create_future();
    let first = create_task(t.told("first", future.clone()));
    let second = create_task(t.told("second", future.clone()));
    pause(10).await?;
    first.cancel_with("both");
    first.await?;
    second.await?;
    t.value("cancelled", future.cancelled());
    Ok(())
}

async fn an_awaited_task_may_absorb_the_request(t: Trace) -> Result<()> {
    let inner = create_task(t.stubborn("inner", 60_000, 3));
    let mut outer = create_task(async move {
        t.outcome("in outer", inner).await;
        pause(10).await?;
        Ok(4)
    });
    pause(10).await?;
    outer.cancel();
    t.outcome("outer", &mut outer).await;
    t.value("cancelled", outer.cancelled());
    t.value("cancelling", outer.cancelling());
    Ok(())
}

async fn an_awaited_task_may_answer_with_an_error(t: Trace) -> Result<()> {
    let inner = create_task(spiteful("spite"));
    let mut outer = create_task(inner);
    pause(10).await?;
    outer.cancel();
    t.outcome("outer", &mut outer).await;
    t.value("cancelled", outer.cancelled());
    Ok(())
}

async fn an_awaited_task_cancelled_by_another(t: Trace) -> Result<()> {
    let inner = create_task(pause(60_000));
    let handle = inner.handle();
    let mut outer = create_task(inner);
    pause(10).await?;
    handle.cancel_with("by another");
    t.outcome("outer", &mut outer).await;
    t.value("cancelled", outer.cancelled());
    t.value("cancelling", outer.cancelling());
    Ok(())
}

async fn a_coroutine_raises_a_cancellation_itself(t: Trace) -> Result<()> {
    let mut task: Task<()> = create_task(async { Err(CancelledError::with_message("own").into()) });
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn a_stubborn_inner_task_is_told_each_time(t: Trace) -> Result<()> {
    let inner = create_task(async move {
        t.stubborn("first", 60_000, ()).await?;
        t.stubborn("second", 60_000, ()).await?;
        Ok(2)
    });
    let handle = inner.handle();
    let outer = create_task(inner);
    pause(10).await?;
    outer.cancel_with("one");
    pause(10).await?;
    outer.cancel_with("two");
    t.outcome("outer", outer).await;
    t.value("inner cancelling", handle.cancelling());
    Ok(())
}

async fn uncancel_counts_down_to_zero(t: Trace) -> Result<()> {
    let task = create_task(t.stubborn("task", 60_000, ()));
    pause(10).await?;
    task.cancel();
    task.cancel();
    t.value("uncancel", task.uncancel());
    t.value("uncancel", task.uncancel());
    t.value("uncancel", task.uncancel());
    t.value("cancelling", task.cancelling());
    pause(10).await?;
    t.value("done", task.done());
    t.value("cancel", task.cancel_with("again"));
    t.outcome("await", task).await;
    Ok(())
}

async fn uncancel_before_delivery_takes_the_request_back(t: Trace) -> Result<()> {
    let task = create_task(async move {
        me().cancel();
        t.value("cancelling", me().cancelling());
        t.value("uncancel", me().uncancel());
        t.outcome("sleep", pause(10)).await;
        Ok(())
    });
    t.outcome("task", task).await;
    Ok(())
}

async fn who_refuses_says_so(t: Trace) -> Result<()> {
    let mut task = create_task(async move {
        t.stubborn("task", 60_000, ()).await?;
        t.value("uncancel", me().uncancel());
        pause(10).await?;
        Ok(1)
    });
    pause(10).await?;
    task.cancel();
    t.outcome("task", &mut task).await;
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn the_result_can_be_read_again(t: Trace) -> Result<()> {
    let task = create_task(t.nap("task", 10, 5));
    let failed = create_task(fail::<()>(10, "same"));
    pause(20).await?;
    for _ in 0..2 {
        t.result("result", &task.result());
        t.result("failed", &failed.result());
    }
    Ok(())
}

async fn a_task_awaited_twice(t: Trace) -> Result<()> {
    let mut task = create_task(t.nap("task", 10, 5));
    t.outcome("first", &mut task).await;
    t.outcome("second", &mut task).await;
    Ok(())
}

async fn exception_tells_how_a_task_ended(t: Trace) -> Result<()> {
    let well = create_task(t.nap("well", 10, ()));
    let failed = create_task(fail::<()>(10, "no"));
    let cancelled = create_task(pause(60_000));
    let pending = create_task(pause(60_000));
    pause(20).await?;
    cancelled.cancel();
    pause(10).await?;
    t.result("well", &well.exception().map(|it| it.is_none()));
    t.result("failed", &failed.exception().map(|it| it.is_none()));
    t.result("cancelled", &cancelled.exception());
    t.result("pending", &pending.exception());
    t.result("pending", &pending.result());
    Ok(())
}

async fn a_task_awaits_itself(t: Trace) -> Result<()> {
    let cell: Cell<Task<()>> = Arc::new(Mutex::new(None));
    let own = Arc::clone(&cell);
    let task = create_task(async move {
        pause(10).await?;
        let itself = own.lock().take().expect("it was put there");
        t.told("itself", itself).await
    });
    let handle = task.handle();
    *cell.lock() = Some(task);
    pause(20).await?;
    t.value("done", handle.done());
    Ok(())
}

async fn the_context_is_copied_at_creation(t: Trace) -> Result<()> {
    VAR.set(1);
    let task = create_task(async move {
        t.value("child sees", VAR.get().unwrap_or(0));
        VAR.set(3);
        Ok(())
    });
    VAR.set(2);
    task.await?;
    t.value("parent sees", VAR.get().unwrap_or(0));
    Ok(())
}

async fn a_given_context_is_used_itself(t: Trace) -> Result<()> {
    let body = || async {
        VAR.set(VAR.get().unwrap_or(0) + 1);
        Ok(())
    };
    VAR.set(5);
    let context = copy_context();
    task::Builder::new().context(context.clone()).create_task(body())?.await?;
    task::Builder::new().context(context.clone()).create_task(body())?.await?;
    t.value("in the context", context.run(|| VAR.get().unwrap_or(0)));
    t.value("outside", VAR.get().unwrap_or(0));
    Ok(())
}

async fn a_plain_await_shares_the_context(t: Trace) -> Result<()> {
    VAR.set(1);
    async {
        VAR.set(9);
    }
    .await;
    t.value("after", VAR.get().unwrap_or(0));
    Ok(())
}

async fn siblings_do_not_see_each_others_values(t: Trace) -> Result<()> {
    let body = |n: u32| async move {
        VAR.set(n);
        pause(10 * u64::from(n)).await?;
        t.value("value", VAR.get().unwrap_or(0));
        Ok(())
    };
    for task in [1, 2, 3].map(|n| create_task(body(n))) {
        task.await?;
    }
    Ok(())
}

async fn a_forgotten_task_that_nobody_can_wake(t: Trace) -> Result<()> {
    let task = create_task(async move { t.told("future", get_running_loop()?.create_future::<()>()).await });
    pause(10).await?;
    drop(task);
    pause(10).await?;
    t.tell("main ends");
    Ok(())
}

async fn a_forgotten_task_goes_on(t: Trace) -> Result<()> {
    drop(create_task(t.nap("forgotten", 10, ())));
    pause(20).await?;
    t.tell("main ends");
    Ok(())
}

async fn an_error_that_nobody_took_is_reported(t: Trace) -> Result<()> {
    let task = create_task(fail::<()>(10, "lost"));
    pause(20).await?;
    t.value("done", task.done());
    drop(task);
    pause(10).await?;
    t.tell("main ends");
    Ok(())
}

async fn an_error_that_was_looked_at_is_not_reported(t: Trace) -> Result<()> {
    let task = create_task(fail::<()>(10, "seen"));
    pause(20).await?;
    t.result("seen", &task.exception().map(|it| it.is_some()));
    drop(task);
    pause(10).await?;
    t.tell("main ends");
    Ok(())
}

conformance! {
    "tasks";
    same: [
        every_task_starts_once, names_are_kept, a_done_task_cannot_be_cancelled, a_sleeping_task_is_cancelled,
        a_child_cancels_its_parent, a_request_after_a_delivery_is_delivered_too,
        a_request_reaches_into_clean_up, a_swallowed_request_is_not_repeated,
        an_error_raised_after_cancelling_oneself, a_request_to_oneself_meets_the_next_wait,
        a_ready_await_does_not_take_the_request, a_request_is_passed_on_to_the_awaited_task,
        a_request_goes_down_a_chain, one_cancelled_waiter_cancels_the_future_for_all,
        an_awaited_task_may_absorb_the_request, an_awaited_task_may_answer_with_an_error,
        an_awaited_task_cancelled_by_another, a_coroutine_raises_a_cancellation_itself,
        a_stubborn_inner_task_is_told_each_time, uncancel_before_delivery_takes_the_request_back,
        who_refuses_says_so, the_result_can_be_read_again, exception_tells_how_a_task_ended,
        a_task_awaits_itself, the_context_is_copied_at_creation, a_given_context_is_used_itself,
        a_plain_await_shares_the_context, siblings_do_not_see_each_others_values, a_forgotten_task_goes_on,
        an_error_that_nobody_took_is_reported, an_error_that_was_looked_at_is_not_reported,
    ]
    alone: [
        the_body_starts_when_the_creator_waits, cancelled_before_the_first_step_the_body_never_runs,
        two_requests_before_one_delivery_deliver_once, a_request_is_not_yet_the_end,
    ]
    better: [
        // The value that the coroutine returned is the result: a result is never lost to a
        // cancellation.
        a_value_returned_after_cancelling_oneself => ["10 cancelled: false", "10 task: 5"],
        // The result was there first; the request is delivered to the next await.
        a_result_and_a_request_in_one_instant => ["10 future: 7", "10 sleep: cancelled late", "10 task: ()"],
        // In CPython the sleep has already received the request. Here the request is taken back
        // before the task has seen it.
        uncancel_counts_down_to_zero => [
            "10 uncancel: 1", "10 uncancel: 0", "10 uncancel: 0", "10 cancelling: 0", "20 done: false",
            "20 cancel: true", "20 task: cancelled again", "20 await: ()",
        ],
        // A result is moved out, not shared.
        a_task_awaited_twice => ["10 task: rested", "10 first: 5", "10 second: invalid state"],
        // The loop owns its tasks, and cancels this one at the end like every other.
        a_forgotten_task_that_nobody_can_wake => ["20 main ends", "20 future: cancelled"],
    ]
    whenever: [
        every_task_starts_once, names_are_kept, a_sleeping_task_is_cancelled, a_child_cancels_its_parent,
        a_request_to_oneself_meets_the_next_wait, a_coroutine_raises_a_cancellation_itself,
        the_context_is_copied_at_creation, a_given_context_is_used_itself,
        siblings_do_not_see_each_others_values, an_error_raised_after_cancelling_oneself,
        uncancel_before_delivery_takes_the_request_back,
    ]
}
