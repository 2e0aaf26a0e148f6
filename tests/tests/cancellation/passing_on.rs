//! Rule 3: does an awaited task receive the request first?

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use selvedge::{Error, Result, Task, TaskHandle, create_task, shield, sleep};
use selvedge_tests::{LONG, MOMENT, Trace, message_of, settle};

use super::{me, sleeper};

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

/// Tasks of which each awaits the next, and the last one the first.
async fn circle(length: usize) -> Result<Vec<TaskHandle>> {
    let (mut senders, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..length {
        let (give, get) = async_channel::bounded::<Task<()>>(1);
        senders.push(give);
        tasks.push(create_task(async move { get.recv().await?.await }));
    }
    let handles = tasks.iter().map(Task::handle).collect();
    tasks.rotate_left(1);
    for (give, task) in senders.into_iter().zip(tasks) {
        give.send(task).await?;
    }
    Ok(handles)
}

#[selvedge::test(virtual_time)]
async fn in_a_circle_the_task_before_the_first_is_told() -> Result<()> {
    for length in [2, 3, 100] {
        let tasks = circle(length).await?;
        settle().await?;
        tasks[0].cancel_with("round");
        settle().await?;
        assert!(tasks.iter().all(TaskHandle::cancelled), "{length}");
        assert_eq!(message_of(&tasks[0].exception().unwrap_err()), Some("round"));
        if length == 3 {
            assert!(tasks.iter().all(|task| task.cancelling() == 1));
        }
    }
    Ok(())
}

#[selvedge::test(workers = 4)]
async fn a_circle_of_which_all_are_cancelled_at_once_ends() -> Result<()> {
    for _ in 0..200 {
        let tasks = circle(4).await?;
        for task in &tasks {
            task.cancel();
        }
        selvedge::wait(tasks).await?;
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_circle_through_a_gathering_ends() -> Result<()> {
    let (give, get) = async_channel::bounded::<Task<()>>(1);
    let first = create_task(async move { get.recv().await?.await });
    let first_handle = first.handle();
    let second = create_task(async move { selvedge::gather((first, sleep(LONG))).await.map(drop) });
    let second_handle = second.handle();
    give.send(second).await?;
    settle().await?;
    first_handle.cancel();
    settle().await?;
    assert!(first_handle.cancelled() && second_handle.cancelled());
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
    // On one worker no other task runs in between: when the inner task is polled next, the value is
    // there.
    outer.cancel();
    gate.try_send(()).expect("there is room");
    assert_eq!(outer.await?, ("value", true));
    assert!(!inner_handle.cancelled());
    Ok(())
}

/// Where the handle goes after a request was passed on through it, while its await is pending.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goes {
    Nowhere,
    ToAnotherTask,
    Away,
    AwayInAnotherTask,
}

#[selvedge::test(virtual_time)]
async fn a_handle_may_go_anywhere_after_a_request_was_passed_on() -> Result<()> {
    for goes in [Goes::Nowhere, Goes::ToAnotherTask, Goes::Away, Goes::AwayInAnotherTask] {
        let mut inner = create_task(async {
            let _ = sleep(LONG).await;
            sleep(MOMENT).await?;
            Ok("stubborn")
        });
        let inner_handle = inner.handle();
        let outer = create_task(async move {
            let mut polled_once =
                async || poll_fn(|cx| Poll::Ready(Pin::new(&mut inner).poll(cx).is_pending())).await;
            assert!(polled_once().await);
            sleep(MOMENT).await?;
            me().cancel();
            assert!(polled_once().await);
            match goes {
                Goes::Nowhere => inner.await.map(Some),
                Goes::ToAnotherTask => create_task(inner).await.map(Some),
                Goes::Away => Ok(None),
                Goes::AwayInAnotherTask => {
                    create_task(async move {
                        assert!(!inner.done());
                        Ok(None)
                    })
                    .await
                }
            }
        });
        let result = outer.await?;
        let stays = matches!(goes, Goes::Nowhere | Goes::ToAnotherTask);
        assert_eq!(result, stays.then_some("stubborn"), "{goes:?}");
        while !inner_handle.done() {
            sleep(MOMENT).await?;
        }
        assert_eq!((inner_handle.cancelling(), inner_handle.cancelled()), (1, false), "{goes:?}");
    }
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
