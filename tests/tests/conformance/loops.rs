//! Does the loop behave as asyncio's: callbacks, timers, sleep, the exception handler, shutdown?

use selvedge::{
    ContextVar, Error, EventLoop, ExceptionContext, Result, create_task, get_running_loop, run, sleep,
};

use crate::check::conformance;
use crate::parts::fail;
use crate::trace::Trace;
use crate::{me, ms, pause};

static VAR: ContextVar<u32> = ContextVar::new("var");

fn this_loop() -> EventLoop {
    get_running_loop().expect("scenarios run in a loop")
}

async fn callbacks_run_in_order(t: Trace) -> Result<()> {
    for n in 0..4 {
        this_loop().call_soon(move || t.tell(format!("callback {n}")));
    }
    t.tell("asked");
    pause(1).await
}

async fn a_cancelled_callback_is_skipped(t: Trace) -> Result<()> {
    let handle = this_loop().call_soon(move || t.tell("cancelled"));
    this_loop().call_soon(move || t.tell("kept"));
    handle.cancel();
    t.value("cancelled", handle.cancelled());
    pause(1).await
}

async fn a_callback_added_by_a_callback_runs_later(t: Trace) -> Result<()> {
    this_loop().call_soon(move || {
        t.tell("outer");
        this_loop().call_soon(move || t.tell("inner"));
    });
    this_loop().call_soon(move || t.tell("next"));
    pause(1).await
}

async fn timers_fire_by_deadline(t: Trace) -> Result<()> {
    for n in [30, 10, 20] {
        this_loop().call_later(ms(n), move || t.tell(format!("timer {n}")));
    }
    pause(40).await
}

async fn a_cancelled_timer_does_not_fire(t: Trace) -> Result<()> {
    let handle = this_loop().call_later(ms(10), move || t.tell("cancelled"));
    this_loop().call_later(ms(20), move || t.tell("kept"));
    pause(5).await?;
    handle.cancel();
    t.value("cancelled", handle.cancelled());
    pause(20).await
}

async fn a_timer_at_a_time_of_the_loop(t: Trace) -> Result<()> {
    pause(10).await?;
    let handle = this_loop().call_at(this_loop().time() + ms(20), move || t.tell("fired"));
    t.value("in", (handle.when().saturating_sub(this_loop().time()).as_micros() + 500) / 1000);
    pause(30).await
}

async fn a_callback_runs_in_a_copy_of_the_context(t: Trace) -> Result<()> {
    VAR.set(1);
    this_loop().call_soon(move || {
        t.value("sees", VAR.get().unwrap_or(0));
        VAR.set(3);
    });
    VAR.set(2);
    pause(1).await?;
    t.value("task sees", VAR.get().unwrap_or(0));
    Ok(())
}

async fn a_timer_of_no_time(t: Trace) -> Result<()> {
    this_loop().call_later(ms(0), move || t.tell("fired"));
    t.tell("asked");
    pause(1).await
}

async fn a_timer_in_the_past(t: Trace) -> Result<()> {
    pause(10).await?;
    this_loop().call_at(ms(5), move || t.tell("fired"));
    pause(1).await
}

async fn time_passes_as_slept(t: Trace) -> Result<()> {
    let before = this_loop().time();
    pause(25).await?;
    t.value("passed", (this_loop().time().saturating_sub(before).as_micros() + 500) / 1000);
    Ok(())
}

async fn sleep_returns_its_value(t: Trace) -> Result<()> {
    t.told("sleep", sleep(ms(10)).returning(5)).await
}

async fn sleep_of_no_time_yields(t: Trace) -> Result<()> {
    let task = create_task(t.nap("other", 0, ()));
    t.tell("before");
    sleep(ms(0)).await?;
    task.await?;
    t.tell("after");
    Ok(())
}

async fn sleep_of_no_time_returns_its_value(t: Trace) -> Result<()> {
    t.told("sleep", sleep(ms(0)).returning(5)).await
}

async fn sleepers_wake_by_deadline(t: Trace) -> Result<()> {
    let names = ["nap 50", "nap 10", "nap 40", "nap 20", "nap 30"];
    let tasks = names.map(|name| {
        let n = name["nap ".len()..].parse().expect("the name says how long");
        create_task(t.nap(name, n, ()))
    });
    for task in tasks {
        task.await?;
    }
    Ok(())
}

async fn a_plain_await_does_not_yield(t: Trace) -> Result<()> {
    let task = create_task(t.nap("other", 0, ()));
    t.outcome("await", async { Ok(1) }).await;
    t.tell("not suspended");
    task.await
}

async fn the_exception_handler_is_told(t: Trace) -> Result<()> {
    this_loop().call_exception_handler(&ExceptionContext::new("by hand"));
    t.tell("told");
    Ok(())
}

/// Records the error as well as the message.
fn tell_errors(t: Trace) {
    this_loop().set_exception_handler(move |_, context| {
        t.error(context.message(), context.exception().expect("there is an error"));
    });
}

async fn the_exception_handler_is_told_the_error(t: Trace) -> Result<()> {
    tell_errors(t);
    let context = ExceptionContext::new("by hand").with_exception(Error::msg("this"));
    this_loop().call_exception_handler(&context);
    Ok(())
}

async fn an_error_in_a_task_nobody_keeps(t: Trace) -> Result<()> {
    tell_errors(t);
    drop(create_task(fail::<()>(10, "lost")));
    pause(20).await
}

async fn an_exception_handler_that_fails_harms_nobody(t: Trace) -> Result<()> {
    this_loop().set_exception_handler(move |_, _| {
        t.tell("called");
        std::panic::resume_unwind(Box::new("broken"));
    });
    this_loop().call_exception_handler(&ExceptionContext::new("by hand"));
    t.tell("unharmed");
    Ok(())
}

async fn run_inside_a_loop(t: Trace) -> Result<()> {
    t.result("run", &run(pause(1)));
    Ok(())
}

async fn what_is_left_is_cancelled_and_cleans_up(t: Trace) -> Result<()> {
    drop(create_task(async move {
        let waited = this_loop().create_future::<()>().await;
        t.tell("cleaned up");
        waited
    }));
    pause(10).await?;
    t.tell("main ends");
    Ok(())
}

async fn what_is_left_and_sleeps_is_cancelled_too(t: Trace) -> Result<()> {
    drop(create_task(t.nap("left over", 1000, ())));
    pause(10).await?;
    t.tell("main ends");
    Ok(())
}

async fn an_error_during_the_shutdown_is_reported(t: Trace) -> Result<()> {
    drop(create_task(async {
        this_loop().create_future::<()>().await.map_err(|_| Error::msg("at the end"))
    }));
    pause(10).await?;
    t.tell("main ends");
    Ok(())
}

async fn main_is_cancelled(_: Trace) -> Result<()> {
    me().cancel_with("enough");
    pause(10).await
}

async fn main_fails(_: Trace) -> Result<()> {
    fail(10, "no").await
}

async fn main_is_cancelled_by_a_child_and_refuses(t: Trace) -> Result<()> {
    let main = me();
    this_loop().call_later(ms(10), move || {
        main.cancel();
    });
    t.stubborn("main", 60_000, ()).await?;
    t.nap("main", 10, ()).await
}

async fn the_running_loop(t: Trace) -> Result<()> {
    t.value("running", this_loop().is_running());
    t.value("closed", this_loop().is_closed());
    t.value("the same", this_loop() == get_running_loop()?);
    t.value("debug", this_loop().get_debug());
    Ok(())
}

async fn debug_is_switched_on(t: Trace) -> Result<()> {
    this_loop().set_debug(true);
    t.value("debug", this_loop().get_debug());
    this_loop().set_debug(false);
    t.value("debug", this_loop().get_debug());
    Ok(())
}

async fn a_callback_from_within(t: Trace) -> Result<()> {
    this_loop().call_soon_threadsafe(move || t.tell("called"));
    t.tell("asked");
    pause(1).await
}

conformance! {
    "loops";
    same: [
        timers_fire_by_deadline, a_cancelled_timer_does_not_fire, a_timer_at_a_time_of_the_loop,
        a_callback_runs_in_a_copy_of_the_context, a_timer_in_the_past, time_passes_as_slept,
        sleep_returns_its_value, sleep_of_no_time_returns_its_value, sleepers_wake_by_deadline,
        the_exception_handler_is_told, the_exception_handler_is_told_the_error,
        an_error_in_a_task_nobody_keeps, an_exception_handler_that_fails_harms_nobody, run_inside_a_loop,
        what_is_left_is_cancelled_and_cleans_up, what_is_left_and_sleeps_is_cancelled_too, main_is_cancelled, main_fails,
        main_is_cancelled_by_a_child_and_refuses, the_running_loop, debug_is_switched_on,
        a_timer_of_no_time, a_callback_from_within, a_callback_added_by_a_callback_runs_later,
    ]
    alone: [
        callbacks_run_in_order, a_cancelled_callback_is_skipped, a_plain_await_does_not_yield,
        sleep_of_no_time_yields,
    ]
    better: [
        // Only the words differ: the shutdown may be a runner's.
        an_error_during_the_shutdown_is_reported => [
            "10 main ends", "10 report: unhandled exception during run() shutdown",
        ],
    ]
    whenever: [
        sleep_returns_its_value, sleepers_wake_by_deadline, main_fails, timers_fire_by_deadline,
    ]
}
