//! Rule 5: does the outermost request win?

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join;
use selvedge::{Result, Task, cancellable, create_task, sleep, timeout, wait_for};
use selvedge_tests::{LONG, MOMENT, Trace, foreign, message_of, settle};

use super::me;

#[selvedge::test(virtual_time)]
async fn a_deadline_ends_what_it_stands_around_with_its_own_error() -> Result<()> {
    let trace = Trace::new();
    let late = timeout(MOMENT, async |cm| {
        let slept = sleep(LONG).await;
        trace.tell_result("body", &slept);
        assert!(cm.expired());
        slept
    })
    .await;
    trace.tell_result("block", &late);
    assert_eq!(trace.events(), ["body: cancelled", "block: TimeoutError"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn timeouts_side_by_side_do_not_touch_each_other() -> Result<()> {
    let (short, long) = join(
        wait_for(sleep(LONG), MOMENT),
        wait_for(async { sleep(3 * MOMENT).returning("whole").await }, LONG),
    )
    .await;
    assert!(short.unwrap_err().is_timeout());
    assert_eq!(long?, "whole");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn nested_deadlines_name_the_one_that_passed() -> Result<()> {
    async fn nested(outer: Duration, inner: Duration) -> (Result<()>, Result<()>) {
        let mut inside = Ok(());
        let outside = timeout(outer, async |_| {
            inside = timeout(inner, async |_| sleep(LONG).await).await;
            inside.clone()
        })
        .await;
        (inside, outside)
    }
    let (inside, outside) = nested(MOMENT, 2 * MOMENT).await;
    assert!(inside.unwrap_err().is_cancelled() && outside.unwrap_err().is_timeout());
    let (inside, outside) = nested(2 * MOMENT, MOMENT).await;
    assert!(inside.unwrap_err().is_timeout() && outside.unwrap_err().is_timeout());
    let (inside, outside) = nested(MOMENT, MOMENT).await;
    assert!(inside.unwrap_err().is_cancelled() && outside.unwrap_err().is_timeout());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_to_the_task_wins_over_a_deadline() -> Result<()> {
    let task = create_task(async {
        timeout(LONG, async |cm| {
            let slept = sleep(LONG).await;
            assert!(!cm.expired());
            slept
        })
        .await
    });
    settle().await?;
    task.cancel_with("outer");
    assert_eq!(message_of(&task.await.unwrap_err()), Some("outer"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_during_the_clean_up_of_an_expired_block_wins() -> Result<()> {
    let task = create_task(async {
        timeout(MOMENT, async |_| {
            let slept = sleep(LONG).await;
            let _ = sleep(LONG).await;
            slept
        })
        .await
    });
    sleep(2 * MOMENT).await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_refused_request_from_before_the_block_does_not_count() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        assert!(sleep(LONG).await.is_err());
        assert_eq!(me().cancelling(), 1);
        wait_for(sleep(LONG), MOMENT).await
    });
    assert!(task.await.unwrap_err().is_timeout());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_that_is_taken_together_with_an_expiry_is_not_lost() -> Result<()> {
    let task = create_task(async {
        timeout(Duration::ZERO, async |_| {
            // The request is made before the deadline is checked for the first time, and delivered
            // with it.
            join(sleep(LONG), async { me().cancel() }).await.0
        })
        .await
    });
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_deadline_that_is_past_polls_the_body_once() -> Result<()> {
    assert_eq!(timeout(Duration::ZERO, async |_| Ok("at once")).await?, "at once");
    assert_eq!(wait_for(create_ready().await?, Duration::ZERO).await?, 1);
    let yields = timeout(Duration::ZERO, async |_| sleep(Duration::ZERO).await).await;
    assert!(yields.unwrap_err().is_timeout());
    assert!(wait_for(cancellable(foreign()), Duration::ZERO).await.unwrap_err().is_timeout());
    Ok(())
}

async fn create_ready() -> Result<Task<i32>> {
    let task = create_task(async { Ok(1) });
    settle().await?;
    Ok(task)
}

#[selvedge::test(virtual_time)]
async fn what_is_ready_wins_over_the_deadline() -> Result<()> {
    // The value and the deadline are due at the same time.
    let value = wait_for(sleep(MOMENT).returning("in time"), MOMENT).await?;
    assert_eq!(value, "in time");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_body_that_refuses_to_expire_returns_its_value() -> Result<()> {
    let value = timeout(MOMENT, async |cm| {
        let _ = sleep(LONG).await;
        sleep(MOMENT).await?;
        Ok(cm.expired())
    });
    assert!(value.await?);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn the_same_future_can_be_given_a_second_deadline() -> Result<()> {
    let mut task = create_task(sleep(3 * MOMENT).returning("late"));
    assert!(wait_for(task.shielded(), MOMENT).await.unwrap_err().is_timeout());
    assert_eq!(wait_for(&mut task, LONG).await?, "late");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_that_was_refused_inside_still_wins_over_a_later_deadline() -> Result<()> {
    let task = create_task(async {
        timeout(2 * MOMENT, async |cm| {
            assert!(sleep(LONG).await.is_err());
            assert!(!cm.expired());
            sleep(LONG).await
        })
        .await
    });
    settle().await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_that_was_uncancelled_inside_leaves_the_deadline_its_error() -> Result<()> {
    let task = create_task(async {
        timeout(2 * MOMENT, async |_| {
            assert!(sleep(LONG).await.is_err());
            assert_eq!(me().uncancel(), 0);
            sleep(LONG).await
        })
        .await
    });
    settle().await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_timeout());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_outer_expiry_that_was_refused_inside_wins_over_a_later_inner_one() -> Result<()> {
    let mut inside = Ok(());
    let outside = timeout(MOMENT, async |_| {
        inside = timeout(2 * MOMENT, async |_| {
            assert!(sleep(LONG).await.is_err());
            sleep(LONG).await
        })
        .await;
        inside.clone()
    })
    .await;
    assert!(inside.unwrap_err().is_cancelled());
    assert!(outside.unwrap_err().is_timeout());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_undelivered_request_wins_whatever_the_count_says() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        assert!(sleep(LONG).await.is_err());
        timeout(Duration::ZERO, async |_| {
            let asking = async {
                me().cancel();
                // The count is back at its value at entry, but not at zero: the outer request
                // remains.
                assert_eq!(me().uncancel(), 1);
            };
            join(sleep(LONG), asking).await.0
        })
        .await
    });
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_block_that_moves_into_another_is_told_by_its_new_surroundings() -> Result<()> {
    let trace = Trace::new();
    let mut moved = pin!(timeout(LONG, async |_| {
        let slept = sleep(LONG).await;
        trace.tell_result("body", &slept);
        slept
    }));
    assert!(futures_lite::future::poll_once(&mut moved).await.is_none());
    assert!(wait_for(moved, MOMENT).await.unwrap_err().is_timeout());
    assert_eq!(trace.events(), ["body: cancelled"]);
    Ok(())
}
