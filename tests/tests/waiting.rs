//! Do `wait` and `as_completed` keep their promises?

use std::time::Duration;

use futures_util::stream::StreamExt;
use selvedge::{
    Error, FIRST_COMPLETED, FIRST_EXCEPTION, Result, RuntimeError, Task, as_completed, create_task,
    current_task, gather, get_running_loop, sleep, wait, wait_for,
};
use selvedge_tests::{LONG, MOMENT, Reports, message_of, settle};

fn after(moments: u32, value: u32) -> Task<u32> {
    create_task(sleep(moments * MOMENT).returning(value))
}

fn fail_after(moments: u32) -> Task<u32> {
    create_task(async move {
        sleep(moments * MOMENT).await?;
        Err(Error::msg("failed"))
    })
}

async fn values(tasks: Vec<Task<u32>>) -> Result<Vec<u32>> {
    gather(tasks).await
}

#[selvedge::test(virtual_time)]
async fn waits_for_all_and_keeps_the_order_of_the_input() -> Result<()> {
    let (done, pending) = wait([after(3, 1), after(1, 2), after(2, 3)]).await?;
    assert!(pending.is_empty());
    assert_eq!(values(done).await?, [1, 2, 3]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn first_completed_returns_with_the_first() -> Result<()> {
    let (done, pending) = wait([after(3, 1), after(1, 2)]).return_when(FIRST_COMPLETED).await?;
    assert_eq!(values(done).await?, [2]);
    // A task that is done already is enough.
    let (later, never) = (after(9, 9), after(60_000, 0));
    let (done, pending) = wait(pending.iter().chain([&later])).timeout(Duration::from_secs(1)).await?;
    assert_eq!((done.len(), pending.len()), (2, 0));
    let (again, _) = wait([done[0], &never]).return_when(FIRST_COMPLETED).await?;
    assert_eq!(again.len(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn first_exception_is_not_impressed_by_cancellations() -> Result<()> {
    let cancelled = after(100, 0);
    settle().await?;
    cancelled.cancel();
    let (done, pending) =
        wait([cancelled, fail_after(3), after(100, 1)]).return_when(FIRST_EXCEPTION).await?;
    assert_eq!((done.len(), pending.len()), (2, 1));
    let (done, pending) = wait([after(1, 0), after(2, 0)]).return_when(FIRST_EXCEPTION).await?;
    assert_eq!((done.len(), pending.len()), (2, 0));
    for task in done {
        task.await?;
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_timeout_is_no_error() -> Result<()> {
    let (done, pending) = wait([after(1, 1), after(100, 2)]).timeout(2 * MOMENT).await?;
    assert_eq!(values(done).await?, [1]);
    assert_eq!(pending.len(), 1);
    assert!(!pending[0].cancelled());
    Ok(())
}

#[selvedge::test(virtual_time, workers = 1)]
async fn no_time_at_all_lets_the_others_run_once() -> Result<()> {
    let quick = create_task(async { Ok(1) });
    let (done, pending) = wait([quick]).timeout(Duration::ZERO).await?;
    assert_eq!((done.len(), pending.len()), (1, 0));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn nothing_to_wait_for_is_an_error() -> Result<()> {
    let error = wait(Vec::<Task<()>>::new()).await.unwrap_err();
    assert!(error.is::<RuntimeError>());
    assert_eq!(error.to_string(), "Set of Tasks/Futures is empty.");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn handles_wait_for_tasks_of_different_types_and_count_once() -> Result<()> {
    let (number, text) = (after(1, 1), create_task(sleep(MOMENT).returning("text")));
    let (done, _) = wait([number.handle(), text.handle(), number.handle()]).await?;
    assert_eq!(done, [number.handle(), text.handle()]);
    assert_eq!((number.await?, text.await?), (1, "text"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_cancelled_wait_touches_nobody() -> Result<()> {
    let task = after(5, 7);
    let handle = task.handle();
    let waiting = create_task(async move { wait([handle]).await.map(drop) });
    settle().await?;
    waiting.cancel_with("enough");
    assert_eq!(message_of(&waiting.await.unwrap_err()), Some("enough"));
    assert_eq!(task.await?, 7);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn waiting_is_not_retrieving() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let (done, _) = wait([fail_after(1)]).await?;
    assert!(reports.messages().is_empty());
    drop(done);
    assert_eq!(reports.messages(), ["Task exception was never retrieved"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn results_come_as_they_are_completed() -> Result<()> {
    let mut results = as_completed([after(3, 3), fail_after(2), after(1, 1)]);
    assert_eq!(results.next().await.unwrap()?, 1);
    assert!(results.next().await.unwrap().is_err());
    assert_eq!(results.next().await.unwrap()?, 3);
    assert!(results.next().await.is_none());
    assert!(as_completed(Vec::<Task<u32>>::new()).next().await.is_none());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn as_completed_is_a_stream() -> Result<()> {
    let results = as_completed((1..=4).rev().map(|n| sleep(n * MOMENT).returning(n)));
    let order: Vec<u32> = StreamExt::map(results, Result::unwrap).collect().await;
    assert_eq!(order, [1, 2, 3, 4]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn what_misses_the_deadline_is_a_timeout_each() -> Result<()> {
    let slow = [after(100, 2), after(100, 3)];
    let handles = slow.each_ref().map(Task::handle);
    let mut results = as_completed(std::iter::once(after(1, 1)).chain(slow)).timeout(2 * MOMENT);
    sleep(5 * MOMENT).await?;
    assert_eq!(results.next().await.unwrap()?, 1, "what is there comes first");
    assert!(results.next().await.unwrap().unwrap_err().is_timeout());
    assert!(results.next().await.unwrap().unwrap_err().is_timeout());
    assert!(results.next().await.is_none());
    assert!(handles.iter().all(|handle| !handle.done()));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_ends_one_next_and_the_following_goes_on() -> Result<()> {
    let task = create_task(async {
        let mut results = as_completed([after(5, 5)]);
        let told = results.next().await.unwrap().unwrap_err();
        assert!(told.is_cancelled());
        assert_eq!(current_task().unwrap().uncancel(), 0);
        results.next().await.unwrap()
    });
    settle().await?;
    task.cancel();
    assert_eq!(task.await?, 5);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn next_can_be_given_a_deadline_of_its_own() -> Result<()> {
    let mut results = as_completed([after(5, 5)]);
    let early = wait_for(async { results.next().await.unwrap() }, MOMENT).await;
    assert!(early.unwrap_err().is_timeout());
    assert_eq!(wait_for(async { results.next().await.unwrap() }, LONG).await?, 5);
    Ok(())
}
