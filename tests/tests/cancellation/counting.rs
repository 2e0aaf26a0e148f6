//! Rule 1: how are requests counted, joined and taken back?

use futures_util::future::join;
use selvedge::{Result, create_task, sleep, timeout};
use selvedge_tests::{ForeignYield, LONG, MOMENT, Trace, message_of, settle};

use super::{me, sleeper};

#[selvedge::test(virtual_time)]
async fn a_request_is_counted_and_cancels() -> Result<()> {
    let task = sleeper();
    assert_eq!((task.cancelling(), task.cancelled()), (0, false));
    assert!(task.cancel());
    assert_eq!(task.cancelling(), 1);
    let handle = task.handle();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(handle.cancelled() && handle.done());
    assert!(!handle.cancel(), "a task that is done cannot be cancelled");
    assert_eq!(handle.cancelling(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn an_expiry_does_not_show_in_cancelling() -> Result<()> {
    let late = timeout(MOMENT, async |_| {
        let slept = sleep(LONG).await;
        assert_eq!(me().cancelling(), 0);
        slept
    });
    assert!(late.await.unwrap_err().is_timeout());
    assert_eq!(me().cancelling(), 0);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn two_requests_before_a_delivery_deliver_one_error_with_the_first_message() -> Result<()> {
    let task = create_task(async {
        let first = sleep(LONG).await.unwrap_err();
        let rest = sleep(MOMENT).await;
        Ok((first, rest.is_ok()))
    });
    settle().await?;
    task.cancel_with("first");
    task.cancel_with("second");
    assert_eq!(task.cancelling(), 2);
    let (error, rest_was_left_alone) = task.await?;
    assert_eq!(message_of(&error), Some("first"));
    assert!(rest_was_left_alone);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn each_delivery_has_its_own_message() -> Result<()> {
    let task = create_task(async {
        let first = sleep(LONG).await.unwrap_err();
        let second = sleep(LONG).await.unwrap_err();
        let third = sleep(LONG).await.unwrap_err();
        Ok([first, second, third])
    });
    for message in [Some("one"), None, Some("three")] {
        settle().await?;
        let _ = message.map_or_else(|| task.cancel(), |message| task.cancel_with(message));
    }
    let errors = task.await?;
    assert_eq!(errors.each_ref().map(message_of), [Some("one"), None, Some("three")]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn uncancel_to_zero_before_the_delivery_rescinds_it() -> Result<()> {
    let task = create_task(async {
        me().cancel();
        me().cancel();
        assert_eq!(me().uncancel(), 1);
        assert_eq!(me().uncancel(), 0);
        assert_eq!(me().uncancel(), 0);
        sleep(MOMENT).returning("undisturbed").await
    });
    assert_eq!(task.await?, "undisturbed");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_suspended_leaf_is_not_told_of_a_rescinded_request_but_of_the_next() -> Result<()> {
    let task = create_task(async {
        let trace = Trace::new();
        let sleeping = async {
            let slept = sleep(LONG).await;
            trace.tell_result("sleeper", &slept);
        };
        let rescinding = async {
            ForeignYield::default().await;
            me().cancel();
            me().uncancel();
            ForeignYield::default().await;
            ForeignYield::default().await;
            trace.tell("rescinded");
            me().cancel();
        };
        join(sleeping, rescinding).await;
        Ok(trace.events())
    });
    assert_eq!(task.await?, ["rescinded", "sleeper: cancelled"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn uncancel_says_that_a_refusal_is_meant() -> Result<()> {
    let task = create_task(async {
        let _ = sleep(LONG).await;
        assert_eq!(me().cancelling(), 1);
        assert_eq!(me().uncancel(), 0);
        sleep(MOMENT).returning("refused").await
    });
    settle().await?;
    task.cancel();
    let handle = task.handle();
    assert_eq!(task.await?, "refused");
    assert!(!handle.cancelled());
    Ok(())
}
