//! Does `gather` behave as asyncio's: order, failures, cancellation?

use selvedge::{Future, Result, Task, create_task, gather, get_running_loop, shield};

use crate::check::conformance;
use crate::parts::fail;
use crate::pause;
use crate::trace::{Shown, Trace};

async fn nothing_is_gathered_at_once(t: Trace) -> Result<()> {
    t.outcome("gather", gather(Vec::<Task<u32>>::new())).await;
    Ok(())
}

async fn results_come_in_the_order_of_the_arguments(t: Trace) -> Result<()> {
    t.outcome("gather", gather([t.nap("a", 30, 1), t.nap("b", 10, 2), t.nap("c", 20, 3)])).await;
    Ok(())
}

async fn children_start_without_an_await(t: Trace) -> Result<()> {
    let gathering = gather([t.nap("child", 10, 1)]);
    pause(20).await?;
    t.outcome("gather", gathering).await;
    Ok(())
}

async fn tasks_and_coroutines_mix(t: Trace) -> Result<()> {
    let task = create_task(t.nap("task", 20, 1));
    let (one, two) = gather((task, t.nap("coroutine", 10, 2))).await?;
    t.value("gather", [one, two]);
    Ok(())
}

async fn done_tasks_are_gathered(t: Trace) -> Result<()> {
    let tasks = [create_task(t.nap("child 1", 1, 1)), create_task(t.nap("child 2", 2, 2))];
    pause(10).await?;
    t.outcome("gather", gather(tasks)).await;
    Ok(())
}

async fn the_first_error_ends_it_and_siblings_go_on(t: Trace) -> Result<()> {
    let sibling = create_task(t.nap("sibling", 50, ()));
    let handle = sibling.handle();
    let children = [sibling, create_task(fail(10, "first")), create_task(fail(20, "second"))];
    t.outcome("gather", gather(children)).await;
    pause(60).await?;
    t.value("sibling done", handle.done());
    Ok(())
}

async fn later_errors_are_never_reported(t: Trace) -> Result<()> {
    t.outcome("gather", gather([fail::<()>(10, "first"), fail(20, "second")])).await;
    pause(30).await?;
    t.tell("main ends");
    Ok(())
}

async fn with_return_exceptions_all_are_waited_for(t: Trace) -> Result<()> {
    let children =
        [create_task(t.nap("a", 30, 1)), create_task(fail(10, "b")), create_task(t.nap("c", 20, 3))];
    let results = gather(children).return_exceptions().await?;
    t.value("gather", results.each_ref().map(Shown));
    Ok(())
}

async fn a_cancelled_child_ends_it(t: Trace) -> Result<()> {
    let child = create_task(pause(60_000));
    let handle = child.handle();
    let sibling = create_task(t.nap("sibling", 30, ()));
    let killer = create_task(async move {
        pause(10).await?;
        handle.cancel_with("child");
        Ok(())
    });
    t.outcome("gather", gather([child, sibling])).await;
    killer.await?;
    pause(40).await
}

async fn a_cancelled_child_among_the_results(t: Trace) -> Result<()> {
    let child = create_task(pause(60_000));
    let handle = child.handle();
    let killer = create_task(async move {
        pause(10).await?;
        handle.cancel();
        Ok(())
    });
    let results = gather([child, create_task(t.nap("sibling", 30, ()))]).return_exceptions().await?;
    t.value("gather", results.each_ref().map(Shown));
    killer.await
}

async fn a_message_of_a_cancelled_child_among_the_results(t: Trace) -> Result<()> {
    let child = create_task(pause(60_000));
    let handle = child.handle();
    let gathering = gather([child]).return_exceptions();
    pause(10).await?;
    handle.cancel_with("why");
    t.value("gather", gathering.await?.each_ref().map(Shown));
    Ok(())
}

async fn cancelled_from_outside_all_children_are(t: Trace) -> Result<()> {
    let children = [t.nap("a", 60_000, ()), t.nap("b", 60_000, ())];
    let task = create_task(async move { t.told("gather", gather(children)).await });
    pause(10).await?;
    task.cancel_with("all");
    task.await
}

async fn cancelled_with_return_exceptions_it_waits_for_clean_up(t: Trace) -> Result<()> {
    let task = create_task(async move {
        let all = gather((t.tidy("a", 20), t.nap("b", 10, 2))).return_exceptions().await;
        t.result("gather", &all);
        Ok(())
    });
    pause(15).await?;
    task.cancel_with("all");
    task.await
}

async fn children_that_refuse_do_not_undo_the_cancellation(t: Trace) -> Result<()> {
    let task = create_task(async move {
        let all = gather([t.stubborn("a", 60_000, 1)]).return_exceptions().await;
        t.result("gather", &all);
        Ok(())
    });
    pause(10).await?;
    task.cancel_with("all");
    task.await
}

async fn cancelled_it_ends_with_the_first_child(t: Trace) -> Result<()> {
    let task =
        create_task(async move { t.told("gather", gather([t.tidy("slow", 30), t.tidy("quick", 10)])).await });
    pause(10).await?;
    task.cancel();
    task.await?;
    pause(40).await
}

async fn children_done_before_the_request(t: Trace) -> Result<()> {
    let first: Future<u32> = get_running_loop()?.create_future();
    let awaited = first.clone();
    let task = create_task(async move {
        t.outcome("gather", gather([awaited])).await;
        t.outcome("sleep", pause(10)).await;
        Ok(())
    });
    pause(10).await?;
    first.set_result(1)?;
    task.cancel_with("late");
    task.await
}

async fn a_shielded_child_goes_on(t: Trace) -> Result<()> {
    let inner = create_task(t.nap("inner", 30, ()));
    let handle = inner.handle();
    let task = create_task(async move { t.told("gather", gather([shield(inner)])).await });
    pause(10).await?;
    task.cancel_with("outer");
    task.await?;
    pause(30).await?;
    t.value("inner cancelled", handle.cancelled());
    Ok(())
}

async fn gatherings_nest(t: Trace) -> Result<()> {
    let one = gather([t.nap("a", 10, 1), t.nap("b", 20, 2)]);
    let two = gather([t.nap("c", 30, 3), t.nap("d", 5, 4)]);
    t.outcome("gather", gather([one, two])).await;
    Ok(())
}

async fn an_error_inside_a_nested_gathering(t: Trace) -> Result<()> {
    let inner = gather([create_task(fail(10, "deep")), create_task(t.nap("sibling", 20, ()))]);
    t.outcome("gather", gather((inner, t.nap("cousin", 30, ())))).await;
    pause(30).await
}

conformance! {
    "gathering";
    same: [
        nothing_is_gathered_at_once, results_come_in_the_order_of_the_arguments,
        children_start_without_an_await, tasks_and_coroutines_mix, done_tasks_are_gathered,
        the_first_error_ends_it_and_siblings_go_on, later_errors_are_never_reported,
        with_return_exceptions_all_are_waited_for, a_cancelled_child_ends_it,
        a_cancelled_child_among_the_results, cancelled_from_outside_all_children_are,
        cancelled_it_ends_with_the_first_child, a_shielded_child_goes_on, gatherings_nest,
        an_error_inside_a_nested_gathering,
    ]
    alone: []
    better: [
        // Messages are not lost.
        a_message_of_a_cancelled_child_among_the_results => ["10 gather: [cancelled why]"],
        cancelled_with_return_exceptions_it_waits_for_clean_up => [
            "10 b: rested", "15 a: cleaning", "35 a: clean", "35 gather: cancelled all",
        ],
        children_that_refuse_do_not_undo_the_cancellation => [
            "10 a: cancelled all", "10 gather: cancelled all",
        ],
        // The child's result was there first; the request is delivered to the next await.
        children_done_before_the_request => ["10 gather: [1]", "10 sleep: cancelled late"],
    ]
    whenever: [
        results_come_in_the_order_of_the_arguments, tasks_and_coroutines_mix,
        with_return_exceptions_all_are_waited_for, gatherings_nest, a_cancelled_child_among_the_results,
    ]
}
