//! Does a capture change how the captured task ends?

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use selvedge::net::UnixStream;
use selvedge::{
    Error, Result, TaskHandle, as_completed, create_task, gather, get_running_loop, sleep, task_group,
    timeout, to_thread, wait, wait_for,
};
use selvedge_tests::{LONG, MOMENT, settle};

use crate::graph_of;

const NAP: Duration = Duration::from_secs(1);

/// A future of another crate that never ends, as a coroutine.
async fn foreign() -> Result<()> {
    selvedge_tests::foreign().await;
    Ok(())
}

/// How a coroutine ended, and when.
async fn end_of<F>(
    waits: F,
    after_a_moment: impl AsyncFnOnce(&TaskHandle) -> Result<()>,
) -> Result<(String, Duration)>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let event_loop = get_running_loop()?;
    let began = event_loop.time();
    let mut task = create_task(waits);
    settle().await?;
    after_a_moment(&task.handle()).await?;
    let ended = match (&mut task).await {
        Ok(()) => "value".to_owned(),
        Err(error) if error.is_cancelled() => "cancelled".to_owned(),
        Err(error) => error.to_string(),
    };
    Ok((ended, event_loop.time().abs_diff(began)))
}

async fn ask_often(task: &TaskHandle) -> Result<()> {
    for _ in 0..3 {
        graph_of(task)?;
        settle().await?;
        graph_of(task)?;
    }
    Ok(())
}

async fn wait_as_long(_: &TaskHandle) -> Result<()> {
    for _ in 0..3 {
        settle().await?;
    }
    Ok(())
}

/// One await, run to its end and cancelled, each with captures and without. These are four tasks
/// in two pairs, and the tasks of each pair must end alike.
macro_rules! asked_or_not {
    ($($name:ident: $waits:expr;)+) => {
        $(
            #[selvedge::test(workers = 1, virtual_time)]
            async fn $name() -> Result<()> {
                let waits = || async { $waits };
                let undisturbed = end_of(waits(), wait_as_long).await?;
                assert_eq!(end_of(waits(), ask_often).await?, undisturbed);
                let cancelled = end_of(waits(), async |task| {
                    wait_as_long(task).await?;
                    task.cancel();
                    Ok(())
                });
                let cancelled = cancelled.await?;
                let asked_and_cancelled = end_of(waits(), async |task| {
                    ask_often(task).await?;
                    task.cancel();
                    // The request is on its way, and the capture must not take it.
                    graph_of(task)?;
                    Ok(())
                });
                assert_eq!(asked_and_cancelled.await?, cancelled);
                Ok(())
            }
        )+
    };
}

asked_or_not! {
    a_sleep_ends_at_its_time: sleep(NAP).await;
    an_awaited_task_ends: create_task(sleep(NAP)).await;
    a_gathering_ends: gather([sleep(NAP), sleep(NAP / 2)]).await.map(drop);
    a_gathering_of_errors_ends: gather((sleep(NAP), async { Err::<(), _>(Error::msg("no")) })).return_exceptions().await.map(drop);
    a_wait_ends: wait([create_task(sleep(NAP))]).await.map(drop);
    a_wait_with_a_deadline_ends: wait([create_task(sleep(LONG))]).timeout(NAP).await.map(drop);
    a_shield_ends: selvedge::shield(sleep(NAP)).await;
    results_come: as_completed([sleep(NAP)]).next().await.expect("one is left");
    results_come_in_time: as_completed([sleep(LONG)]).timeout(NAP).next().await.expect("one is left");
    a_deadline_is_kept: wait_for(sleep(LONG), NAP).await;
    a_timeout_is_kept: timeout(NAP, async |_| sleep(LONG).await).await;
    a_timeout_in_a_timeout_is_kept: timeout(LONG, async |_| timeout(NAP, async |_| sleep(LONG).await).await).await;
    no_deadline_is_kept_either: wait_for(sleep(NAP), None).await;
    a_deadline_around_another_crate_is_kept: wait_for(foreign(), NAP).await;
    another_crate_is_given_up_by_its_frame: timeout(NAP, async |_| selvedge::cancellable(selvedge_tests::foreign()).await).await;
    a_group_ends: task_group(async |tg| { tg.create_task(sleep(NAP)); Ok(()) }).await;
    a_group_with_a_body_ends: task_group(async |tg| { tg.create_task(sleep(LONG)); sleep(NAP).await?; tg.cancel(); Ok(()) }).await;
    a_group_fails: task_group(async |tg| { tg.create_task(async { sleep(NAP).await?; Err::<(), _>(Error::msg("no")) }); sleep(LONG).await }).await;
    awaits_side_by_side_end: futures_util::try_join!(sleep(NAP), wait_for(sleep(LONG), NAP / 2)).map(drop);
    a_read_is_ended_by_its_deadline: { let (one, _other) = UnixStream::pair()?; wait_for(one.read(&mut [0]), NAP).await.map(drop) };
    clean_up_is_not_disturbed: { let slept = sleep(NAP).await; sleep(NAP).await?; slept };
}

/// Data in a socket are read by the poll that their arrival causes, not by a capturing poll that
/// comes before.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_question_reads_nothing() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let task = create_task(async move { one.read(&mut [0; 8]).await });
    settle().await?;
    // The only worker runs this task, so the loop has not yet noticed these bytes.
    other.try_write(b"four")?;
    let graph = graph_of(&task)?;
    assert!(graph.call_stack().iter().any(|entry| entry.function() == "selvedge::net"), "{graph}");
    assert_eq!(task.await?, 4);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn the_code_between_awaits_does_not_run_for_a_question() -> Result<()> {
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let task = create_task(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            sleep(NAP).await?;
        }
        #[expect(unreachable_code, reason = "it gives the coroutine its type")]
        Ok(())
    });
    settle().await?;
    for _ in 0..10 {
        graph_of(&task)?;
    }
    assert_eq!(steps.load(Ordering::Relaxed), 1);
    sleep(NAP).await?;
    assert_eq!(steps.load(Ordering::Relaxed), 2);
    task.cancel();
    Ok(())
}

/// The foreign future turns out to be ready in the capturing poll, so the task goes on to an await
/// that it has never reached before. That await must not stay registered only with the capture:
/// nothing would ever wake it.
#[selvedge::test(workers = 1, virtual_time)]
async fn an_await_that_is_reached_by_a_question_is_polled_again() -> Result<()> {
    async fn gate(is_open: Arc<AtomicBool>) {
        poll_fn(|_| if is_open.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
    async fn all_kinds(n: usize) -> Result<()> {
        match n {
            0 => sleep(NAP).await,
            1 => wait_for(sleep(LONG), NAP).await,
            2 => timeout(NAP, async |_| foreign().await).await,
            3 => create_task(sleep(NAP)).await,
            4 => gather([sleep(NAP)]).await.map(drop),
            5 => wait([create_task(sleep(LONG))]).timeout(NAP).await.map(drop),
            6 => selvedge::shield(sleep(NAP)).await,
            7 => as_completed([sleep(NAP)]).next().await.expect("one is left"),
            8 => task_group(async |tg| tg.create_task(sleep(NAP)).await).await,
            9 => sleep(Duration::ZERO).await,
            10 => to_thread(|| ()).await,
            _ => {
                let future = get_running_loop()?.create_future();
                let ours = future.clone();
                get_running_loop()?
                    .call_later(NAP, move || ours.set_result(()).expect("nobody else sets it"));
                future.await
            }
        }
    }
    for n in 0..12 {
        let is_open = Arc::new(AtomicBool::new(false));
        let closed = gate(Arc::clone(&is_open));
        let task = create_task(async move {
            closed.await;
            all_kinds(n).await
        });
        settle().await?;
        is_open.store(true, Ordering::Relaxed);
        let began = get_running_loop()?.time();
        graph_of(&task)?;
        let ended = wait_for(task, LONG).await;
        assert!(get_running_loop()?.time().abs_diff(began) <= NAP, "{n}");
        assert!(ended.is_ok() || matches!(n, 1 | 2) && ended.unwrap_err().is_timeout(), "{n}");
    }
    Ok(())
}

/// A probed task runs on the capturing thread, but not in the scopes and the context of the
/// capturing task.
#[selvedge::test(workers = 1, virtual_time)]
async fn the_asker_keeps_its_own_scope_and_context() -> Result<()> {
    static WHO: selvedge::ContextVar<&str> = selvedge::ContextVar::new("who");
    WHO.set("nobody");
    let (asked, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counts, sees) = (Arc::clone(&asked), Arc::clone(&told));
    let task = create_task(async move {
        WHO.set("asked");
        poll_fn(|_| {
            counts.fetch_add(1, Ordering::Relaxed);
            if WHO.get() == Some("asked")
                && selvedge::current_task().is_some_and(|it| it.get_name() == "asked")
            {
                sees.fetch_add(1, Ordering::Relaxed);
            }
            Poll::<()>::Pending
        })
        .await;
        Ok(())
    })
    .named("asked");
    settle().await?;
    let late = timeout(MOMENT, async |_| {
        graph_of(&task)?;
        assert_eq!(WHO.get(), Some("nobody"));
        sleep(LONG).await
    });
    assert!(late.await.unwrap_err().is_timeout());
    assert!(asked.load(Ordering::Relaxed) > 1);
    assert_eq!(asked.load(Ordering::Relaxed), told.load(Ordering::Relaxed));
    assert!(!task.done(), "the asker's deadline is none of its business");
    Ok(())
}

/// A foreign future that panics when it is polled once more than it expects ends its own task, as
/// it may at any time, and not the capturing task.
#[selvedge::test(workers = 1, virtual_time)]
async fn a_panic_in_a_question_is_the_panic_of_the_task() -> Result<()> {
    let mut polled = false;
    let task = create_task(async move {
        poll_fn(|_| {
            assert!(!std::mem::replace(&mut polled, true), "polled again");
            Poll::<()>::Pending
        })
        .await;
        Ok(())
    });
    settle().await?;
    assert_eq!(graph_of(&task)?.activity(), selvedge::Activity::Done);
    assert!(task.await.unwrap_err().is_panic());
    assert!(
        selvedge::format_call_graph(None, None)?.contains("Call stack"),
        "questions go on being answered"
    );
    Ok(())
}

/// Four workers: tasks sleep, pass values and are cancelled, while other tasks capture all the
/// time. Every task ends once, with the same result as without captures.
#[selvedge::test(workers = 4)]
async fn questions_from_all_sides_lose_nothing() -> Result<()> {
    const TASKS: usize = 200;
    let is_over = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..2)
        .map(|_| {
            let is_over = Arc::clone(&is_over);
            create_task(async move {
                while !is_over.load(Ordering::Relaxed) {
                    graph_of(selvedge::current_task().expect("it runs in a task"))?;
                    sleep(Duration::ZERO).await?;
                }
                Ok(())
            })
        })
        .collect();
    for round in 0..5 {
        let tasks: Vec<_> = (0..TASKS)
            .map(|n| {
                create_task(async move {
                    let nap = Duration::from_micros(n as u64 * 7);
                    match n % 4 {
                        0 => sleep(nap).await.map(|()| n),
                        1 => create_task(sleep(nap).returning(n)).await,
                        2 => gather([sleep(nap).returning(n)]).await.map(|[n]| n),
                        _ => wait_for(sleep(LONG), nap).await.map(|()| n),
                    }
                })
            })
            .collect();
        let cancelled: Vec<_> = tasks.iter().skip(round).step_by(7).map(selvedge::Task::cancel).collect();
        assert!(cancelled.len() > TASKS / 8);
        for (n, ended) in gather(tasks).return_exceptions().await?.into_iter().enumerate() {
            match ended {
                Ok(value) => assert!(value == n && n % 4 != 3),
                Err(error) if error.is_timeout() => assert_eq!(n % 4, 3),
                Err(error) => {
                    assert!(error.is_cancelled() && n >= round && (n - round).is_multiple_of(7), "{n}");
                }
            }
        }
    }
    is_over.store(true, Ordering::Relaxed);
    gather(askers).await.map(drop)
}
