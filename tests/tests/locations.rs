//! Does every way to start a task record the caller's location?

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use selvedge::{
    Result, Runner, as_completed, create_task, current_task, ensure_future, gather, get_running_loop, run,
    run_coroutine_threadsafe, shield, sleep, task, task_group, to_thread, try_create_task,
};

/// The line that created the task.
async fn line() -> Result<u32> {
    sleep(Duration::ZERO).await?;
    let created_at = current_task().expect("this is a task").get_coro().created_at();
    assert_eq!(created_at.file(), file!(), "made at {created_at}");
    Ok(created_at.line())
}

#[track_caller]
fn here() -> u32 {
    Location::caller().line()
}

async fn check<T: AsRef<[u32]>>(expected: u32, lines: impl Future<Output = Result<T>>) -> Result<()> {
    assert!(lines.await?.as_ref().iter().all(|line| *line == expected));
    Ok(())
}

async fn one(line: impl Future<Output = Result<u32>>) -> Result<[u32; 1]> {
    Ok([line.await?])
}

#[selvedge::test]
async fn tasks() -> Result<()> {
    let event_loop = get_running_loop()?;
    check(here(), one(create_task(line()))).await?;
    check(here(), one(try_create_task(line())?)).await?;
    check(here(), one(ensure_future(line()))).await?;
    check(here(), one(task::Builder::new().create_task(line())?)).await?;
    check(here(), one(task::Builder::new().eager_start(true).create_task(line())?)).await?;
    check(here(), one(event_loop.create_task(line()))).await?;
    check(here(), one(event_loop.create_task_with(task::Builder::new(), line()))).await?;
    check(here(), one(shield(line()))).await?;
    task_group(async |tg| {
        check(here(), one(tg.create_task(line()))).await?;
        check(here(), one(tg.create_task_with(task::Builder::new(), line()))).await
    })
    .await
}

#[selvedge::test]
async fn several_at_once() -> Result<()> {
    check(here(), gather(vec![line(), line()])).await?;
    check(here(), gather([line(), line()])).await?;
    check(here(), async { Ok([gather((line(),)).await?.0]) }).await?;
    let (expected, mut results) = (here(), as_completed([line(), line()]));
    while let Some(line) = results.next().await {
        assert_eq!(line?, expected);
    }
    Ok(())
}

#[test]
fn main_coroutines() {
    assert_eq!(run(line()).unwrap(), here());
    assert_eq!(Runner::builder().workers(1).run(line()).unwrap(), here());
    assert_eq!(Runner::new().unwrap().run(line()).unwrap(), here());
}

#[selvedge::test]
async fn from_other_threads() -> Result<()> {
    let event_loop = get_running_loop()?;
    let there = to_thread(move || {
        let (expected, future) = (here(), run_coroutine_threadsafe(line(), &event_loop));
        (expected, future.result(Duration::MAX))
    });
    let (expected, line) = there.await?;
    assert_eq!(line?, expected);
    Ok(())
}
