//! Do tasks and plain threads work together: `to_thread`, executors, `run_coroutine_threadsafe`?

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use selvedge::{
    ContextVar, Error, EventLoop, Result, Runner, RuntimeError, ThreadPoolExecutor, create_task,
    get_running_loop, run_coroutine_threadsafe, sleep, timeout, to_thread, wait_for,
};
use selvedge_tests::{Drops, LONG, Trace, settle};

fn with_loop<R>(f: impl FnOnce(&EventLoop) -> R) -> R {
    let runner = Runner::builder().workers(2).build().unwrap();
    let event_loop = runner.get_loop();
    f(&event_loop)
}

#[test]
fn a_thread_waits_for_a_coroutine() {
    with_loop(|event_loop| {
        let quick = run_coroutine_threadsafe(async { Ok(1) }, event_loop);
        assert_eq!(quick.result(None).unwrap(), 1);
        assert!(quick.result(None).unwrap_err().is::<selvedge::InvalidStateError>());
        let slow = run_coroutine_threadsafe(sleep(Duration::from_millis(2)).returning(2), event_loop);
        assert_eq!(slow.result(LONG).unwrap(), 2);
        let failing = run_coroutine_threadsafe(async { Err::<(), _>(Error::msg("no")) }, event_loop);
        assert_eq!(failing.exception(None).unwrap().unwrap().to_string(), "no");
        assert_eq!(failing.result(None).unwrap_err().to_string(), "no");
    });
}

#[test]
fn a_timeout_leaves_the_coroutine_alone() {
    with_loop(|event_loop| {
        let (release, released) = async_channel::bounded(1);
        let future = run_coroutine_threadsafe(async move { Ok(released.recv().await?) }, event_loop);
        assert!(future.result(Duration::from_millis(1)).unwrap_err().is_timeout());
        assert!(future.result(Duration::ZERO).unwrap_err().is_timeout());
        assert!(!future.done() && !future.running() && !future.cancelled());
        release.send_blocking(5).unwrap();
        assert_eq!(future.result(Duration::MAX).unwrap(), 5);
        assert!(!future.cancel());
    });
}

#[test]
fn cancelled_means_that_the_coroutine_has_ended() {
    with_loop(|event_loop| {
        let future = run_coroutine_threadsafe(sleep(LONG), event_loop);
        assert!(future.cancel());
        assert!(future.result(None).unwrap_err().is_cancelled());
        assert!(future.cancelled());
        let (started, has_started) = mpsc::channel();
        let refusing = async move {
            started.send(())?;
            let _ = sleep(LONG).await;
            Ok("refused")
        };
        let future = run_coroutine_threadsafe(refusing, event_loop);
        has_started.recv().unwrap();
        assert!(future.cancel());
        assert_eq!(future.result(None).unwrap(), "refused");
        assert!(!future.cancelled());
    });
}

#[test]
fn several_threads_may_wait_for_one_coroutine() {
    with_loop(|event_loop| {
        let future = run_coroutine_threadsafe(sleep(Duration::from_millis(2)).returning(3), event_loop);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| future.result(None))).collect();
            waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "the value is moved out once"
        );
        assert!(future.exception(None).unwrap().is_none());
    });
}

#[selvedge::test(workers = 1)]
async fn waiting_on_a_worker_is_an_error_and_no_deadlock() -> Result<()> {
    let event_loop = get_running_loop()?;
    let future = run_coroutine_threadsafe(sleep(Duration::from_millis(1)).returning(4), &event_loop);
    let error = future.result(None).unwrap_err();
    assert!(error.is::<RuntimeError>());
    assert!(error.to_string().contains("worker thread"), "{error}");
    assert_eq!(to_thread(move || future.result(None)).await??, 4);
    Ok(())
}

#[test]
fn a_closed_loop_says_so() {
    let event_loop = with_loop(EventLoop::clone);
    let drops = Drops::new();
    let counted = drops.counted();
    let body = async move {
        drop(counted);
        Ok(())
    };
    let future = run_coroutine_threadsafe(body, &event_loop);
    assert_eq!(drops.count(), 1);
    assert!(future.done());
    assert_eq!(future.result(None).unwrap_err().to_string(), "Event loop is closed");
}

#[test]
fn closing_the_loop_ends_the_wait() {
    let runner = Runner::builder().workers(1).build().unwrap();
    let future = run_coroutine_threadsafe(sleep(LONG), &runner.get_loop());
    let waiting = thread::spawn(move || future.result(None));
    runner.close();
    assert!(waiting.join().unwrap().unwrap_err().is_cancelled());
}

#[selvedge::test]
async fn a_done_callback_of_a_concurrent_future() -> Result<()> {
    let (send, receive) = async_channel::bounded(1);
    let future = run_coroutine_threadsafe(async { Ok(()) }, &get_running_loop()?);
    future.add_done_callback(move |task| send.try_send(task.cancelled()).expect("there is room"))?;
    assert!(!receive.recv().await?);
    Ok(())
}

#[selvedge::test]
async fn to_thread_carries_the_context_there_and_not_back() -> Result<()> {
    static VAR: ContextVar<&str> = ContextVar::new("var");
    VAR.set("outside");
    let there = to_thread(|| {
        let before = VAR.get();
        VAR.set("inside");
        (before, VAR.get())
    })
    .await?;
    assert_eq!(there, (Some("outside"), Some("inside")));
    assert_eq!(VAR.get(), Some("outside"));
    let without = get_running_loop()?.run_in_executor(None, || VAR.get()).await?;
    assert_eq!(without, None);
    Ok(())
}

#[selvedge::test]
async fn a_panic_on_the_pool_is_an_error() -> Result<()> {
    let error = to_thread::<_, ()>(|| std::panic::resume_unwind(Box::new("there"))).await.unwrap_err();
    assert!(error.is_panic());
    assert_eq!(error.to_string(), "there");
    Ok(())
}

#[selvedge::test]
async fn there_is_no_running_loop_on_the_pool() -> Result<()> {
    assert!(to_thread(|| get_running_loop().is_err() && selvedge::current_task().is_none()).await?);
    Ok(())
}

#[selvedge::test]
async fn a_cancelled_to_thread_ends_at_once_and_the_function_runs_on() -> Result<()> {
    let (release, released) = mpsc::channel::<()>();
    let (ended, has_ended) = async_channel::bounded(1);
    let (started, has_started) = async_channel::bounded(1);
    let drops = Drops::new();
    let counted = drops.counted();
    let task = create_task(to_thread(move || {
        started.send_blocking(()).unwrap();
        released.recv().ok();
        ended.send_blocking(()).unwrap();
        counted
    }));
    has_started.recv().await?;
    task.cancel();
    assert!(task.await.map(drop).unwrap_err().is_cancelled());
    drop(release);
    has_ended.recv().await?;
    while drops.count() == 0 {
        sleep(Duration::ZERO).await?;
    }
    Ok(())
}

#[selvedge::test]
async fn a_queued_call_that_is_cancelled_never_runs() -> Result<()> {
    let executor = ThreadPoolExecutor::new(1)?;
    let event_loop = get_running_loop()?;
    let (release, released) = mpsc::channel::<()>();
    let blocking = event_loop.run_in_executor(Some(&executor), move || released.recv().is_err());
    let trace = Trace::new();
    let told = trace.clone();
    let queued = create_task(event_loop.run_in_executor(Some(&executor), move || told.tell("ran")));
    queued.cancel();
    assert!(queued.await.unwrap_err().is_cancelled());
    drop(release);
    assert!(blocking.await?);
    event_loop.run_in_executor(Some(&executor), || ()).await?;
    assert!(trace.events().is_empty());
    Ok(())
}

#[selvedge::test]
async fn an_executor_keeps_to_its_number() -> Result<()> {
    let executor = ThreadPoolExecutor::new(2)?;
    let event_loop = get_running_loop()?;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let pairs = Arc::new(Barrier::new(2));
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let (now, most, pairs) = (now.clone(), most.clone(), pairs.clone());
            event_loop.run_in_executor(Some(&executor), move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Two functions run at a time; otherwise this would hang.
                pairs.wait();
                now.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    for call in calls {
        call.await?;
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    executor.shutdown();
    let refused = event_loop.run_in_executor(Some(&executor), || ()).await.unwrap_err();
    assert!(refused.is::<RuntimeError>());
    assert!(ThreadPoolExecutor::new(0).is_err());
    Ok(())
}

#[selvedge::test]
async fn a_blocking_call_can_be_given_a_deadline() -> Result<()> {
    let (release, released) = mpsc::channel::<()>();
    let late = wait_for(to_thread(move || released.recv().is_ok()), Duration::from_millis(1)).await;
    assert!(late.unwrap_err().is_timeout());
    drop(release);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn functions_are_called_soon_later_and_not_at_all() -> Result<()> {
    let event_loop = get_running_loop()?;
    let trace = Trace::new();
    let tell = |what: &'static str| {
        let trace = trace.clone();
        move || trace.tell(what)
    };
    event_loop.call_later(Duration::from_secs(2), tell("two seconds"));
    event_loop.call_at(event_loop.time() + Duration::from_secs(1), tell("one second"));
    let never = event_loop.call_later(Duration::from_secs(1), tell("never"));
    let not_soon = event_loop.call_later(Duration::MAX, tell("at the end of time"));
    event_loop.call_soon(tell("soon"));
    event_loop.call_soon_threadsafe(|| std::panic::resume_unwind(Box::new("harmless")));
    settle().await?;
    never.cancel();
    assert!(never.cancelled() && !not_soon.cancelled());
    sleep(Duration::from_secs(3)).await?;
    assert_eq!(trace.events(), ["soon", "one second", "two seconds"]);
    not_soon.cancel();
    Ok(())
}

#[selvedge::test]
async fn a_thread_without_a_clock_moves_a_deadline_by_the_loops_time_only() -> Result<()> {
    let late = timeout(None, async |cm| {
        let ours = cm.clone();
        let refused = to_thread(move || ours.reschedule(Instant::now())).await?.unwrap_err();
        assert_eq!(refused.to_string(), "no running event loop");

        let now = get_running_loop()?.time();
        to_thread(move || cm.reschedule(now)).await??;
        sleep(LONG).await
    });
    assert!(late.await.unwrap_err().is_timeout());
    Ok(())
}
