//! The rules of cancellation, one by one, in the order in which the documentation gives them.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{join, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use selvedge::{
    CancelledError, Error, Result, Task, cancellable, create_task, current_task, gather, shield, sleep, timeout, wait_for,
};
use selvedge_tests::{Drops, ForeignYield, LONG, MOMENT, Trace, foreign, message_of, settle};

fn me() -> selvedge::TaskHandle {
    current_task().expect("this runs in a task")
}

fn sleeper() -> Task<()> {
    create_task(sleep(LONG))
}

// Rule 1: counting.

#[selvedge::test(virtual_time)]
async fn a_request_is_counted_and_cancels() -> Result<()> {
    let task = sleeper();
    assert_eq!((task.cancelling(), task.cancelled()), (0, false));
    assert!(task.cancel());
    assert_eq!(task.cancelling(), 1);
    let handle = task.handle();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(handle.cancelled() && handle.done());
    assert!(!handle.cancel(), "a task that is done cannot be cancelled");
    assert_eq!(handle.cancelling(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_expiry_does_not_show_in_cancelling() -> Result<()> {
    let late = timeout(MOMENT, async |_| {
        let slept = sleep(LONG).await;
        assert_eq!(me().cancelling(), 0);
        slept
    });
    assert!(late.await.unwrap_err().is_timeout());
    assert_eq!(me().cancelling(), 0);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn two_requests_before_a_delivery_deliver_one_error_with_the_first_message() -> Result<()> {
    let task = create_task(async {
        let first = sleep(LONG).await.unwrap_err();
        let rest = sleep(MOMENT).await;
        Ok((first, rest.is_ok()))
    });
    settle().await?;
    task.cancel_with("first");
    task.cancel_with("second");
    assert_eq!(task.cancelling(), 2);
    let (error, rest_was_left_alone) = task.await?;
    assert_eq!(message_of(&error), Some("first"));
    assert!(rest_was_left_alone);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn each_delivery_has_its_own_message() -> Result<()> {
    let task = create_task(async {
        let first = sleep(LONG).await.unwrap_err();
        let second = sleep(LONG).await.unwrap_err();
        let third = sleep(LONG).await.unwrap_err();
        Ok([first, second, third])
    });
    for message in [Some("one"), None, Some("three")] {
        settle().await?;
        let _ = message.map_or_else(|| task.cancel(), |message| task.cancel_with(message));
    }
    let errors = task.await?;
    assert_eq!(errors.each_ref().map(message_of), [Some("one"), None, Some("three")]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn uncancel_to_zero_before_the_delivery_rescinds_it() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        me().cancel();
        assert_eq!(me().uncancel(), 1);
        assert_eq!(me().uncancel(), 0);
        assert_eq!(me().uncancel(), 0);
        sleep(MOMENT).returning("undisturbed").await
    });
    assert_eq!(task.await?, "undisturbed");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_suspended_leaf_is_not_told_of_a_rescinded_request_but_of_the_next() -> Result<()> {
    let task = create_task(async {
        let rescinding = async {
            ForeignYield::default().await;
            me().cancel();
            me().uncancel();
            ForeignYield::default().await;
            ForeignYield::default().await;
            me().cancel();
            Ok::<_, Error>(())
        };
        let (slept, _) = join(sleep(LONG), rescinding).await;
        Ok(slept.unwrap_err().is_cancelled())
    });
    assert!(task.await?);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn uncancel_says_that_a_refusal_is_meant() -> Result<()> {
    let task = create_task(async {
        let _ = sleep(LONG).await;
        assert_eq!(me().cancelling(), 1);
        assert_eq!(me().uncancel(), 0);
        sleep(MOMENT).returning("refused").await
    });
    settle().await?;
    task.cancel();
    let handle = task.handle();
    assert_eq!(task.await?, "refused");
    assert!(!handle.cancelled());
    Ok(())
}

// Rule 2: what is ready, then the request, then waiting.

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
    // Both are due at the same time, and the canceller's timer is armed first: on one worker it runs first.
    let sleeper = async { sleep(MOMENT).returning("slept").await };
    let canceller = create_task(async {
        sleep(MOMENT).await?;
        Ok(())
    });
    let sleeper = create_task(sleeper);
    let handle = sleeper.handle();
    canceller.await?;
    // The clock stands at the sleeper's deadline, whether or not it has been polled since.
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
        // Delivered while the leaf is not polled: it takes no part.
        me().cancel();
        assert!(sleep(LONG).await.is_err());
        let inside = wait_for(moved, MOMENT).await;
        Ok(inside.unwrap_err().is_timeout())
    });
    assert!(task.await?);
    Ok(())
}

// Rule 3: passing on.

#[selvedge::test(virtual_time)]
async fn a_request_passes_through_to_the_awaited_task() -> Result<()> {
    let trace = Trace::new();
    let inner = create_task({
        let trace = trace.clone();
        async move {
            let slept = sleep(LONG).await;
            sleep(MOMENT).await?;
            trace.tell("inner cleaned up");
            slept
        }
    });
    let inner_handle = inner.handle();
    let outer = create_task({
        let trace = trace.clone();
        async move {
            let result = inner.await;
            trace.tell("outer told");
            result
        }
    });
    settle().await?;
    outer.cancel_with("through");
    let error = outer.await.unwrap_err();
    assert_eq!(message_of(&error), Some("through"));
    assert_eq!(inner_handle.cancelling(), 1);
    assert_eq!(trace.events(), ["inner cleaned up", "outer told"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_awaited_task_may_absorb_the_request() -> Result<()> {
    let inner = create_task(async {
        let _ = sleep(LONG).await;
        Ok("stubborn")
    });
    let outer = create_task(async move {
        let value = inner.await?;
        sleep(MOMENT).await?;
        Ok((value, me().cancelling()))
    });
    settle().await?;
    outer.cancel();
    assert_eq!(outer.await?, ("stubborn", 1));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_awaited_task_may_answer_with_another_error() -> Result<()> {
    let inner: Task<()> = create_task(async {
        let _ = sleep(LONG).await;
        Err(Error::msg("clean-up failed"))
    });
    let outer = create_task(inner);
    settle().await?;
    outer.cancel();
    assert_eq!(outer.await.unwrap_err().to_string(), "clean-up failed");
    Ok(())
}

#[selvedge::test(virtual_time, workers = 1)]
async fn a_request_that_the_awaited_task_never_saw_meets_the_next_leaf() -> Result<()> {
    let (gate, opened) = async_channel::bounded::<()>(1);
    let inner = create_task(async move {
        opened.recv().await?;
        Ok("value")
    });
    let inner_handle = inner.handle();
    let outer = create_task(async move {
        let value = inner.await?;
        let then = sleep(LONG).await;
        Ok((value, then.is_err_and(|error| error.is_cancelled())))
    });
    settle().await?;
    // On one worker nobody runs in between: when the inner task is polled next, the value is there.
    outer.cancel();
    gate.try_send(()).expect("there is room");
    assert_eq!(outer.await?, ("value", true));
    assert!(!inner_handle.cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_that_someone_else_cancelled_is_an_error_to_its_awaiter() -> Result<()> {
    let inner = sleeper();
    let inner_handle = inner.handle();
    let outer = create_task(inner);
    let outer_handle = outer.handle();
    settle().await?;
    inner_handle.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!(outer_handle.cancelled());
    assert_eq!(outer_handle.cancelling(), 0);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_shield_stops_the_request() -> Result<()> {
    let inner = create_task(sleep(3 * MOMENT).returning("kept"));
    let handle = inner.handle();
    let (give, given) = async_channel::bounded(1);
    let outer = create_task(async move {
        let mut inner = inner;
        let shielded = inner.shielded().await;
        let _ = give.try_send(inner);
        shielded
    });
    settle().await?;
    outer.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert_eq!(handle.cancelling(), 0);
    assert_eq!(given.recv().await?.await?, "kept");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_shielded_coroutine_becomes_a_task_that_lives_on() -> Result<()> {
    let trace = Trace::new();
    let work = {
        let trace = trace.clone();
        async move {
            sleep(2 * MOMENT).await?;
            trace.tell("done");
            Ok(())
        }
    };
    let outer = create_task(async move { shield(work).await });
    settle().await?;
    outer.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!(trace.events().is_empty());
    sleep(2 * MOMENT).await?;
    assert_eq!(trace.events(), ["done"]);
    Ok(())
}

// Rule 4: what cannot be told.

#[selvedge::test(virtual_time)]
async fn a_task_at_a_foreign_await_is_dropped() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    let task: Task<()> = create_task(async move {
        let _counted = counted;
        foreign().await;
        unreachable!("a foreign future cannot be told");
    });
    settle().await?;
    task.cancel_with("go");
    let error = task.await.unwrap_err();
    assert_eq!(message_of(&error), Some("go"));
    assert_eq!(drops.count(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn cancellable_turns_a_foreign_await_into_one_that_is_told() -> Result<()> {
    let task = create_task(async {
        let told = cancellable(foreign()).await;
        sleep(MOMENT).await?;
        Ok(told.unwrap_err())
    });
    settle().await?;
    task.cancel_with("told");
    assert_eq!(message_of(&task.await?), Some("told"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_foreign_value_that_is_ready_wins_over_a_request() -> Result<()> {
    let (send, receive) = async_channel::bounded(1);
    let task = create_task(async move {
        me().cancel();
        send.send(9).await?;
        let value = cancellable(receive.recv()).await??;
        Ok((value, cancellable(receive.recv()).await.is_err()))
    });
    assert_eq!(task.await?, (9, true));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_leaf_in_one_arm_does_not_silence_a_frame_in_the_other() -> Result<()> {
    let leaf_first = create_task(async {
        let (leaf, frame) = join(sleep(LONG), cancellable(foreign())).await;
        Ok((leaf.is_err(), frame.is_err()))
    });
    let frame_first = create_task(async {
        let (frame, leaf) = join(cancellable(foreign()), sleep(LONG)).await;
        Ok((leaf.is_err(), frame.is_err()))
    });
    settle().await?;
    leaf_first.cancel();
    frame_first.cancel();
    assert_eq!((leaf_first.await?, frame_first.await?), ((true, true), (true, true)));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn futures_unordered_polls_nobody_who_was_not_woken_so_it_counts_as_foreign() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    let task = create_task(async move {
        let told = cancellable(async move {
            let _counted = counted;
            let mut set: FuturesUnordered<_> = (0..3).map(|_| sleep(LONG)).collect();
            set.next().await
        })
        .await;
        Ok(told.is_err())
    });
    settle().await?;
    task.cancel();
    assert!(task.await?);
    assert_eq!(drops.count(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_and_a_foreign_wake_in_the_same_poll() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        // Polled while the request is known: it is ready at its second poll, which the frame does not grant it.
        let yielded = cancellable(ForeignYield::default()).await;
        Ok(yielded.is_err())
    });
    assert!(task.await?);
    Ok(())
}

// Rule 5: the outermost request wins.

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
            // Made before the deadline is looked at for the first time, and delivered with it.
            let leaf = sleep(LONG);
            let mut leaf = pin!(leaf);
            assert!(futures_lite::future::poll_once(&mut leaf).await.is_none());
            me().cancel();
            leaf.await
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
    assert!(wait_for(async { Ok(foreign().await) }, Duration::ZERO).await.unwrap_err().is_timeout());
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

// Rule 6: before the first step.

#[selvedge::test(workers = 1)]
async fn a_task_that_is_cancelled_before_its_first_step_never_runs() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    // One worker, and it is busy here: the task cannot have started.
    let task: Task<()> = create_task(async move {
        let _counted = counted;
        unreachable!("cancelled before its first step");
    });
    task.cancel_with("too early");
    let handle = task.handle();
    assert_eq!(message_of(&task.await.unwrap_err()), Some("too early"));
    assert!(handle.cancelled());
    assert_eq!((handle.cancelling(), drops.count()), (1, 1));
    Ok(())
}

// Beyond the rules.

#[selvedge::test(virtual_time)]
async fn a_coroutine_may_raise_a_cancellation_of_its_own() -> Result<()> {
    let task: Task<()> = create_task(async { Err(CancelledError::with_message("mine").into()) });
    let handle = task.handle();
    assert_eq!(message_of(&task.await.unwrap_err()), Some("mine"));
    assert!(handle.cancelled());
    assert_eq!(handle.cancelling(), 0);
    assert!(handle.exception().unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_cancelled_gathering_cancels_its_children_and_waits() -> Result<()> {
    let trace = Trace::new();
    let child = |name: &'static str, clean_up: Duration| {
        let trace = trace.clone();
        async move {
            let slept = sleep(LONG).await;
            sleep(clean_up).await?;
            trace.tell(name);
            slept
        }
    };
    let children = [child("slow", 5 * MOMENT), child("quick", MOMENT)];
    let task = create_task(async move { gather(children).return_exceptions().await });
    settle().await?;
    task.cancel_with("all of you");
    assert_eq!(message_of(&task.await.unwrap_err()), Some("all of you"));
    assert_eq!(trace.events(), ["quick", "slow"]);
    Ok(())
}
