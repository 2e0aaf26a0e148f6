//! Do task groups keep their promises: the tasks of a group live and fail together?

use selvedge::{
    CancelledError, Error, ExceptionGroup, Result, RuntimeError, TaskGroup, create_task, current_task,
    get_running_loop, sleep, task, task_group, timeout, wait_for,
};
use selvedge_tests::{Drops, LONG, MOMENT, Reports, Trace, foreign, message_of, settle};

fn messages(error: &Error) -> Vec<String> {
    let group = error.downcast_ref::<ExceptionGroup>().unwrap_or_else(|| panic!("no group: {error:?}"));
    group.exceptions().iter().map(ToString::to_string).collect()
}

async fn fail(moments: u32, message: &'static str) -> Result<()> {
    sleep(moments * MOMENT).await?;
    Err(Error::msg(message))
}

#[selvedge::test(virtual_time)]
async fn a_panic_in_the_body_waits_for_the_tasks() -> Result<()> {
    let trace = Trace::new();
    let child = |tg: &TaskGroup| {
        let trace = trace.clone();
        tg.create_task(async move {
            let slept = sleep(LONG).await;
            sleep(MOMENT).await?;
            trace.tell("cleaned up");
            slept
        })
    };
    let error = task_group(async |tg| {
        child(&tg);
        settle().await?;
        std::panic::resume_unwind(Box::new("oh")) as Result<()>
    })
    .await
    .unwrap_err();
    let group = error.downcast_ref::<ExceptionGroup>().unwrap();
    assert!(group.single().unwrap().is_panic());
    assert_eq!(trace.events(), ["cleaned up"]);

    // The same before the body has begun.
    let error = task_group(|tg: TaskGroup| {
        task::Builder::new().eager_start(true).create_task(async { Ok(()) }).unwrap();
        let started = tg.create_task_with(task::Builder::new().eager_start(true), fail(1000, "never"));
        assert!(!started.done());
        std::panic::resume_unwind(Box::new("early")) as std::future::Ready<Result<()>>
    })
    .await
    .unwrap_err();
    assert_eq!(messages(&error), ["early"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_member_that_awaits_the_owner_of_its_group_is_told_itself() -> Result<()> {
    for from_inside in [true, false] {
        let (give, get) = async_channel::bounded::<task::TaskHandle>(1);
        let (send, receive) = async_channel::bounded::<selvedge::Task<()>>(1);
        let owner = create_task(async move {
            task_group(async |tg| {
                let member = tg.create_task(async move { receive.recv().await?.await });
                give.send(member.handle()).await?;
                Ok(())
            })
            .await
        });
        let owner_handle = owner.handle();
        let member = get.recv().await?;
        send.send(owner).await?;
        settle().await?;
        if from_inside {
            member.cancel()
        } else {
            owner_handle.cancel()
        };
        settle().await?;
        assert!(member.cancelled() && owner_handle.done());
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn it_ends_when_all_have_ended() -> Result<()> {
    let trace = Trace::new();
    let value = task_group(async |tg| {
        for n in [2, 1] {
            let trace = trace.clone();
            tg.create_task(async move {
                sleep(n * MOMENT).await?;
                trace.tell(format!("task {n}"));
                Ok(())
            });
        }
        trace.tell("body");
        Ok("value")
    })
    .await?;
    assert_eq!(value, "value");
    assert_eq!(trace.events(), ["body", "task 1", "task 2"]);
    Ok(())
}

fn grow(tg: &TaskGroup, depth: u32, trace: Trace) {
    let inner = tg.clone();
    tg.create_task(async move {
        sleep(MOMENT).await?;
        trace.tell(format!("depth {depth}"));
        if depth < 3 {
            grow(&inner, depth + 1, trace);
        }
        Ok(())
    });
}

#[selvedge::test(virtual_time)]
async fn tasks_may_add_tasks_after_the_body() -> Result<()> {
    let trace = Trace::new();
    task_group(async |tg| {
        grow(&tg, 1, trace.clone());
        Ok(())
    })
    .await?;
    assert_eq!(trace.events(), ["depth 1", "depth 2", "depth 3"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_failure_cancels_the_others_and_the_body() -> Result<()> {
    let trace = Trace::new();
    let error = task_group(async |tg| {
        let told = trace.clone();
        tg.create_task(async move {
            let slept = sleep(LONG).await;
            sleep(MOMENT).await?;
            told.tell_result("sibling", &slept);
            slept
        });
        tg.create_task(fail(1, "first"));
        let slept = sleep(LONG).await;
        trace.tell_result("body", &slept);
        assert_eq!(current_task().unwrap().cancelling(), 0);
        slept
    })
    .await
    .unwrap_err();
    assert_eq!(messages(&error), ["first"]);
    assert_eq!(error.downcast_ref::<ExceptionGroup>().unwrap().message(), "unhandled errors in a TaskGroup");
    assert_eq!(trace.events(), ["body: cancelled", "sibling: cancelled"]);
    sleep(MOMENT).await
}

#[selvedge::test(virtual_time)]
async fn a_body_that_catches_the_failure_is_left_alone_and_the_group_still_fails() -> Result<()> {
    let mut went_on = false;
    let error = task_group(async |tg| {
        tg.create_task(fail(1, "first"));
        assert!(sleep(LONG).await.is_err());
        sleep(MOMENT).await?;
        went_on = true;
        Ok("value")
    })
    .await
    .unwrap_err();
    assert_eq!(messages(&error), ["first"]);
    assert!(went_on);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn errors_come_in_the_order_of_the_failures_and_the_bodys_last() -> Result<()> {
    let error = task_group(async |tg| {
        for (name, clean_up) in [("slow", 3), ("quick", 2)] {
            tg.create_task(async move {
                let _ = sleep(LONG).await;
                fail(clean_up, name).await
            });
        }
        fail(1, "body").await
    })
    .await
    .unwrap_err();
    assert_eq!(messages(&error), ["quick", "slow", "body"]);
    Ok(())
}

/// As when the body awaits the task that fails.
#[selvedge::test(virtual_time)]
async fn an_error_that_the_body_passes_on_is_listed_once() -> Result<()> {
    let error = task_group(async |tg| tg.create_task(fail(1, "once")).await).await.unwrap_err();
    assert_eq!(messages(&error), ["once"]);
    let other = task_group(async |tg| {
        let _ = tg.create_task(fail(1, "alike")).await;
        Err::<(), _>(Error::msg("alike"))
    });
    assert_eq!(messages(&other.await.unwrap_err()), ["alike", "alike"], "these are two");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_body_that_fails_alone_is_wrapped_too() -> Result<()> {
    let error = task_group(async |_| fail(0, "alone").await).await.unwrap_err();
    assert_eq!(error.downcast_ref::<ExceptionGroup>().unwrap().single().unwrap().to_string(), "alone");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_that_is_cancelled_by_itself_harms_nobody() -> Result<()> {
    let value = task_group(async |tg| {
        let one = tg.create_task(sleep(LONG));
        let two = tg.create_task(sleep(2 * MOMENT).returning(2));
        settle().await?;
        one.cancel();
        two.await
    });
    assert_eq!(value.await?, 2);
    Ok(())
}

#[selvedge::test(virtual_time, workers = 1)]
async fn tasks_that_have_not_started_when_the_group_fails_never_run() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    let error = task_group(async |tg| {
        tg.create_task(async move {
            let _counted = counted;
            unreachable!("it has not started when the body fails");
            #[expect(unreachable_code, reason = "it says what the coroutine returns")]
            Ok(())
        });
        Err::<(), _>(Error::msg("at once"))
    })
    .await
    .unwrap_err();
    assert_eq!(messages(&error), ["at once"]);
    assert_eq!(drops.count(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_cancels_all_and_is_passed_on() -> Result<()> {
    for body_has_ended in [false, true] {
        let trace = Trace::new();
        let told = trace.clone();
        let task = create_task(async move {
            task_group(async |tg| {
                let told = told.clone();
                tg.create_task(async move {
                    let slept = sleep(LONG).await;
                    sleep(MOMENT).await?;
                    told.tell_result("member", &slept);
                    slept
                });
                if body_has_ended { Ok(()) } else { sleep(LONG).await }
            })
            .await
        });
        let handle = task.handle();
        settle().await?;
        task.cancel_with("out");
        assert_eq!(message_of(&task.await.unwrap_err()), Some("out"));
        assert_eq!(handle.cancelling(), 1);
        assert_eq!(trace.events(), ["member: cancelled"]);
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_failure_in_the_clean_up_wins_and_the_request_meets_the_next_await() -> Result<()> {
    for body_has_ended in [false, true] {
        let task = create_task(async move {
            let error = task_group(async |tg| {
                tg.create_task(async {
                    let _ = sleep(LONG).await;
                    fail(1, "clean-up").await
                });
                if body_has_ended { Ok(()) } else { sleep(LONG).await }
            })
            .await
            .unwrap_err();
            Ok((messages(&error), sleep(LONG).await.is_err_and(|error| error.is_cancelled())))
        });
        settle().await?;
        task.cancel();
        assert_eq!(task.await?, (vec!["clean-up".to_owned()], true));
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_that_was_given_back_ends_a_foreign_await_too() -> Result<()> {
    let task = create_task(async {
        let failed = task_group(async |tg| {
            tg.create_task(async {
                let _ = sleep(LONG).await;
                fail(1, "clean-up").await
            });
            sleep(LONG).await
        });
        assert!(failed.await.is_err());
        foreign().await;
        Ok(())
    });
    settle().await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_foreign_body_is_dropped_when_a_task_fails() -> Result<()> {
    let error = task_group(async |tg| {
        tg.create_task(fail(1, "task"));
        foreign().await;
        Ok(())
    })
    .await
    .unwrap_err();
    assert_eq!(messages(&error), ["task"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_body_may_raise_a_cancellation_of_its_own() -> Result<()> {
    let error = task_group(async |tg| {
        tg.create_task(sleep(LONG));
        Err::<(), _>(CancelledError::with_message("mine").into())
    })
    .await
    .unwrap_err();
    assert_eq!(message_of(&error), Some("mine"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_deadline_around_a_group() -> Result<()> {
    let late = wait_for(
        task_group(async |tg| {
            tg.create_task(sleep(LONG));
            Ok(())
        }),
        MOMENT,
    );
    assert!(late.await.unwrap_err().is_timeout());
    let dirty = wait_for(
        task_group(async |tg| {
            tg.create_task(async {
                let _ = sleep(LONG).await;
                fail(0, "clean-up").await
            });
            Ok(())
        }),
        MOMENT,
    );
    assert_eq!(messages(&dirty.await.unwrap_err()), ["clean-up"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_deadline_inside_a_group() -> Result<()> {
    let value = task_group(async |tg| {
        let member = tg.create_task(sleep(3 * MOMENT).returning(3));
        assert!(timeout(MOMENT, async |_| sleep(LONG).await).await.unwrap_err().is_timeout());
        member.await
    });
    assert_eq!(value.await?, 3);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn groups_nest() -> Result<()> {
    let error = task_group(async |outer| {
        outer.create_task(async {
            let _ = sleep(LONG).await;
            fail(0, "outer task").await
        });
        task_group(async |inner| {
            inner.create_task(fail(1, "inner task"));
            sleep(LONG).await
        })
        .await
    })
    .await
    .unwrap_err();
    let group = error.downcast_ref::<ExceptionGroup>().unwrap();
    assert_eq!(group.exceptions()[0].to_string(), "outer task");
    assert_eq!(messages(&group.exceptions()[1]), ["inner task"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_group_that_is_over_takes_nobody() -> Result<()> {
    let drops = Drops::new();
    let mut kept = None;
    let error = task_group(async |tg| {
        kept = Some(tg.clone());
        tg.create_task(fail(1, "first"));
        let _ = sleep(LONG).await;
        let counted = drops.counted();
        let late = tg.create_task(async move {
            drop(counted);
            Ok(())
        });
        assert_eq!(drops.count(), 1);
        let error = late.await.unwrap_err();
        assert!(error.is::<RuntimeError>());
        assert_eq!(error.to_string(), "TaskGroup is shutting down");
        Ok(())
    });
    assert_eq!(messages(&error.await.unwrap_err()), ["first"]);
    let error = kept.unwrap().create_task(async { Ok(()) }).await.unwrap_err();
    assert_eq!(error.to_string(), "TaskGroup is finished");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_group_can_be_ended_early() -> Result<()> {
    // By the body, by a task, and more than once.
    task_group(async |tg| {
        tg.create_task(sleep(LONG));
        tg.cancel();
        tg.cancel();
        Ok(())
    })
    .await?;
    task_group(async |tg| {
        let group = tg.clone();
        tg.create_task(async move {
            sleep(MOMENT).await?;
            group.cancel();
            Ok(())
        });
        sleep(LONG).await
    })
    .await?;
    let kept = task_group(async |tg| {
        tg.create_task(sleep(LONG));
        tg.cancel();
        Ok(sleep(LONG).await.is_err())
    });
    assert!(kept.await?);
    let without_value = task_group(async |tg| {
        tg.cancel();
        sleep(LONG).returning(1).await
    });
    assert!(without_value.await.unwrap_err().is_cancelled());
    sleep(MOMENT).await
}

#[selvedge::test(virtual_time)]
async fn members_may_be_named_and_their_errors_are_the_groups_alone() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let error = task_group(async |tg| {
        let member = tg.create_task_with(task::Builder::new().name("member"), fail(0, "once"));
        assert_eq!(member.get_name(), "member");
        Ok(())
    });
    assert!(error.await.is_err());
    settle().await?;
    assert!(reports.messages().is_empty());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_dropped_block_cancels_its_tasks() -> Result<()> {
    let trace = Trace::new();
    let told = trace.clone();
    let mut block = Box::pin(task_group(async |tg| {
        let told = told.clone();
        tg.create_task(async move {
            let slept = sleep(LONG).await;
            told.tell_result("member", &slept);
            slept
        });
        sleep(LONG).await
    }));
    assert!(futures_lite::future::poll_once(&mut block).await.is_none());
    settle().await?;
    drop(block);
    settle().await?;
    assert_eq!(trace.events(), ["member: cancelled"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_panic_in_a_member_is_one_of_the_errors() -> Result<()> {
    let error = task_group(async |tg| {
        tg.create_task(async { std::panic::resume_unwind(Box::new("oh")) as Result<()> });
        sleep(LONG).await
    })
    .await
    .unwrap_err();
    let group = error.downcast_ref::<ExceptionGroup>().unwrap();
    assert!(group.single().unwrap().is_panic());
    Ok(())
}
