//! Do `timeout`, `timeout_at` and `Timeout` behave as asyncio's?

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use selvedge::{Result, Timeout, create_task, gather, get_running_loop, timeout, timeout_at};

use crate::check::conformance;
use crate::parts::{fail, spiteful};
use crate::trace::{Cell, Trace};
use crate::{HOUR, me, ms, pause};

fn now() -> Duration {
    get_running_loop().expect("scenarios run in a loop").time()
}

impl Trace {
    /// Records the deadline, in milliseconds.
    fn when(self, cm: &Timeout) {
        let when = cm.when().expect("there is a deadline");
        self.value("when", (when.as_micros() + 500) / 1000);
    }
}

async fn a_block_in_time(t: Trace) -> Result<()> {
    let cm = timeout(ms(50), async |cm| {
        t.nap("body", 10, ()).await?;
        Ok(cm)
    });
    t.value("expired", cm.await?.expired());
    Ok(())
}

async fn a_block_without_a_deadline(t: Trace) -> Result<()> {
    let cm = timeout(None, async |cm| {
        t.value("no deadline", cm.when().is_none());
        t.nap("body", 10_000, ()).await?;
        Ok(cm)
    });
    t.value("expired", cm.await?.expired());
    Ok(())
}

async fn a_deadline_as_a_time_of_the_loop(t: Trace) -> Result<()> {
    let block = timeout_at(now() + ms(20), async |cm| {
        t.when(&cm);
        pause(60_000).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn the_deadline_counts_from_entry(t: Trace) -> Result<()> {
    pause(10).await?;
    timeout(ms(20), async |cm| {
        t.when(&cm);
        Ok(())
    })
    .await
}

async fn no_time_and_no_wait(t: Trace) -> Result<()> {
    let cm = timeout(Duration::ZERO, async |cm| {
        t.tell("body");
        Ok(cm)
    });
    t.value("expired", cm.await?.expired());
    Ok(())
}

async fn no_time_and_a_wait(t: Trace) -> Result<()> {
    t.result("block", &timeout(Duration::ZERO, async |_| pause(10).await).await);
    Ok(())
}

async fn a_deadline_in_the_past(t: Trace) -> Result<()> {
    pause(50).await?;
    t.result("block", &timeout_at(now().saturating_sub(ms(20)), async |_| pause(10).await).await);
    Ok(())
}

async fn an_expired_block(t: Trace) -> Result<()> {
    let block = timeout(ms(20), async |cm| {
        let rested = t.nap("body", 60_000, ()).await;
        t.value("expired", cm.expired());
        rested
    });
    t.result("block", &block.await);
    t.value("cancelling", me().cancelling());
    Ok(())
}

async fn the_task_goes_on_after_an_expired_block(t: Trace) -> Result<()> {
    t.result("block", &timeout(ms(20), async |_| pause(60_000).await).await);
    t.nap("afterwards", 10, ()).await
}

async fn the_block_waits_for_clean_up(t: Trace) -> Result<()> {
    t.result("block", &timeout(ms(20), async |_| t.tidy("body", 30).await).await);
    Ok(())
}

async fn a_swallowed_expiry(t: Trace) -> Result<()> {
    let cm = timeout(ms(20), async |cm| t.stubborn("body", 60_000, cm).await);
    t.value("expired", cm.await?.expired());
    t.value("cancelling", me().cancelling());
    t.nap("afterwards", 10, ()).await
}

async fn an_expiry_is_delivered_once(t: Trace) -> Result<()> {
    let cm = timeout(ms(20), async |cm| {
        t.stubborn("body", 60_000, ()).await?;
        t.nap("still inside", 30, cm).await
    });
    t.value("expired", cm.await?.expired());
    Ok(())
}

async fn an_error_in_answer_to_an_expiry(t: Trace) -> Result<()> {
    t.result("block", &timeout(ms(20), async |_| spiteful("spite").await).await);
    Ok(())
}

async fn an_error_in_time(t: Trace) -> Result<()> {
    t.result("block", &timeout(ms(20), async |_| fail::<()>(10, "no").await).await);
    Ok(())
}

async fn cancelled_from_outside_in_time(t: Trace) -> Result<()> {
    let mut task = create_task(async move { timeout(HOUR, async |_| t.nap("body", 60_000, ()).await).await });
    pause(10).await?;
    task.cancel_with("outside");
    t.outcome("task", &mut task).await;
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn cancelled_from_outside_while_expiring(t: Trace) -> Result<()> {
    let task = create_task(async move { timeout(ms(20), async |_| t.tidy("body", 50).await).await });
    pause(30).await?;
    task.cancel_with("outside");
    t.told("task", task).await
}

async fn the_inner_block_is_shorter(t: Trace) -> Result<()> {
    let cm = timeout(ms(50), async |cm| {
        t.result("inner", &timeout(ms(10), async |_| t.nap("body", 60_000, ()).await).await);
        t.nap("afterwards", 10, cm).await
    });
    t.value("outer expired", cm.await?.expired());
    Ok(())
}

async fn the_outer_block_is_shorter(t: Trace) -> Result<()> {
    let outer = timeout(ms(10), async |_| {
        timeout(ms(50), async |cm| {
            let rested = t.nap("body", 60_000, ()).await;
            t.value("inner expired", cm.expired());
            rested
        })
        .await
    });
    t.result("outer", &outer.await);
    Ok(())
}

async fn equal_deadlines(t: Trace) -> Result<()> {
    let outer = timeout(ms(10), async |_| {
        let inner = timeout(ms(10), async |_| t.nap("body", 60_000, ()).await).await;
        t.result("inner", &inner);
        inner
    });
    t.result("outer", &outer.await);
    Ok(())
}

async fn after_a_swallowed_cancellation(t: Trace) -> Result<()> {
    let task = create_task(async move {
        t.stubborn("body", 60_000, ()).await?;
        t.value("cancelling", me().cancelling());
        t.result("block", &timeout(ms(20), async |_| pause(60_000).await).await);
        t.value("cancelling", me().cancelling());
        Ok(())
    });
    pause(10).await?;
    task.cancel();
    t.told("task", task).await
}

async fn moved_later(t: Trace) -> Result<()> {
    let cm = timeout(ms(20), async |cm| {
        pause(10).await?;
        cm.reschedule(cm.when().map(|when| when + ms(50)))?;
        t.when(&cm);
        t.nap("body", 50, cm).await
    });
    t.value("expired", cm.await?.expired());
    Ok(())
}

async fn moved_earlier(t: Trace) -> Result<()> {
    let block = timeout(HOUR, async |cm| {
        cm.reschedule(now() + ms(10))?;
        t.nap("body", 60_000, ()).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn taken_away(t: Trace) -> Result<()> {
    let cm = timeout(ms(20), async |cm| {
        cm.reschedule(None::<Duration>)?;
        t.value("no deadline", cm.when().is_none());
        t.nap("body", 50, cm).await
    });
    t.value("expired", cm.await?.expired());
    Ok(())
}

async fn given_later_on(t: Trace) -> Result<()> {
    let block = timeout(None, async |cm| {
        pause(10).await?;
        cm.reschedule(now() + ms(10))?;
        t.nap("body", 60_000, ()).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn moved_into_the_past(t: Trace) -> Result<()> {
    let block = timeout(HOUR, async |cm| {
        pause(20).await?;
        cm.reschedule(now().saturating_sub(ms(10)))?;
        t.nap("body", 60_000, ()).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn moved_by_another_task(t: Trace) -> Result<()> {
    let cell: Cell<Timeout> = Arc::new(Mutex::new(None));
    let handed = Arc::clone(&cell);
    let task = create_task(async move {
        timeout(HOUR, async |cm| {
            *handed.lock() = Some(cm);
            t.nap("body", 60_000, ()).await
        })
        .await
    });
    pause(10).await?;
    let cm = cell.lock().take().expect("the block was entered");
    cm.reschedule(now() + ms(10))?;
    t.told("block", task).await
}

async fn moved_when_it_is_over(t: Trace) -> Result<()> {
    let cm = timeout(HOUR, async |cm| Ok(cm)).await?;
    t.result("reschedule", &cm.reschedule(ms(1000)));
    Ok(())
}

async fn moved_while_it_expires(t: Trace) -> Result<()> {
    let block = timeout(ms(10), async |cm| {
        t.stubborn("body", 60_000, ()).await?;
        t.result("reschedule", &cm.reschedule(ms(1000)));
        Ok(())
    });
    t.result("block", &block.await);
    Ok(())
}

async fn blocks_in_sequence(t: Trace) -> Result<()> {
    for name in ["block 0", "block 1", "block 2"] {
        t.result(name, &timeout(ms(10), async |_| pause(60_000).await).await);
    }
    Ok(())
}

async fn an_expired_block_around_a_task(t: Trace) -> Result<()> {
    let mut task = create_task(t.nap("task", 60_000, ()));
    t.result("block", &timeout(ms(10), async |_| (&mut task).await).await);
    t.value("cancelled", task.cancelled());
    Ok(())
}

async fn an_expired_block_around_a_gathering(t: Trace) -> Result<()> {
    let block =
        timeout(ms(10), async |_| gather([t.nap("quick", 5, ()), t.nap("slow", 60_000, ())]).await.map(drop));
    t.result("block", &block.await);
    Ok(())
}

conformance! {
    "timeouts";
    same: [
        a_block_in_time, a_block_without_a_deadline, a_deadline_as_a_time_of_the_loop,
        the_deadline_counts_from_entry, no_time_and_no_wait, no_time_and_a_wait, a_deadline_in_the_past,
        an_expired_block, the_task_goes_on_after_an_expired_block, the_block_waits_for_clean_up,
        a_swallowed_expiry, an_expiry_is_delivered_once, an_error_in_answer_to_an_expiry, an_error_in_time,
        cancelled_from_outside_in_time, cancelled_from_outside_while_expiring, the_inner_block_is_shorter,
        the_outer_block_is_shorter, equal_deadlines, after_a_swallowed_cancellation, moved_later,
        moved_earlier, taken_away, given_later_on, moved_into_the_past, moved_by_another_task,
        moved_when_it_is_over, moved_while_it_expires, blocks_in_sequence, an_expired_block_around_a_task,
        an_expired_block_around_a_gathering,
    ]
    alone: []
    better: []
    whenever: [
        an_expired_block, a_swallowed_expiry, an_error_in_answer_to_an_expiry, blocks_in_sequence,
        moved_earlier, given_later_on,
    ]
}
