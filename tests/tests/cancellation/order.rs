//! Rule 2: does a ready result come before a request, and a request before waiting?

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{join, select};
use selvedge::{Result, Task, create_task, sleep, wait_for};
use selvedge_tests::{LONG, MOMENT, Trace, message_of, settle};

use super::me;

#[selvedge::test(virtual_time)]
async fn a_result_that_is_there_wins_over_a_request() -> Result<()> {
    let task = create_task(async {
        let ready = create_task(async { Ok(5) });
        settle().await?;
        me().cancel();
        let value = ready.await?;
        let then = sleep(Duration::ZERO).await;
        Ok((value, then.is_err_and(|error| error.is_cancelled())))
    });
    assert_eq!(task.await?, (5, true));
    Ok(())
}

#[selvedge::test(virtual_time, workers = 1)]
async fn a_timer_that_has_fired_wins_over_a_request() -> Result<()> {
    // Both timers are due at the same time, and the canceller's is armed first, so on one worker it
    // runs first.
    let sleeper = async { sleep(MOMENT).returning("slept").await };
    let canceller = create_task(async {
        sleep(MOMENT).await?;
        Ok(())
    });
    let sleeper = create_task(sleeper);
    let handle = sleeper.handle();
    canceller.await?;
    // The clock is at the sleeper's deadline, whether or not the sleeper has been polled since.
    handle.cancel();
    assert_eq!(sleeper.await?, "slept");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_suspended_leaf_is_told_once_and_clean_up_is_left_alone() -> Result<()> {
    let trace = Trace::new();
    let task = create_task({
        let trace = trace.clone();
        async move {
            let slept = sleep(LONG).await;
            trace.tell_result("work", &slept);
            let cleaned = sleep(MOMENT).await;
            trace.tell_result("clean-up", &cleaned);
            slept
        }
    });
    settle().await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(trace.events(), ["work: cancelled", "clean-up: ()"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_second_request_interrupts_the_clean_up() -> Result<()> {
    let task = create_task(async {
        let work = sleep(LONG).await.is_err();
        let clean_up = sleep(LONG).await.is_err();
        Ok((work, clean_up, me().cancelling()))
    });
    settle().await?;
    task.cancel();
    settle().await?;
    task.cancel();
    assert_eq!(task.await?, (true, true, 2));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_to_a_running_task_meets_its_next_leaf() -> Result<()> {
    let task = create_task(async {
        me().cancel_with("by myself");
        sleep(LONG).await
    });
    assert_eq!(message_of(&task.await.unwrap_err()), Some("by myself"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_that_ends_before_its_next_leaf_keeps_its_value() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        Ok("mine")
    });
    let handle = task.handle();
    assert_eq!(task.await?, "mine");
    assert!(!handle.cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_loop_over_yields_cannot_outrun_a_request() -> Result<()> {
    let task: Task<()> = create_task(async {
        loop {
            sleep(Duration::ZERO).await?;
        }
    });
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn both_arms_of_a_join_are_told() -> Result<()> {
    let task = create_task(async {
        let (a, b) = join(sleep(LONG), sleep(LONG)).await;
        Ok((a.unwrap_err(), b.unwrap_err()))
    });
    settle().await?;
    task.cancel_with("both");
    let (a, b) = task.await?;
    assert_eq!((message_of(&a), message_of(&b)), (Some("both"), Some("both")));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn the_loser_of_a_select_that_is_polled_again_is_told_of_later_requests_only() -> Result<()> {
    let task = create_task(async {
        let mut long = pin!(sleep(LONG));
        let short = pin!(sleep(MOMENT));
        assert!(matches!(select(&mut long, short).await, futures_util::future::Either::Right((Ok(()), _))));
        long.await
    });
    settle().await?;
    settle().await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_leaf_that_moves_into_a_timeout_starts_afresh() -> Result<()> {
    let task = create_task(async {
        let mut moved = pin!(sleep(LONG));
        assert!(futures_lite::future::poll_once(&mut moved).await.is_none());
        // The request is delivered while the leaf is not polled, so the leaf does not receive it.
        me().cancel();
        assert!(sleep(LONG).await.is_err());
        let inside = wait_for(moved, MOMENT).await;
        Ok(inside.unwrap_err().is_timeout())
    });
    assert!(task.await?);
    Ok(())
}
