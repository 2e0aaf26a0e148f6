//! Rule 4: is a foreign future, which cannot receive a request, dropped?

use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt};
use selvedge::{Result, Task, cancellable, create_task, sleep};
use selvedge_tests::{Drops, ForeignYield, LONG, MOMENT, foreign, message_of, settle};

use super::me;

#[selvedge::test(virtual_time)]
async fn a_task_at_a_foreign_await_is_dropped() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    let task: Task<()> = create_task(async move {
        let _counted = counted;
        foreign().await;
        unreachable!("a foreign future cannot be told");
    });
    settle().await?;
    task.cancel_with("go");
    let error = task.await.unwrap_err();
    assert_eq!(message_of(&error), Some("go"));
    assert_eq!(drops.count(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn cancellable_turns_a_foreign_await_into_one_that_is_told() -> Result<()> {
    let task = create_task(async {
        let told = cancellable(foreign()).await;
        sleep(MOMENT).await?;
        Ok(told.unwrap_err())
    });
    settle().await?;
    task.cancel_with("told");
    assert_eq!(message_of(&task.await?), Some("told"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_foreign_value_that_is_ready_wins_over_a_request() -> Result<()> {
    let (send, receive) = async_channel::bounded(1);
    let task = create_task(async move {
        me().cancel();
        send.send(9).await?;
        let value = cancellable(receive.recv()).await??;
        Ok((value, cancellable(receive.recv()).await.is_err()))
    });
    assert_eq!(task.await?, (9, true));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_leaf_in_one_arm_does_not_silence_a_frame_in_the_other() -> Result<()> {
    let leaf_first = create_task(async {
        let (leaf, frame) = join(sleep(LONG), cancellable(foreign())).await;
        Ok((leaf.is_err(), frame.is_err()))
    });
    let frame_first = create_task(async {
        let (frame, leaf) = join(cancellable(foreign()), sleep(LONG)).await;
        Ok((leaf.is_err(), frame.is_err()))
    });
    settle().await?;
    leaf_first.cancel();
    frame_first.cancel();
    assert_eq!((leaf_first.await?, frame_first.await?), ((true, true), (true, true)));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn futures_unordered_polls_only_who_was_woken_and_yet_each_is_told() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    let task = create_task(async move {
        let told = cancellable(async move {
            let _counted = counted;
            let mut set: FuturesUnordered<_> = (0..3).map(|_| sleep(LONG)).collect();
            let mut told = 0;
            while let Some(slept) = set.next().await {
                told += u32::from(slept.is_err());
            }
            told
        })
        .await;
        Ok(told)
    });
    settle().await?;
    task.cancel();
    assert_eq!(task.await??, 3, "the frame around gave up on them");
    assert_eq!(drops.count(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_and_a_foreign_wake_in_the_same_poll() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        // Polled after the request was delivered: the future would be ready at its second poll,
        // which the frame does not grant it.
        let yielded = cancellable(ForeignYield::default()).await;
        Ok(yielded.is_err())
    });
    assert!(task.await?);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_frame_knows_of_a_request_that_came_and_was_taken_in_one_poll() -> Result<()> {
    let task = create_task(async {
        cancellable(async {
            me().cancel();
            assert!(sleep(LONG).await.is_err());
            // Each sleep wakes the frame once more; the frame must not take the same request for a
            // new one.
            sleep(MOMENT).await?;
            sleep(MOMENT).await?;
            Ok("cleaned up")
        })
        .await?
    });
    assert_eq!(task.await?, "cleaned up");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_frame_knows_of_what_was_taken_inside_a_frame_inside_it() -> Result<()> {
    for inner_is_told in [true, false] {
        let task = create_task(async move {
            cancellable(async move {
                let told = if inner_is_told {
                    cancellable(sleep(LONG)).await.map(drop).is_ok()
                } else {
                    cancellable(foreign()).await.is_err()
                };
                sleep(MOMENT).await?;
                Ok(told)
            })
            .await?
        });
        settle().await?;
        task.cancel();
        assert!(task.await?);
    }
    Ok(())
}

/// A foreign future is polled once more for each request. A new request in the place of the first
/// one leads to another poll before the future is dropped.
#[selvedge::test(virtual_time)]
async fn a_request_in_the_place_of_one_that_was_taken_back_is_told_in_the_next_poll() -> Result<()> {
    for place in ["task", "frame", "frame in a set"] {
        let mut polls = 0;
        let asks_again = poll_fn(move |_| {
            polls += 1;
            if polls == 2 {
                assert_eq!(me().uncancel(), 0);
                assert!(me().cancel());
            }
            if polls == 3 { Poll::Ready("had another chance") } else { Poll::Pending }
        });
        let task = create_task(async move {
            match place {
                "task" => Ok(asks_again.await),
                "frame" => cancellable(asks_again).await,
                _ => {
                    let mut set: FuturesUnordered<_> = [cancellable(asks_again)].into_iter().collect();
                    set.next().await.expect("it has one child")
                }
            }
        });
        settle().await?;
        task.cancel();
        assert_eq!(task.await?, "had another chance", "{place}");
    }
    Ok(())
}
