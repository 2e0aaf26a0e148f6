//! Do futures, whose results are set by hand, behave as asyncio's?

use selvedge::{ContextVar, Error, Future, Result, create_task, gather, get_running_loop};

use crate::check::conformance;
use crate::trace::Trace;
use crate::{ms, pause};

static VAR: ContextVar<u32> = ContextVar::new("var");

fn make<T: Clone + Send + Sync + 'static>() -> Future<T> {
    get_running_loop().expect("scenarios run in a loop").create_future()
}

async fn a_pending_future_has_no_result(t: Trace) -> Result<()> {
    let future = make::<u32>();
    t.result("result", &future.result());
    t.result("exception", &future.exception());
    t.value("done", future.done());
    t.value("cancelled", future.cancelled());
    Ok(())
}

async fn a_future_is_set_once(t: Trace) -> Result<()> {
    let future = make();
    t.result("set", &future.set_result(1));
    t.result("again", &future.set_result(2));
    t.result("error", &future.set_exception(Error::msg("late")));
    t.value("cancel", future.cancel());
    t.result("result", &future.result());
    Ok(())
}

async fn a_cancelled_future_cannot_be_set(t: Trace) -> Result<()> {
    let future = make();
    t.value("cancel", future.cancel());
    t.result("set", &future.set_result(1));
    t.result("error", &future.set_exception(Error::msg("late")));
    t.value("again", future.cancel());
    Ok(())
}

async fn a_future_is_cancelled_at_once(t: Trace) -> Result<()> {
    let future = make::<u32>();
    t.value("cancel", future.cancel_with("why"));
    t.value("cancelled", future.cancelled());
    t.result("exception", &future.exception());
    Ok(())
}

async fn a_cancelled_future_raises_its_message(t: Trace) -> Result<()> {
    let future = make::<u32>();
    future.cancel_with("why");
    t.result("result", &future.result());
    Ok(())
}

async fn a_failed_future_raises_its_error(t: Trace) -> Result<()> {
    let future = make::<u32>();
    future.set_exception(Error::msg("no"))?;
    t.outcome("await", &future).await;
    t.outcome("again", &future).await;
    t.result("result", &future.result());
    t.result("failed", &future.exception().map(|it| it.is_some()));
    Ok(())
}

async fn callbacks_run_later_and_in_order(t: Trace) -> Result<()> {
    let future = make();
    for name in ["first", "second", "third"] {
        future.add_done_callback(move |it| t.result(name, it));
    }
    future.set_result(7)?;
    t.tell("set");
    pause(1).await
}

async fn a_callback_on_a_done_future_runs_soon(t: Trace) -> Result<()> {
    let future = make();
    future.set_result(7)?;
    future.add_done_callback(move |it| t.result("callback", it));
    t.tell("added");
    pause(1).await
}

async fn a_callback_runs_in_the_context_of_its_registration(t: Trace) -> Result<()> {
    let future = make();
    VAR.set(1);
    future.add_done_callback(move |_| t.value("callback sees", VAR.get().unwrap_or(0)));
    VAR.set(2);
    future.set_result(())?;
    pause(1).await?;
    t.value("task sees", VAR.get().unwrap_or(0));
    Ok(())
}

async fn a_task_calls_back_too(t: Trace) -> Result<()> {
    let task = create_task(t.nap("task", 10, ()));
    task.add_done_callback(move |it| t.value("done", it.done()));
    task.add_done_callback(move |it| t.value("cancelled", it.cancelled()));
    pause(20).await?;
    task.add_done_callback(move |_| t.tell("late"));
    pause(1).await
}

async fn a_callback_is_taken_back(t: Trace) -> Result<()> {
    let future = make();
    let callback = future.add_done_callback(move |_| t.tell("taken back"));
    future.add_done_callback(move |_| t.tell("kept"));
    t.value("removed", future.remove_done_callback(callback));
    t.value("again", future.remove_done_callback(callback));
    future.set_result(())?;
    pause(1).await
}

async fn a_callback_of_a_done_future_still_runs(t: Trace) -> Result<()> {
    let future = make();
    let callback = future.add_done_callback(move |_| t.tell("called"));
    future.set_result(())?;
    t.value("removed", future.remove_done_callback(callback));
    pause(1).await
}

async fn a_callback_added_twice_runs_twice(t: Trace) -> Result<()> {
    let future = make();
    let callback = move |_: &Result<()>| t.tell("called");
    future.add_done_callback(callback);
    future.add_done_callback(callback);
    future.set_result(())?;
    pause(1).await
}

async fn a_callback_may_add_a_callback(t: Trace) -> Result<()> {
    let future = make();
    let itself = future.clone();
    future.add_done_callback(move |_| {
        t.tell("outer");
        itself.add_done_callback(move |_| t.tell("inner"));
    });
    future.add_done_callback(move |_| t.tell("next"));
    future.set_result(())?;
    pause(1).await
}

async fn a_cancelled_future_calls_back(t: Trace) -> Result<()> {
    let future = make::<u32>();
    future.add_done_callback(move |it| t.value("cancelled", it.as_ref().is_err_and(Error::is_cancelled)));
    future.cancel();
    pause(1).await
}

async fn a_done_future_does_not_suspend(t: Trace) -> Result<()> {
    let future = make();
    future.set_result(1)?;
    let task = create_task(t.nap("other", 0, ()));
    t.outcome("await", future).await;
    t.tell("not suspended");
    task.await
}

async fn every_awaiter_gets_the_value(t: Trace) -> Result<()> {
    let future = make();
    let names = ["awaiter 0", "awaiter 1", "awaiter 2"];
    let tasks = names.map(|name| create_task(t.told(name, future.clone())));
    pause(10).await?;
    future.set_result(5)?;
    for task in tasks {
        task.await?;
    }
    Ok(())
}

async fn every_awaiter_gets_the_error(t: Trace) -> Result<()> {
    let future = make::<u32>();
    let names = ["awaiter 0", "awaiter 1", "awaiter 2"];
    let tasks = names.map(|name| create_task(t.told(name, future.clone())));
    pause(10).await?;
    future.set_exception(Error::msg("all"))?;
    for task in tasks {
        task.await?;
    }
    Ok(())
}

async fn a_future_set_later_wakes_its_awaiter(t: Trace) -> Result<()> {
    let future = make();
    let setter = future.clone();
    get_running_loop()?.call_later(ms(10), move || setter.set_result(3).expect("nobody else sets it"));
    t.outcome("await", future).await;
    Ok(())
}

async fn an_error_nobody_asked_for_is_reported(t: Trace) -> Result<()> {
    let future = make::<u32>();
    future.set_exception(Error::msg("lost"))?;
    drop(future);
    t.tell("dropped");
    pause(1).await
}

async fn an_error_somebody_asked_for_is_not_reported(t: Trace) -> Result<()> {
    let future = make::<u32>();
    future.set_exception(Error::msg("seen"))?;
    t.result("failed", &future.exception().map(|it| it.is_some()));
    drop(future);
    pause(1).await
}

async fn a_callback_that_fails_harms_no_other(t: Trace) -> Result<()> {
    let future = make();
    future.add_done_callback(|_| std::panic::resume_unwind(Box::new("broken")));
    future.add_done_callback(move |_| t.tell("next"));
    future.set_result(())?;
    pause(1).await
}

async fn a_future_has_one_outcome_for_all_who_try(t: Trace) -> Result<()> {
    let future = make();
    let setters = [(); 8].map(|()| {
        let future = future.clone();
        create_task(async move {
            pause(10).await?;
            Ok(future.set_result(0).is_ok())
        })
    });
    let outcomes = gather(setters).await?;
    t.value("won", outcomes.iter().filter(|it| **it).count());
    t.value("tried", outcomes.len());
    Ok(())
}

conformance! {
    "futures";
    same: [
        a_callback_that_fails_harms_no_other, a_future_has_one_outcome_for_all_who_try,
        a_pending_future_has_no_result, a_future_is_set_once, a_cancelled_future_cannot_be_set,
        a_future_is_cancelled_at_once, a_cancelled_future_raises_its_message,
        a_failed_future_raises_its_error, callbacks_run_later_and_in_order,
        a_callback_on_a_done_future_runs_soon, a_callback_runs_in_the_context_of_its_registration,
        a_task_calls_back_too, a_callback_is_taken_back, a_callback_of_a_done_future_still_runs,
        a_callback_added_twice_runs_twice, a_cancelled_future_calls_back, a_done_future_does_not_suspend,
        every_awaiter_gets_the_value, every_awaiter_gets_the_error, a_future_set_later_wakes_its_awaiter,
        an_error_nobody_asked_for_is_reported, an_error_somebody_asked_for_is_not_reported,
        a_callback_may_add_a_callback,
    ]
    alone: []
    better: []
    whenever: [
        callbacks_run_later_and_in_order, a_future_set_later_wakes_its_awaiter,
        a_future_has_one_outcome_for_all_who_try, a_failed_future_raises_its_error,
    ]
}
