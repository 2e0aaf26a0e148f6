//! Does the compiler infer the error types? The type of an error follows from the place that takes
//! the block's result. Most of the test is that this file compiles.

use std::num::ParseIntError;
use std::time::Duration;

use selvedge::{
    Result, Runner, as_completed, create_task, ensure_future, gather, get_running_loop,
    run_coroutine_threadsafe, shield, sleep, task, task_group, timeout, timeout_at, to_thread,
    try_create_task, wait, wait_for,
};

/// Fails with an error that does not come from the library.
fn number() -> std::result::Result<u32, ParseIntError> {
    "42".parse()
}

#[selvedge::test]
async fn a_block_with_question_marks_becomes_a_task() -> Result<()> {
    let task = create_task(async {
        sleep(Duration::ZERO).await?;
        let number = number()?;
        Ok(number)
    });
    assert_eq!(task.await?, 42);

    assert_eq!(try_create_task(async { Ok(number()?) })?.await?, 42);
    assert_eq!(ensure_future(async { Ok(number()?) }).await?, 42);
    assert_eq!(task::Builder::new().name("n").create_task(async { Ok(number()?) })?.await?, 42);
    let event_loop = get_running_loop()?;
    assert_eq!(event_loop.create_task(async { Ok(number()?) }).await?, 42);
    assert_eq!(shield(async { Ok(number()?) }).await?, 42);
    let there = run_coroutine_threadsafe(async { Ok(number()?) }, &event_loop);
    assert_eq!(to_thread(move || there.result(None)).await??, 42);
    Ok(())
}

#[selvedge::test]
async fn so_do_blocks_that_are_gathered() -> Result<()> {
    assert_eq!(gather((async { Ok(number()?) }, async { Ok("two") })).await?, (42, "two"));
    let blocks = [1, 2].map(|n| async move {
        sleep(Duration::ZERO).await?;
        Ok(n)
    });
    assert_eq!(gather(blocks).await?, [1, 2]);
    let outcomes =
        gather((1..3).map(|n| async move { Ok(n) }).collect::<Vec<_>>()).return_exceptions().await?;
    assert!(outcomes.into_iter().map(Result::unwrap).eq([1, 2]));
    let mut results = as_completed([async { Ok(number()?) }]);
    while let Some(number) = results.next().await {
        assert_eq!(number?, 42);
    }
    Ok(())
}

#[selvedge::test]
async fn so_do_blocks_that_are_given_a_limit() -> Result<()> {
    let long = Duration::from_hours(1);
    assert_eq!(wait_for(async { Ok(number()?) }, long).await?, 42);
    assert_eq!(wait_for(async { Ok(number()?) }, None).await?, 42);
    assert_eq!(timeout(long, async |_cm| Ok(number()?)).await?, 42);
    assert_eq!(timeout_at(get_running_loop()?.time() + long, async |_cm| Ok(number()?)).await?, 42);
    let (done, pending) = wait([create_task(async { Ok(number()?) })]).timeout(long).await?;
    assert_eq!(done[0].result()?, &42);
    assert!(pending.is_empty());
    Ok(())
}

#[selvedge::test]
async fn so_do_the_block_and_the_tasks_of_a_group() -> Result<()> {
    let text = "42".to_owned();
    let sum = task_group(async |tg| {
        let inner = tg.clone();
        let one = tg.create_task(async move {
            let more = inner.create_task(async { Ok(number()?) });
            Ok(more.await? + 1)
        });
        let borrowed: u32 = text.parse()?;
        Ok(one.await? + borrowed)
    });
    assert_eq!(sum.await?, 85);
    Ok(())
}

#[test]
fn so_does_what_a_program_runs() -> Result<()> {
    assert_eq!(selvedge::run(async { Ok(number()?) })?, 42);
    let number = Runner::builder().workers(1).virtual_time(true).run(async {
        sleep(Duration::from_hours(1)).await?;
        Ok(number()?)
    });
    assert_eq!(number?, 42);
    Ok(())
}
