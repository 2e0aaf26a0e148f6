//! Does `shield` behave as asyncio's?

use selvedge::{Result, create_task, shield, timeout};

use crate::check::conformance;
use crate::parts::fail;
use crate::trace::Trace;
use crate::{ms, pause};

async fn a_shielded_task_returns_its_value(t: Trace) -> Result<()> {
    t.told("shield", shield(t.nap("inner", 10, 1))).await
}

async fn a_done_task_is_shielded(t: Trace) -> Result<()> {
    let task = create_task(t.nap("inner", 10, 1));
    pause(20).await?;
    t.told("shield", shield(task)).await
}

async fn a_failing_task_is_shielded(t: Trace) -> Result<()> {
    t.told("shield", shield(fail::<()>(10, "no"))).await
}

async fn the_awaiter_is_cancelled_and_the_task_goes_on(t: Trace) -> Result<()> {
    let mut inner = create_task(t.nap("inner", 30, 1));
    let handle = inner.handle();
    let outer = create_task(async move {
        let shielded = inner.shielded().await;
        Ok((shielded.map(drop), inner))
    });
    pause(10).await?;
    outer.cancel_with("outer");
    let (shielded, inner) = outer.await?;
    t.result("outer", &shielded);
    t.value("inner cancelling", handle.cancelling());
    t.told("inner", inner).await
}

async fn a_shielded_coroutine_goes_on(t: Trace) -> Result<()> {
    let outer = create_task(async move { shield(t.nap("inner", 30, 1)).await });
    pause(10).await?;
    outer.cancel();
    t.outcome("outer", outer).await;
    pause(30).await
}

async fn it_can_be_awaited_again(t: Trace) -> Result<()> {
    let mut inner = create_task(t.nap("inner", 30, 1));
    let outer = create_task(async move {
        t.outcome("first", inner.shielded()).await;
        t.told("second", inner).await
    });
    pause(10).await?;
    outer.cancel();
    outer.await
}

async fn the_task_itself_is_cancelled(t: Trace) -> Result<()> {
    let inner = create_task(pause(60_000));
    let handle = inner.handle();
    let mut outer = create_task(async move { shield(inner).await });
    pause(10).await?;
    handle.cancel();
    t.outcome("outer", &mut outer).await;
    t.value("cancelled", outer.cancelled());
    t.value("cancelling", outer.cancelling());
    Ok(())
}

async fn the_message_of_the_task_behind_a_shield(t: Trace) -> Result<()> {
    let inner = create_task(pause(60_000));
    let handle = inner.handle();
    let outer = create_task(async move { t.told("shield", shield(inner)).await });
    pause(10).await?;
    handle.cancel_with("inner");
    outer.await
}

async fn the_task_fails_when_nobody_waits_any_more(t: Trace) -> Result<()> {
    let outer = create_task(async { shield(fail::<()>(30, "lost")).await });
    pause(10).await?;
    outer.cancel();
    t.outcome("outer", outer).await;
    pause(30).await?;
    t.tell("main ends");
    Ok(())
}

async fn two_shields_of_one_task_are_independent(t: Trace) -> Result<()> {
    let mut inner = create_task(t.nap("inner", 30, 1));
    let first = create_task(async move {
        t.outcome("first", inner.shielded()).await;
        Ok(inner)
    });
    pause(10).await?;
    first.cancel();
    let inner = first.await?;
    t.told("second", shield(inner)).await
}

async fn a_shield_inside_a_timeout(t: Trace) -> Result<()> {
    let mut inner = create_task(t.nap("inner", 30, 1));
    let late = timeout(ms(10), async |_| inner.shielded().await.map(drop)).await;
    t.result("timeout", &late);
    t.told("inner", inner).await
}

conformance! {
    "shields";
    same: [
        a_shielded_task_returns_its_value, a_done_task_is_shielded, a_failing_task_is_shielded,
        the_awaiter_is_cancelled_and_the_task_goes_on, a_shielded_coroutine_goes_on, it_can_be_awaited_again,
        the_task_itself_is_cancelled, two_shields_of_one_task_are_independent, a_shield_inside_a_timeout,
    ]
    alone: []
    better: [
        // Messages are not lost.
        the_message_of_the_task_behind_a_shield => ["10 shield: cancelled inner"],
        // The same report, in the words that are used for every error that is never retrieved.
        the_task_fails_when_nobody_waits_any_more => [
            "10 outer: cancelled", "30 report: Task exception was never retrieved", "40 main ends",
        ],
    ]
    whenever: [
        a_shielded_task_returns_its_value, a_failing_task_is_shielded,
    ]
}
