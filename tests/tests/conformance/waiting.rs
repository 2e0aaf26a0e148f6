//! Do `wait` and `as_completed` behave as asyncio's?

use selvedge::{
    FIRST_COMPLETED, FIRST_EXCEPTION, Result, Task, as_completed, create_task, get_running_loop, wait,
};

use crate::check::conformance;
use crate::parts::fail;
use crate::trace::Trace;
use crate::{ms, pause};

impl Trace {
    fn sizes<W>(self, (done, pending): &(Vec<W>, Vec<W>)) {
        self.value("sizes", (done.len(), pending.len()));
    }
}

async fn nothing_cannot_be_waited_for(t: Trace) -> Result<()> {
    t.outcome("wait", wait(Vec::<Task<()>>::new())).await;
    Ok(())
}

async fn a_task_given_twice_counts_once(t: Trace) -> Result<()> {
    let task = create_task(t.nap("task", 10, ()));
    t.sizes(&wait([&task, &task]).await?);
    Ok(())
}

async fn wait_never_raises_what_tasks_do(t: Trace) -> Result<()> {
    let [failed, well] = [create_task(fail(10, "no")), create_task(t.nap("nap", 20, ()))];
    t.sizes(&wait([&failed, &well]).await?);
    t.outcome("failed", failed).await;
    t.outcome("well", well).await;
    Ok(())
}

async fn wait_is_no_retrieval(t: Trace) -> Result<()> {
    let task = create_task(fail::<()>(10, "lost"));
    wait([&task]).await?;
    t.tell("waited");
    drop(task);
    pause(1).await
}

async fn wait_with_a_timeout_returns_what_is_there(t: Trace) -> Result<()> {
    let tasks = [create_task(t.nap("nap 10", 10, ())), create_task(t.nap("nap 30", 30, ()))];
    t.sizes(&wait(tasks).timeout(ms(20)).await?);
    pause(20).await
}

async fn wait_with_a_timeout_cancels_nobody(t: Trace) -> Result<()> {
    let task = create_task(t.nap("nap", 20, 1));
    t.sizes(&wait([&task]).timeout(ms(10)).await?);
    t.outcome("task", task).await;
    Ok(())
}

async fn wait_without_time_returns(t: Trace) -> Result<()> {
    let task = create_task(pause(60_000));
    t.sizes(&wait([task]).timeout(ms(0)).await?);
    Ok(())
}

async fn wait_without_time_sees_what_is_done(t: Trace) -> Result<()> {
    let task = create_task(t.nap("nap", 10, ()));
    pause(20).await?;
    t.sizes(&wait([task]).timeout(ms(0)).await?);
    Ok(())
}

async fn first_completed(t: Trace) -> Result<()> {
    let tasks = [
        create_task(t.nap("nap 30", 30, ())),
        create_task(t.nap("nap 10", 10, ())),
        create_task(t.nap("nap 20", 20, ())),
    ];
    let second = tasks[1].handle();
    let sets = wait(tasks).return_when(FIRST_COMPLETED).await?;
    t.sizes(&sets);
    t.value("the second", sets.0.iter().any(|task| task.handle() == second));
    pause(30).await
}

async fn first_completed_counts_a_cancelled_one(t: Trace) -> Result<()> {
    let tasks = [create_task(t.nap("nap 30", 30, ())), create_task(t.nap("nap 40", 40, ()))];
    pause(10).await?;
    tasks[0].cancel();
    t.sizes(&wait(tasks).return_when(FIRST_COMPLETED).await?);
    pause(40).await
}

async fn first_completed_with_one_done_already(t: Trace) -> Result<()> {
    let tasks = [create_task(t.nap("nap 10", 10, ())), create_task(t.nap("nap 40", 40, ()))];
    pause(20).await?;
    t.sizes(&wait(tasks).return_when(FIRST_COMPLETED).await?);
    pause(30).await
}

async fn first_exception(t: Trace) -> Result<()> {
    let tasks = [create_task(t.nap("nap", 10, ())), create_task(fail(20, "no")), create_task(pause(30))];
    t.sizes(&wait(&tasks).return_when(FIRST_EXCEPTION).await?);
    let [_, failed, _] = tasks;
    t.outcome("failed", failed).await;
    Ok(())
}

async fn first_exception_is_no_cancellation(t: Trace) -> Result<()> {
    let tasks = [create_task(pause(60_000)), create_task(t.nap("nap", 30, ()))];
    pause(10).await?;
    tasks[0].cancel();
    t.sizes(&wait(tasks).return_when(FIRST_EXCEPTION).await?);
    Ok(())
}

async fn first_exception_with_none_waits_for_all(t: Trace) -> Result<()> {
    let tasks = [create_task(t.nap("nap 10", 10, ())), create_task(t.nap("nap 20", 20, ()))];
    t.sizes(&wait(tasks).return_when(FIRST_EXCEPTION).await?);
    Ok(())
}

async fn first_exception_with_one_failed_already(t: Trace) -> Result<()> {
    let tasks = [create_task(fail(10, "no")), create_task(pause(60_000))];
    pause(20).await?;
    t.sizes(&wait(&tasks).return_when(FIRST_EXCEPTION).await?);
    let [failed, _] = tasks;
    t.outcome("failed", failed).await;
    Ok(())
}

async fn a_cancelled_wait_cancels_nobody(t: Trace) -> Result<()> {
    let inner = create_task(t.nap("inner", 30, ()));
    let handle = inner.handle();
    let task = create_task(async move { wait([handle]).await.map(drop) });
    pause(10).await?;
    task.cancel_with("outer");
    t.outcome("task", task).await;
    t.outcome("inner", inner).await;
    Ok(())
}

async fn results_as_they_come(t: Trace) -> Result<()> {
    let mut results = as_completed([t.nap("a", 30, 1), t.nap("b", 10, 2), t.nap("c", 20, 3)]);
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    Ok(())
}

async fn of_nothing_nothing_comes(t: Trace) -> Result<()> {
    let mut results = as_completed(Vec::<Task<()>>::new());
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    t.tell("end");
    Ok(())
}

async fn done_ones_come_first(t: Trace) -> Result<()> {
    let done = create_task(t.nap("done", 10, 1));
    pause(20).await?;
    let mut results = as_completed([create_task(t.nap("later", 10, 2)), done]);
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    Ok(())
}

async fn errors_come_in_their_turn(t: Trace) -> Result<()> {
    let mut results = as_completed([
        create_task(t.nap("a", 30, 1)),
        create_task(fail(10, "b")),
        create_task(t.nap("c", 20, 3)),
    ]);
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    Ok(())
}

async fn cancelled_ones_come_in_their_turn(t: Trace) -> Result<()> {
    let task = create_task(async {
        pause(60_000).await?;
        Ok(1)
    });
    let handle = task.handle();
    get_running_loop()?.call_later(ms(10), move || {
        handle.cancel();
    });
    let mut results = as_completed([task, create_task(t.nap("b", 20, 2))]);
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    Ok(())
}

async fn what_is_missing_at_the_deadline_is_a_timeout(t: Trace) -> Result<()> {
    let tasks = [
        create_task(t.nap("nap 10", 10, 10)),
        create_task(t.nap("nap 30", 30, 30)),
        create_task(t.nap("nap 40", 40, 40)),
    ];
    let handles = [tasks[1].handle(), tasks[2].handle()];
    let mut results = as_completed(tasks).timeout(ms(20));
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    // The tasks belong to `results`, so their own lines show that they end well.
    for (handle, value) in handles.iter().zip([30, 40]) {
        wait([handle]).await?;
        t.result("afterwards", &handle.exception().map(|_| value));
    }
    Ok(())
}

async fn leaving_early_cancels_nobody(t: Trace) -> Result<()> {
    let mut results = as_completed([t.nap("a", 10, 1), t.nap("b", 20, 2)]);
    if let Some(result) = results.next().await {
        t.result("next", &result);
    }
    drop(results);
    pause(30).await
}

async fn all_start_at_the_call(t: Trace) -> Result<()> {
    let mut results = as_completed([t.nap("a", 10, 1), t.nap("b", 20, 2)]);
    pause(30).await?;
    t.tell("now");
    while let Some(result) = results.next().await {
        t.result("next", &result);
    }
    Ok(())
}

async fn a_cancelled_next_cancels_nobody(t: Trace) -> Result<()> {
    let inner = create_task(t.nap("inner", 30, 1));
    let handle = inner.handle();
    let task = create_task(async move {
        let mut results = as_completed([inner]);
        results.next().await.expect("one is left")
    });
    pause(10).await?;
    task.cancel();
    t.outcome("task", task).await;
    wait([&handle]).await?;
    t.result("inner", &handle.exception().map(|_| 1));
    Ok(())
}

conformance! {
    "waiting";
    same: [
        nothing_cannot_be_waited_for, a_task_given_twice_counts_once, wait_never_raises_what_tasks_do,
        wait_is_no_retrieval, wait_with_a_timeout_returns_what_is_there, wait_with_a_timeout_cancels_nobody,
        wait_without_time_returns, wait_without_time_sees_what_is_done, first_completed,
        first_completed_counts_a_cancelled_one, first_completed_with_one_done_already, first_exception,
        first_exception_is_no_cancellation, first_exception_with_none_waits_for_all,
        first_exception_with_one_failed_already, a_cancelled_wait_cancels_nobody, results_as_they_come,
        of_nothing_nothing_comes, done_ones_come_first, errors_come_in_their_turn,
        cancelled_ones_come_in_their_turn, what_is_missing_at_the_deadline_is_a_timeout,
        leaving_early_cancels_nobody, all_start_at_the_call, a_cancelled_next_cancels_nobody,
    ]
    alone: []
    better: []
    whenever: [
        a_task_given_twice_counts_once, wait_never_raises_what_tasks_do,
        first_exception_with_none_waits_for_all, of_nothing_nothing_comes,
    ]
}
