//! What happens on misuse? Each misuse gets an error, and nothing hangs.
//!
//! Tasks that await themselves or each other, results that are taken twice, and callbacks that
//! panic are tested beside the API that they misuse.

use std::time::Duration;

use selvedge::{
    Error, Result, RuntimeError, Task, TaskHandle, all_tasks, as_completed, create_task, gather,
    get_running_loop, shield, sleep, task_group, timeout, wait, wait_for,
};
use selvedge_tests::{LONG, MOMENT, Reports, Trace, settle};

async fn done() -> Result<Task<u32>> {
    let task = create_task(async { Ok(1) });
    wait([&task]).await?;
    assert!(task.done());
    Ok(task)
}

#[selvedge::test(workers = 1, virtual_time)]
async fn of_nothing_comes_nothing() -> Result<()> {
    assert_eq!(gather(Vec::<Task<u32>>::new()).await?, [0; 0]);
    assert_eq!(gather([(); 0].map(|()| sleep(LONG))).await?, [(); 0]);
    assert!(gather(Vec::<Task<u32>>::new()).return_exceptions().await?.is_empty());
    assert!(as_completed(Vec::<Task<u32>>::new()).next().await.is_none());
    assert!(wait(Vec::<TaskHandle>::new()).await.unwrap_err().is::<RuntimeError>());
    assert_eq!(task_group(async |_| Ok(1)).await?, 1);
    assert_eq!(create_task(async { Ok(1) }).named("").get_name(), "");
    assert_eq!(get_running_loop()?.time(), Duration::ZERO, "none of it took any time");
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn tasks_that_are_done_are_waited_for_no_longer() -> Result<()> {
    assert_eq!(gather([done().await?, done().await?]).await?, [1, 1]);
    assert_eq!(wait_for(done().await?, Duration::ZERO).await?, 1);
    assert_eq!(shield(done().await?).await?, 1);
    assert_eq!(done().await?.shielded().await?, 1);
    assert_eq!(as_completed([done().await?]).next().await.expect("one is left")?, 1);
    let (over, pending) = wait([done().await?]).timeout(Duration::ZERO).await?;
    assert_eq!((over.len(), pending.len()), (1, 0));
    let finished = done().await?;
    assert!(!finished.cancel() && finished.cancelling() == 0 && !finished.cancelled());
    assert_eq!(get_running_loop()?.time(), Duration::ZERO, "none of it took any time");
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_task_given_twice_counts_once() -> Result<()> {
    let task = create_task(sleep(MOMENT));
    let handles = vec![task.handle(); 3];
    let (over, pending) = wait(handles).await?;
    assert_eq!((over.len(), pending.len()), (1, 0));
    Ok(())
}

/// Cancels a task in its destructor.
struct CancelsOnDrop(TaskHandle);

impl Drop for CancelsOnDrop {
    fn drop(&mut self) {
        self.0.cancel_with("from a destructor");
    }
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_destructor_cancels_another_task() -> Result<()> {
    let other = create_task(sleep(LONG));
    let cancels = CancelsOnDrop(other.handle());
    // Dropped with the coroutine: once at its end, and once before its first step.
    let task = create_task(async move {
        let _cancels = cancels;
        settle().await
    });
    task.await?;
    assert!(other.await.unwrap_err().is_cancelled());
    let other = create_task(sleep(LONG));
    let cancels = CancelsOnDrop(other.handle());
    let never_begins = create_task(async move {
        drop(cancels);
        Ok(())
    });
    never_begins.cancel();
    assert!(never_begins.await.unwrap_err().is_cancelled());
    assert!(other.await.unwrap_err().is_cancelled());
    Ok(())
}

/// The task has almost ended when its coroutine is dropped: the request is counted, and has no
/// effect.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_destructor_cancels_its_own_task() -> Result<()> {
    for gives_up in [false, true] {
        let (give, get) = async_channel::bounded::<TaskHandle>(1);
        let task = create_task(async move {
            let _cancels = CancelsOnDrop(get.recv().await?);
            sleep(if gives_up { LONG } else { MOMENT }).await?;
            Ok(1)
        });
        give.send(task.handle()).await?;
        settle().await?;
        if gives_up {
            task.cancel();
        }
        let ended = task.await;
        assert_eq!(ended.is_ok(), !gives_up);
        assert!(ended.is_ok_and(|value| value == 1) || gives_up);
    }
    Ok(())
}

/// A destructor that runs because of a cancellation makes two more requests: to the task that is
/// being dropped, and to the task that awaits it.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_destructor_cancels_whoever_waits_for_it() -> Result<()> {
    let (give, get) = async_channel::bounded::<TaskHandle>(1);
    let inner = create_task(async move {
        let _cancels = CancelsOnDrop(get.recv().await?);
        selvedge_tests::foreign().await;
        Ok(())
    });
    let handle = inner.handle();
    let outer = create_task(inner);
    give.send(outer.handle()).await?;
    settle().await?;
    handle.cancel();
    assert!(outer.await.unwrap_err().is_cancelled());
    assert!(handle.cancelled());
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_timeout_is_not_moved_once_it_has_expired_or_ended() -> Result<()> {
    let (give, get) = async_channel::bounded(1);
    let late = timeout(MOMENT, async move |cm| {
        let slept = sleep(LONG).await;
        let refused = cm.reschedule(LONG).unwrap_err();
        assert!(refused.is::<RuntimeError>() && refused.to_string().contains("expiring"), "{refused}");
        give.send(cm).await?;
        slept
    });
    assert!(late.await.unwrap_err().is_timeout());
    let expired = get.recv().await?;
    let refused = expired.reschedule(LONG).unwrap_err();
    assert!(refused.to_string().contains("expired"), "{refused}");
    assert!(expired.expired());
    let finished = timeout(LONG, async |cm| Ok(cm)).await?;
    assert!(finished.reschedule(MOMENT).unwrap_err().to_string().contains("finished"));
    assert!(!finished.expired());
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_done_callback_adds_callbacks_to_its_task() -> Result<()> {
    let trace = Trace::new();
    let told = trace.clone();
    let task = create_task(async { Ok(()) });
    task.add_done_callback(move |task| {
        told.tell("first");
        let later = told.clone();
        task.add_done_callback(move |task| {
            later.tell("added");
            let last = later.clone();
            task.add_done_callback(move |_| last.tell("added by what was added"));
            later.tell("not at once");
        });
    });
    task.await?;
    settle().await?;
    assert_eq!(trace.events(), ["first", "added", "not at once", "added by what was added"]);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn a_futures_callback_adds_callbacks_and_panics() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let trace = Trace::new();
    let told = trace.clone();
    let future = get_running_loop()?.create_future::<u32>();
    let same = future.clone();
    future.add_done_callback(move |_| {
        let later = told.clone();
        same.add_done_callback(move |_| later.tell("added"));
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    future.set_result(1)?;
    settle().await?;
    assert_eq!(trace.events(), ["added"]);
    assert_eq!(reports.messages(), ["Exception in callback"]);
    Ok(())
}

/// Every task waits for another one. The call graph reports the cycle, and a request goes around it
/// once.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_circle_of_awaits_is_reported() -> Result<()> {
    let (give, get) = async_channel::bounded::<Task<()>>(1);
    let first = create_task(async move { get.recv().await?.await }).named("first");
    let handle = first.handle();
    give.send(create_task(first).named("second")).await?;
    settle().await?;
    let report = selvedge::format_call_graph(&handle, 0)?;
    assert_eq!(report.matches("Task(name='first'").count(), 2, "{report}");
    assert!(report.contains("Awaited by: see above"), "{report}");
    handle.cancel();
    settle().await?;
    assert_eq!(all_tasks().len(), 1, "only this one is left");
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn an_error_is_taken_as_often_as_it_is_asked_for() -> Result<()> {
    let mut task = create_task(async { Err::<(), _>(Error::msg("no")) });
    assert_eq!((&mut task).await.unwrap_err().to_string(), "no");
    assert_eq!(task.exception()?.expect("it failed").to_string(), "no");
    assert!(
        (&mut task).await.unwrap_err().is::<selvedge::InvalidStateError>(),
        "the result is moved out once"
    );
    Ok(())
}
