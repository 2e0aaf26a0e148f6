//! Do futures, whose results are set by hand, work?

use selvedge::{Error, Future, InvalidStateError, Result, create_task, get_running_loop, shield, wait_for};
use selvedge_tests::{MOMENT, Reports, Trace, message_of, settle};

fn future<T: Clone + Send + Sync + 'static>() -> Future<T> {
    get_running_loop().unwrap().create_future()
}

#[selvedge::test(virtual_time)]
async fn it_is_set_once() -> Result<()> {
    let one = future();
    assert!(one.result().unwrap_err().is::<InvalidStateError>());
    assert!(one.exception().unwrap_err().is::<InvalidStateError>());
    assert!(!one.done());
    one.set_result(1)?;
    assert!(one.done() && !one.cancelled());
    assert!(one.set_result(2).unwrap_err().is::<InvalidStateError>());
    assert!(one.set_exception(Error::msg("late")).unwrap_err().is::<InvalidStateError>());
    assert!(!one.cancel());
    assert_eq!((one.result()?, (&one).await?), (1, 1));
    assert!(one.exception()?.is_none());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn any_number_of_awaiters() -> Result<()> {
    let one = future();
    let waiting: Vec<_> = (0..10).map(|_| create_task(one.clone())).collect();
    settle().await?;
    one.set_result(String::from("all"))?;
    for task in waiting {
        assert_eq!(task.await?, "all");
    }
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_error_and_a_cancellation() -> Result<()> {
    let failed = future::<()>();
    failed.set_exception(std::io::Error::other("disk"))?;
    assert!((&failed).await.unwrap_err().is::<std::io::Error>());
    assert!(failed.exception()?.is_some());
    let cancelled = future::<()>();
    assert!(cancelled.cancel_with("why"));
    assert!(cancelled.cancelled());
    assert_eq!(message_of(&cancelled.result().unwrap_err()), Some("why"));
    assert_eq!(message_of(&cancelled.exception().unwrap_err()), Some("why"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_to_one_awaiter_cancels_the_future_unless_it_is_shielded() -> Result<()> {
    let one = future::<u32>();
    let (first, second) = (create_task(one.clone()), create_task(one.clone()));
    settle().await?;
    first.cancel_with("both");
    assert_eq!(message_of(&first.await.unwrap_err()), Some("both"));
    assert!(one.cancelled());
    assert_eq!(message_of(&second.await.unwrap_err()), Some("both"));

    let kept = future::<u32>();
    let late = wait_for(shield(kept.clone()), MOMENT).await;
    assert!(late.unwrap_err().is_timeout());
    assert!(!kept.done());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn callbacks_run_soon_and_in_order() -> Result<()> {
    let trace = Trace::new();
    let one = future::<u32>();
    let tell = |what: &'static str| {
        let trace = trace.clone();
        move |outcome: &Result<u32>| trace.tell(format!("{what} {}", outcome.as_ref().unwrap()))
    };
    one.add_done_callback(tell("first"));
    let second = one.add_done_callback(tell("second"));
    one.add_done_callback(tell("third"));
    assert!(one.remove_done_callback(second));
    assert!(!one.remove_done_callback(second));
    one.set_result(7)?;
    settle().await?;
    one.add_done_callback(tell("late"));
    settle().await?;
    assert_eq!(trace.events(), ["first 7", "third 7", "late 7"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_error_nobody_asked_for_is_reported() -> Result<()> {
    let reports = Reports::of(&get_running_loop()?);
    let seen = future::<()>();
    seen.set_exception(Error::msg("seen"))?;
    assert!(seen.exception()?.is_some());
    drop(seen);
    future::<()>().set_exception(Error::msg("lost"))?;
    assert_eq!(reports.messages(), ["Future exception was never retrieved"]);
    Ok(())
}

/// A user's waker panics: every other waiter is still woken, and the callbacks are called.
#[selvedge::test(virtual_time)]
async fn a_waker_that_panics_keeps_nobody_waiting() -> Result<()> {
    use std::future::{Future as _, IntoFuture as _};
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let one = future();
    let mut waits = std::pin::pin!(one.clone().into_future());
    let panics = Waker::from(Arc::new(Panics));
    assert!(waits.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
    let beside = create_task(one.clone());
    settle().await?;
    one.set_result(1)?;
    assert_eq!(wait_for(beside, MOMENT).await?, 1);
    Ok(())
}
