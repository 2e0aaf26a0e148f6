//! Does `task_group` behave as asyncio's `TaskGroup`?

use selvedge::{CancelledError, Error, Result, create_task, get_running_loop, task_group, timeout};

use crate::check::conformance;
use crate::parts::{fail, spiteful};
use crate::trace::Trace;
use crate::{me, ms, pause};

async fn the_block_waits_for_all(t: Trace) -> Result<()> {
    task_group(async |tg| {
        tg.create_task(t.nap("a", 20, ()));
        tg.create_task(t.nap("b", 10, ()));
        t.tell("body ends");
        Ok(())
    })
    .await?;
    t.tell("block ends");
    Ok(())
}

async fn results_after_the_block(t: Trace) -> Result<()> {
    let (one, two) =
        task_group(async |tg| Ok((tg.create_task(t.nap("a", 20, 1)), tg.create_task(t.nap("b", 10, 2)))))
            .await?;
    t.value("results", (one.result()?, two.result()?));
    Ok(())
}

async fn an_empty_group(t: Trace) -> Result<()> {
    task_group(async |_| Ok(())).await?;
    t.tell("block ends");
    Ok(())
}

async fn a_child_adds_a_child(t: Trace) -> Result<()> {
    task_group(async |tg| {
        let group = tg.clone();
        tg.create_task(async move {
            pause(10).await?;
            group.create_task(t.nap("grandchild", 20, ()));
            Ok(())
        });
        Ok(())
    })
    .await?;
    t.tell("block ends");
    Ok(())
}

async fn a_failing_child_cancels_the_others(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(fail::<()>(10, "no"));
        tg.create_task(t.nap("sibling", 60_000, ()));
        Ok(())
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_failing_child_cancels_the_body(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(fail::<()>(10, "no"));
        t.nap("body", 60_000, ()).await
    });
    t.result("block", &block.await);
    t.value("cancelling", me().cancelling());
    Ok(())
}

async fn several_errors_come_in_the_order_they_happened(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(spiteful("second"));
        tg.create_task(fail::<()>(10, "first"));
        Ok(())
    });
    t.result("block", &block.await);
    Ok(())
}

async fn the_bodys_error_comes_last(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(fail::<()>(10, "child"));
        spiteful("body").await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_failing_body_cancels_the_children(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(t.nap("child", 60_000, ()));
        fail::<()>(10, "body").await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_failing_body_waits_for_clean_up(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(t.tidy("child", 20));
        fail::<()>(10, "body").await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn children_of_a_failed_body_never_start(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(t.nap("child", 0, ()));
        Err::<(), _>(Error::msg("at once"))
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_cancelled_child_harms_nobody(t: Trace) -> Result<()> {
    task_group(async |tg| {
        let child = tg.create_task(t.nap("child", 60_000, ()));
        tg.create_task(t.nap("sibling", 20, ()));
        pause(10).await?;
        child.cancel();
        Ok(())
    })
    .await?;
    t.tell("block ends");
    Ok(())
}

async fn a_child_that_refuses_is_waited_for(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(async move {
            t.stubborn("sibling", 60_000, ()).await?;
            pause(20).await?;
            t.tell("sibling ends");
            Ok(())
        });
        tg.create_task(fail::<()>(10, "no"));
        Ok(())
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_body_that_refuses_goes_on(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(fail::<()>(10, "no"));
        t.stubborn("body", 60_000, ()).await?;
        t.nap("body", 10, ()).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn no_child_for_a_group_that_is_over(t: Trace) -> Result<()> {
    let group = task_group(async |tg| Ok(tg)).await?;
    t.told("late", group.create_task(t.nap("late", 1, ()))).await
}

async fn no_child_for_a_group_that_shuts_down(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(fail::<()>(10, "no"));
        t.stubborn("body", 60_000, ()).await?;
        t.told("late", tg.create_task(t.nap("late", 1, ()))).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn cancelled_in_the_body(t: Trace) -> Result<()> {
    let mut task = create_task(async move {
        task_group(async |tg| {
            tg.create_task(t.tidy("child", 20));
            pause(60_000).await
        })
        .await
    });
    pause(10).await?;
    task.cancel_with("outside");
    t.outcome("task", &mut task).await;
    t.value("cancelling", task.cancelling());
    Ok(())
}

async fn cancelled_at_the_end_of_the_block(t: Trace) -> Result<()> {
    let mut task = create_task(async move {
        task_group(async |tg| {
            tg.create_task(t.tidy("child", 20));
            Ok(())
        })
        .await
    });
    pause(10).await?;
    task.cancel_with("outside");
    t.outcome("task", &mut task).await;
    t.value("cancelled", task.cancelled());
    Ok(())
}

async fn cancelled_and_a_child_fails_in_clean_up(t: Trace) -> Result<()> {
    let task = create_task(async move {
        let block = task_group(async |tg| {
            tg.create_task(spiteful("spite"));
            pause(60_000).await
        });
        t.result("block", &block.await);
        t.told("next await", pause(10)).await
    });
    pause(10).await?;
    task.cancel_with("outside");
    t.told("task", task).await
}

async fn a_handled_failure_leaves_no_request_behind(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(fail::<()>(10, "no"));
        Ok(())
    });
    t.result("block", &block.await);
    t.value("cancelling", me().cancelling());
    t.nap("afterwards", 10, ()).await
}

async fn groups_nest(t: Trace) -> Result<()> {
    task_group(async |outer| {
        outer.create_task(t.nap("outer", 30, ()));
        task_group(async |inner| {
            inner.create_task(t.nap("inner", 10, ()));
            Ok(())
        })
        .await?;
        t.tell("inner ends");
        Ok(())
    })
    .await?;
    t.tell("outer ends");
    Ok(())
}

async fn an_inner_group_fails(t: Trace) -> Result<()> {
    let block = task_group(async |outer| {
        outer.create_task(t.nap("cousin", 60_000, ()));
        task_group(async |inner| {
            inner.create_task(fail::<()>(10, "deep"));
            Ok(())
        })
        .await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn an_outer_group_fails(t: Trace) -> Result<()> {
    let block = task_group(async |outer| {
        outer.create_task(fail::<()>(10, "no"));
        task_group(async |inner| {
            inner.create_task(t.nap("deep", 60_000, ()));
            Ok(())
        })
        .await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn both_groups_fail(t: Trace) -> Result<()> {
    let block = task_group(async |outer| {
        outer.create_task(fail::<()>(10, "outer"));
        task_group(async |inner| {
            inner.create_task(spiteful("inner"));
            Ok(())
        })
        .await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_body_raises_a_cancellation_itself(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(t.nap("child", 60_000, ()));
        pause(10).await?;
        Err::<(), _>(CancelledError::with_message("own").into())
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_timeout_around_a_group(t: Trace) -> Result<()> {
    let block = timeout(ms(10), async |_| {
        task_group(async |tg| {
            tg.create_task(t.tidy("child", 20));
            Ok(())
        })
        .await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_timeout_around_a_group_that_fails_in_clean_up(t: Trace) -> Result<()> {
    let block = timeout(ms(10), async |_| {
        task_group(async |tg| {
            tg.create_task(spiteful("spite"));
            Ok(())
        })
        .await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_child_has_its_name(t: Trace) -> Result<()> {
    task_group(async |tg| {
        t.value("name", tg.create_task(pause(1)).named("child").get_name());
        Ok(())
    })
    .await
}

async fn a_group_is_cancelled(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(t.nap("child", 60_000, ()));
        let group = tg.clone();
        get_running_loop()?.call_later(ms(10), move || group.cancel());
        t.nap("body", 60_000, ()).await
    });
    t.result("block", &block.await);
    Ok(())
}

async fn a_group_is_cancelled_from_its_body(t: Trace) -> Result<()> {
    let block = task_group(async |tg| {
        tg.create_task(t.nap("child", 60_000, ()));
        pause(10).await?;
        tg.cancel();
        Ok(())
    });
    t.result("block", &block.await);
    Ok(())
}

conformance! {
    "groups";
    same: [
        the_block_waits_for_all, results_after_the_block, an_empty_group, a_child_adds_a_child,
        a_failing_child_cancels_the_others, a_failing_child_cancels_the_body,
        several_errors_come_in_the_order_they_happened, the_bodys_error_comes_last,
        a_failing_body_cancels_the_children, a_failing_body_waits_for_clean_up,
        a_cancelled_child_harms_nobody, a_child_that_refuses_is_waited_for, a_body_that_refuses_goes_on,
        no_child_for_a_group_that_is_over, no_child_for_a_group_that_shuts_down, cancelled_in_the_body,
        cancelled_at_the_end_of_the_block, a_handled_failure_leaves_no_request_behind, groups_nest,
        an_inner_group_fails, an_outer_group_fails, both_groups_fail, a_body_raises_a_cancellation_itself,
        a_timeout_around_a_group, a_timeout_around_a_group_that_fails_in_clean_up, a_child_has_its_name,
        a_group_is_cancelled, a_group_is_cancelled_from_its_body,
    ]
    alone: [children_of_a_failed_body_never_start]
    better: [
        // The message is not lost.
        cancelled_and_a_child_fails_in_clean_up => [
            "10 block: group[error spite]", "10 next await: cancelled outside", "10 task: ()",
        ],
    ]
    whenever: [
        the_block_waits_for_all, results_after_the_block, a_child_adds_a_child,
        a_failing_child_cancels_the_body, the_bodys_error_comes_last, groups_nest, a_group_is_cancelled,
    ]
}
