//! Rule 6: what happens to a request before the first step, and what may a coroutine do by itself?

use std::time::Duration;

use selvedge::{CancelledError, Result, Task, create_task, gather, sleep};
use selvedge_tests::{Drops, LONG, MOMENT, Trace, message_of, settle};

#[selvedge::test(workers = 1)]
async fn a_task_that_is_cancelled_before_its_first_step_never_runs() -> Result<()> {
    let drops = Drops::new();
    let counted = drops.counted();
    // There is one worker, and it is busy here: the task cannot have started.
    let task: Task<()> = create_task(async move {
        let _counted = counted;
        unreachable!("cancelled before its first step");
    });
    task.cancel_with("too early");
    let handle = task.handle();
    assert_eq!(message_of(&task.await.unwrap_err()), Some("too early"));
    assert!(handle.cancelled());
    assert_eq!((handle.cancelling(), drops.count()), (1, 1));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_coroutine_may_raise_a_cancellation_of_its_own() -> Result<()> {
    let task: Task<()> = create_task(async { Err(CancelledError::with_message("mine").into()) });
    let handle = task.handle();
    assert_eq!(message_of(&task.await.unwrap_err()), Some("mine"));
    assert!(handle.cancelled());
    assert_eq!(handle.cancelling(), 0);
    assert!(handle.exception().unwrap_err().is_cancelled());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_cancelled_gathering_cancels_its_children_and_waits() -> Result<()> {
    let trace = Trace::new();
    let child = |name: &'static str, clean_up: Duration| {
        let trace = trace.clone();
        async move {
            let slept = sleep(LONG).await;
            sleep(clean_up).await?;
            trace.tell(name);
            slept
        }
    };
    let children = [child("slow", 5 * MOMENT), child("quick", MOMENT)];
    let task = create_task(async move { gather(children).return_exceptions().await });
    settle().await?;
    task.cancel_with("all of you");
    assert_eq!(message_of(&task.await.unwrap_err()), Some("all of you"));
    assert_eq!(trace.events(), ["quick", "slow"]);
    Ok(())
}
