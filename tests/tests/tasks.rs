//! What does a task report about itself, and which observers are notified of its end?

use std::panic::Location;
use std::time::Duration;

use selvedge::{
    CallbackId, Error, InvalidStateError, PanicError, Result, RuntimeError, Task, TaskHandle, all_tasks,
    create_task, current_task, get_running_loop, sleep, task, try_create_task,
};
use selvedge_tests::{Drops, LONG, MOMENT, Reports, Trace, settle};

#[selvedge::test(virtual_time)]
async fn a_result_can_be_looked_at_and_moved_out_once() -> Result<()> {
    let mut task = create_task(sleep(MOMENT).returning(String::from("value")));
    assert!(task.result().unwrap_err().is::<InvalidStateError>());
    assert!(task.exception().unwrap_err().is::<InvalidStateError>());
    sleep(2 * MOMENT).await?;
    assert_eq!(task.result()?, "value");
    assert!(task.exception()?.is_none());
    assert_eq!((&mut task).await?, "value");
    assert!(task.result().unwrap_err().is::<InvalidStateError>());
    assert!(task.await.unwrap_err().is::<InvalidStateError>());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_failure_is_the_same_error_for_all_who_ask() -> Result<()> {
    let task: Task<()> = create_task(async { Err(std::io::Error::other("disk").into()) });
    let handle = task.handle();
    settle().await?;
    assert!(task.result().unwrap_err().is::<std::io::Error>());
    assert!(handle.exception()?.is_some_and(|error| error.is::<std::io::Error>()));
    assert!(task.await.unwrap_err().is::<std::io::Error>());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_panic_is_the_tasks_error_and_the_worker_lives_on() -> Result<()> {
    for _ in 0..100 {
        let task: Task<()> = create_task(async { std::panic::resume_unwind(Box::new("oh no")) });
        let handle = task.handle();
        let error = task.await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.downcast_ref::<PanicError>().unwrap().message(), "oh no");
        assert!(handle.exception()?.is_some_and(|error| error.is_panic()));
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_detached_task_runs_on() -> Result<()> {
    let trace = Trace::new();
    drop(create_task({
        let trace = trace.clone();
        async move {
            sleep(MOMENT).await?;
            trace.tell("ran");
            Ok(())
        }
    }));
    sleep(2 * MOMENT).await?;
    assert_eq!(trace.events(), ["ran"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_result_nobody_takes_is_dropped_once() -> Result<()> {
    let drops = Drops::new();
    for detach_first in [true, false] {
        let counted = drops.counted();
        let task = create_task(sleep(MOMENT).returning(counted));
        if detach_first {
            drop(task);
            sleep(2 * MOMENT).await?;
        } else {
            sleep(2 * MOMENT).await?;
            drop(task);
        }
    }
    assert_eq!(drops.count(), 2);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn names_count_up_and_can_be_given() -> Result<()> {
    let unnamed = create_task(async { Ok(()) });
    let number: u64 = unnamed.get_name().strip_prefix("Task-").unwrap().parse()?;
    assert!(number >= 1);
    let named = create_task(async { Ok(current_task().unwrap().get_name()) }).named("by method");
    assert_eq!(named.get_name(), "by method");
    named.set_name("");
    assert_eq!(named.get_name(), "");
    let built = task::Builder::new()
        .name("by builder")
        .create_task(async { Ok(current_task().unwrap().get_name()) })?;
    assert_eq!(built.await?, "by builder");
    drop((unnamed, named));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_tells_what_it_runs_and_where_it_was_made() -> Result<()> {
    async fn waits_long() -> Result<()> {
        sleep(LONG).await
    }
    let here = Location::caller();
    let task = create_task(waits_long());
    let coro = task.get_coro();
    assert_eq!(coro.created_at().file(), here.file());
    assert_eq!(coro.created_at().line(), here.line() + 1);
    assert!(coro.type_name().contains("waits_long"), "{}", coro.type_name());
    assert!(!coro.type_name().contains("TaskBody"), "{}", coro.type_name());
    task.cancel();
    assert!(task.await.is_err());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn debug_output_tells_the_state() -> Result<()> {
    let task = create_task(sleep(LONG)).named("x");
    assert!(format!("{task:?}").starts_with("<Task pending name=\"x\""), "{task:?}");
    task.cancel();
    settle().await?;
    assert!(format!("{:?}", task.handle()).starts_with("<Task cancelled"), "{task:?}");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn the_current_task_and_all_tasks() -> Result<()> {
    let me = current_task().unwrap();
    assert_eq!(me, current_task().unwrap());
    assert_eq!(all_tasks(), std::slice::from_ref(&me));
    let other = create_task(sleep(LONG));
    let all = all_tasks();
    assert_eq!(all.len(), 2);
    assert!(all.contains(&other.handle()) && all.contains(&me));
    assert_ne!(me.id(), other.id());
    other.cancel();
    assert!(other.await.is_err());
    assert_eq!(all_tasks(), [me]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_cannot_await_itself() -> Result<()> {
    let (give, given) = async_channel::bounded::<Task<()>>(1);
    let task = create_task(async move {
        let myself = given.recv().await?;
        myself.await
    });
    let handle = task.handle();
    give.send(task).await?;
    sleep(MOMENT).await?;
    let error = handle.exception()?.unwrap();
    assert!(error.is::<RuntimeError>());
    assert!(error.to_string().contains("cannot await on itself"), "{error}");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn done_callbacks_run_in_order_and_not_at_once() -> Result<()> {
    let trace = Trace::new();
    let task = create_task(sleep(MOMENT));
    let add = |task: &TaskHandle, name: &'static str| -> CallbackId {
        let trace = trace.clone();
        task.add_done_callback(move |task| {
            assert!(task.done());
            assert!(current_task().is_none(), "a callback is no task");
            trace.tell(name);
        })
    };
    let handle = task.handle();
    add(&handle, "first");
    let second = add(&handle, "second");
    add(&handle, "third");
    assert!(handle.remove_done_callback(second));
    assert!(!handle.remove_done_callback(second));
    task.await?;
    settle().await?;
    assert_eq!(trace.events(), ["first", "third"]);
    add(&handle, "late");
    settle().await?;
    assert_eq!(trace.events(), ["first", "third", "late"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_callback_that_panics_is_reported_and_the_others_run() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let trace = Trace::new();
    let task = create_task(sleep(MOMENT));
    task.add_done_callback(|_| std::panic::resume_unwind(Box::new("in callback")));
    let told = trace.clone();
    task.add_done_callback(move |_| told.tell("other"));
    task.await?;
    settle().await?;
    assert_eq!(trace.events(), ["other"]);
    assert_eq!(reports.messages(), ["Exception in callback"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_error_nobody_retrieved_is_reported_once() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    drop(create_task(async { Err::<(), _>(Error::msg("lost")) }).named("loser"));
    settle().await?;
    assert_eq!(reports.messages(), ["Task exception was never retrieved"]);
    let report = &reports.all()[0];
    assert_eq!(report.task().unwrap().get_name(), "loser");
    assert_eq!(report.exception().unwrap().to_string(), "lost");
    assert!(report.to_string().contains("tests/tasks.rs"), "{report}");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn what_counts_as_retrieving_an_error() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let fail = || create_task(async { Err::<(), _>(Error::msg("lost")) });
    let (awaited, asked, looked, dropped, cancelled) =
        (fail(), fail(), fail(), fail(), create_task(sleep(LONG)));
    settle().await?;
    cancelled.cancel();
    assert!(awaited.await.is_err());
    assert!(asked.exception()?.is_some());
    assert!(looked.result().is_err());
    assert!(dropped.done());
    settle().await?;
    drop((asked, looked, cancelled));
    assert!(reports.messages().is_empty());
    drop(dropped);
    assert_eq!(reports.messages().len(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_panicking_exception_handler_harms_nobody() -> Result<()> {
    get_running_loop()?.set_exception_handler(|_, _| std::panic::resume_unwind(Box::new("in handler")));
    drop(create_task(async { Err::<(), _>(Error::msg("lost")) }));
    settle().await?;
    Ok(())
}

#[test]
fn outside_of_a_loop_there_are_no_tasks() {
    assert!(current_task().is_none());
    assert!(all_tasks().is_empty());
    assert!(get_running_loop().unwrap_err().is::<RuntimeError>());
    let drops = Drops::new();
    let counted = drops.counted();
    let error = try_create_task(async move {
        drop(counted);
        Ok(())
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "no running event loop");
    assert_eq!(drops.count(), 1);
}

#[test]
#[should_panic(expected = "no running event loop")]
fn create_task_outside_of_a_loop_panics() {
    drop(create_task(async { Ok(()) }));
}

#[test]
fn types_are_as_sendable_as_promised() {
    fn check<T: Send + Sync + Unpin>() {}
    check::<Task<u32>>();
    check::<TaskHandle>();
    check::<Error>();
    check::<selvedge::EventLoop>();
    check::<selvedge::Runner>();
    check::<selvedge::ConcurrentFuture<u32>>();
    check::<selvedge::Context>();
    check::<selvedge::Timeout>();
    assert_eq!(size_of::<Task<()>>(), size_of::<usize>());
    assert_eq!(size_of::<Task<[u8; 1000]>>(), size_of::<usize>());
}

#[selvedge::test]
async fn the_type_of_an_async_block_is_inferred_from_its_last_value() -> Result<()> {
    let task = create_task(async {
        let number: i32 = "42".parse()?;
        Ok(number)
    });
    assert_eq!(task.await?, 42);
    Ok(())
}

#[selvedge::test]
#[should_panic(expected = "seen by the harness")]
async fn a_panic_in_a_test_is_seen_by_the_harness() {
    panic!("seen by the harness");
}

/// A panic payload whose drop panics, with a payload whose drop panics.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::resume_unwind(Box::new(Bomb(self.0 - 1)));
        }
    }
}

#[selvedge::test]
async fn a_panic_that_cannot_be_dropped_ends_where_it_is() -> Result<()> {
    let explode = || std::panic::resume_unwind(Box::new(Bomb(3)));
    let task = create_task(async move {
        explode();
        Ok(())
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(selvedge::to_thread::<_, ()>(explode).await.unwrap_err().is_panic());
    let event_loop = get_running_loop()?;
    let reports = Reports::of(&event_loop);
    event_loop.call_soon(explode);
    while reports.messages().is_empty() {
        sleep(Duration::ZERO).await?;
    }
    assert_eq!(create_task(async { Ok(1) }).await?, 1);
    Ok(())
}
