//! Does `gather` keep its promises: order, kinds of input, failures, cancellation?

use std::time::Duration;

use selvedge::{Error, Result, Task, create_task, gather, shield, sleep};
use selvedge_tests::{LONG, MOMENT, Reports, Trace, message_of, settle};

async fn after(delay: Duration, value: u32) -> Result<u32> {
    sleep(delay).returning(value).await
}

async fn fail(delay: Duration, message: &'static str) -> Result<u32> {
    sleep(delay).await?;
    Err(Error::msg(message))
}

#[selvedge::test(virtual_time)]
async fn nothing_is_gathered_at_once() -> Result<()> {
    assert_eq!(gather(Vec::<Task<u32>>::new()).await?, []);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn results_come_in_the_order_of_the_arguments() -> Result<()> {
    let vector: Vec<_> = (0..5).map(|n| after((5 - n) * MOMENT, n)).collect();
    assert_eq!(gather(vector).await?, [0, 1, 2, 3, 4]);
    assert_eq!(gather([after(MOMENT, 1), after(Duration::ZERO, 2)]).await?, [1, 2]);
    let mixed = (after(MOMENT, 1), async { Ok("two") }, create_task(async { Ok(3.0) }));
    assert_eq!(gather(mixed).await?, (1, "two", 3.0));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn twelve_of_twelve_types() -> Result<()> {
    macro_rules! ready {
        ($($value:expr),+) => { ($(async { Ok($value) },)+) };
    }
    let (a, .., l) =
        gather(ready!(1u8, 2u16, 3u32, 4u64, 5i8, 6i16, 7i32, 8i64, 'i', "j", 11.0f32, 12.0f64)).await?;
    assert_eq!((a, l), (1, 12.0));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn children_start_at_the_call() -> Result<()> {
    let trace = Trace::new();
    let child = {
        let trace = trace.clone();
        async move {
            trace.tell("ran");
            Ok(())
        }
    };
    let gathering = gather([child]);
    settle().await?;
    assert_eq!(trace.events(), ["ran"]);
    gathering.await?;
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn the_first_error_ends_it_and_the_others_go_on() -> Result<()> {
    let reports = Reports::of(&selvedge::get_running_loop()?);
    let slow = create_task(after(3 * MOMENT, 1));
    let slow_handle = slow.handle();
    let other_failure = create_task(fail(2 * MOMENT, "later"));
    let later_handle = other_failure.handle();
    let error = gather(vec![slow, create_task(fail(MOMENT, "first")), other_failure]).await.unwrap_err();
    assert_eq!(error.to_string(), "first");
    assert!(!slow_handle.done());
    sleep(3 * MOMENT).await?;
    assert!(slow_handle.exception()?.is_none());
    assert_eq!(later_handle.exception()?.map(|error| error.to_string()).as_deref(), Some("later"));
    assert!(reports.messages().is_empty(), "a sibling's error is dropped without a report");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn the_children_of_a_dropped_gathering_are_like_dropped_tasks() -> Result<()> {
    let reports = Reports::of(&selvedge::get_running_loop()?);
    drop(gather([fail(MOMENT, "one"), fail(2 * MOMENT, "two")]));
    let late = selvedge::wait_for(shield(create_task(fail(LONG, "shielded"))), MOMENT).await;
    assert!(late.unwrap_err().is_timeout());
    sleep(3 * MOMENT).await?;
    assert_eq!(reports.messages(), ["Task exception was never retrieved"; 2]);
    drop(gather((fail(Duration::ZERO, "three"),)).return_exceptions());
    settle().await?;
    assert_eq!(reports.messages().len(), 3);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_gathering_that_has_ended_says_so() -> Result<()> {
    let mut gathering = gather([after(MOMENT, 1)]);
    assert_eq!((&mut gathering).await?, [1]);
    assert!(gathering.await.unwrap_err().is::<selvedge::InvalidStateError>());
    let mut slept = sleep(MOMENT);
    (&mut slept).await?;
    assert!(slept.await.unwrap_err().is::<selvedge::InvalidStateError>());
    let mut called = selvedge::to_thread(|| 1);
    assert_eq!((&mut called).await?, 1);
    assert!(called.await.unwrap_err().is::<selvedge::InvalidStateError>());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn return_exceptions_returns_each_result() -> Result<()> {
    let cancelled = create_task(after(LONG, 0));
    settle().await?;
    cancelled.cancel_with("out");
    let results = gather(vec![create_task(after(MOMENT, 1)), create_task(fail(MOMENT, "no")), cancelled])
        .return_exceptions()
        .await?;
    assert_eq!(*results[0].as_ref().unwrap(), 1);
    assert_eq!(results[1].as_ref().unwrap_err().to_string(), "no");
    assert_eq!(message_of(results[2].as_ref().unwrap_err()), Some("out"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_cancelled_child_is_an_error_like_any_other() -> Result<()> {
    let child = create_task(after(LONG, 0));
    let other = create_task(after(MOMENT, 1));
    let (handle, other_handle) = (child.handle(), other.handle());
    let gathering = create_task(async move { gather([child, other]).await });
    settle().await?;
    handle.cancel();
    assert!(gathering.await.unwrap_err().is_cancelled());
    assert!(!other_handle.cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn without_return_exceptions_the_first_child_that_stops_ends_a_cancelled_gathering() -> Result<()> {
    let stubborn = create_task(async {
        let slept = sleep(LONG).await;
        sleep(LONG).await?;
        slept.map(|()| 0)
    });
    let handle = stubborn.handle();
    let gathering = create_task(async move { gather([stubborn, create_task(after(LONG, 0))]).await });
    settle().await?;
    gathering.cancel();
    assert!(gathering.await.unwrap_err().is_cancelled());
    assert!(!handle.done());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_cancelled_gathering_is_cancelled_even_if_its_children_refuse() -> Result<()> {
    let refuse = || async {
        let _ = sleep(LONG).await;
        Ok(1)
    };
    let gathering = create_task(async move { gather([refuse(), refuse()]).await });
    settle().await?;
    gathering.cancel();
    assert!(gathering.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_that_comes_after_the_results_is_not_for_the_gathering() -> Result<()> {
    let task = create_task(async {
        let gathering = gather([after(MOMENT, 1), after(MOMENT, 2)]);
        sleep(2 * MOMENT).await?;
        selvedge::current_task().unwrap().cancel();
        let results = gathering.await?;
        Ok((results, sleep(MOMENT).await.is_err()))
    });
    assert_eq!(task.await?, ([1, 2], true));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_shielded_child_outlives_the_gathering() -> Result<()> {
    let inner = create_task(after(3 * MOMENT, 7));
    let handle = inner.handle();
    let gathering = create_task(async move { gather((shield(inner), after(LONG, 0))).await });
    settle().await?;
    gathering.cancel();
    assert!(gathering.await.unwrap_err().is_cancelled());
    sleep(3 * MOMENT).await?;
    assert!(handle.exception()?.is_none());
    Ok(())
}

#[selvedge::test]
async fn ten_thousand_children() -> Result<()> {
    let children: Vec<_> = (0..10_000_u64).map(|n| async move { Ok(n) }).collect();
    assert_eq!(gather(children).await?.iter().sum::<u64>(), 49_995_000);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_whose_result_was_moved_out_is_an_error() -> Result<()> {
    let mut task = create_task(async { Ok(1) });
    assert_eq!((&mut task).await?, 1);
    assert!(gather([task]).await.unwrap_err().is::<selvedge::InvalidStateError>());
    Ok(())
}
