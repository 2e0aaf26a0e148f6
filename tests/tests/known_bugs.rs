//! Is Selvedge free of bugs that asyncio shipped? Each bug has a test with its name and the number
//! of its report. The bugs of other executors are in the scheduler's tests; the whole list is in
//! `docs/testing.md`.

use std::time::Duration;

use selvedge::{
    ExceptionGroup, Result, create_task, get_running_loop, sleep, task, task_group, to_thread, wait_for,
};
use selvedge_tests::{LONG, message_of, settle};

/// cpython#86296: a request arrives together with the awaited result. The result is returned, and
/// the request is delivered to the next await.
#[selvedge::test(virtual_time)]
async fn wait_for_hides_a_cancellation() -> Result<()> {
    for result_first in [true, false] {
        let result = get_running_loop()?.create_future();
        let awaited = result.clone();
        let waits = create_task(async move {
            let value = wait_for(awaited, LONG).await?;
            Ok((value, sleep(LONG).await.unwrap_err()))
        });
        settle().await?;
        if result_first {
            result.set_result(7)?;
            waits.cancel_with("not lost");
        } else {
            waits.cancel_with("not lost");
            result.set_result(7)?;
        }
        let (value, next) = waits.await?;
        assert_eq!((value, message_of(&next)), (7, Some("not lost")));
    }
    Ok(())
}

/// cpython#155433: a group ends itself early, or fails, at the moment in which its owner is
/// cancelled.
#[selvedge::test(virtual_time)]
async fn task_group_swallows_an_outer_cancel() -> Result<()> {
    for cancelled_first in [true, false] {
        for fails in [true, false] {
            let go = get_running_loop()?.create_future();
            let waits = go.clone();
            let owner = create_task(async move {
                let ended = task_group(async |tg| {
                    let (group, waits) = (tg.clone(), waits.clone());
                    tg.create_task(async move {
                        waits.await?;
                        group.cancel();
                        if fails { Err(selvedge::Error::msg("no")) } else { Ok(()) }
                    });
                    sleep(LONG).await
                })
                .await;
                // Errors are returned first; the request is delivered after them.
                match ended {
                    Err(error) if error.is::<ExceptionGroup>() => sleep(LONG).await,
                    other => other,
                }
            });
            settle().await?;
            if cancelled_first {
                owner.cancel_with("out");
                go.set_result(()).ok();
            } else {
                go.set_result(()).ok();
                owner.cancel_with("out");
            }
            assert_eq!(message_of(&owner.await.unwrap_err()), Some("out"), "{cancelled_first} {fails}");
        }
    }
    Ok(())
}

/// cpython#155418: the first step of an eager task, which runs inside the body's step, ends the
/// group.
#[selvedge::test(virtual_time)]
async fn group_hangs_when_an_eager_child_cancels_it() -> Result<()> {
    task_group(async |tg| {
        let group = tg.clone();
        let eager = task::Builder::new().eager_start(true);
        let child = tg.create_task_with(eager, async move {
            group.cancel();
            sleep(LONG).await
        });
        assert!(child.await.unwrap_err().is_cancelled());
        sleep(LONG).await
    })
    .await
}

/// cpython#117379: only the loop has a reference to the task and to the future that it waits for.
#[selvedge::test]
async fn fire_and_forget_task_vanishes() -> Result<()> {
    let (tells, told) = std::sync::mpsc::channel();
    for number in 0..100 {
        let tells = tells.clone();
        drop(create_task(async move {
            sleep(Duration::from_micros(number)).await?;
            to_thread(|| ()).await?;
            tells.send(number)?;
            Ok(())
        }));
    }
    drop(tells);
    let mut numbers = to_thread(move || told.iter().collect::<Vec<_>>()).await?;
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..100));
    Ok(())
}
