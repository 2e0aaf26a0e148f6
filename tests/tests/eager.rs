//! Do eager tasks take their first step where they are made?

use selvedge::{ContextVar, Error, Result, Task, all_tasks, create_task, current_task, sleep, task, timeout};
use selvedge_tests::{LONG, MOMENT, Trace, settle};

static VAR: ContextVar<u32> = ContextVar::new("var");

fn eager<C: selvedge::Coroutine>(coro: C) -> Task<C::Item> {
    task::Builder::new().eager_start(true).create_task(coro).unwrap()
}

#[selvedge::test(virtual_time)]
async fn what_never_waits_is_done_at_once() -> Result<()> {
    let task = eager(async { Ok(7) });
    assert!(task.done());
    assert_eq!(all_tasks().len(), 1);
    assert_eq!(*task.result()?, 7);
    let failed = eager(async { Err::<(), _>(Error::msg("stored")) });
    assert!(failed.exception()?.is_some());
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn it_runs_to_its_first_suspension() -> Result<()> {
    let trace = Trace::new();
    let told = trace.clone();
    let task = eager(async move {
        told.tell("begun");
        sleep(MOMENT).await?;
        told.tell("ended");
        Ok(())
    });
    trace.tell("made");
    task.await?;
    assert_eq!(trace.events(), ["begun", "made", "ended"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn it_is_a_task_of_its_own_from_the_start() -> Result<()> {
    VAR.set(1);
    let me = current_task().unwrap();
    let task = eager(async {
        let before = VAR.get();
        VAR.set(2);
        Ok((current_task().unwrap(), before))
    });
    assert_eq!(current_task().unwrap(), me);
    assert_eq!(VAR.get(), Some(1));
    let handle = task.handle();
    assert_eq!(task.await?, (handle, Some(1)));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn it_is_outside_of_its_makers_scopes() -> Result<()> {
    let mut made = None;
    let late = timeout(MOMENT, async |_| {
        made = Some(eager(async {
            sleep(3 * MOMENT).await?;
            Ok("outlived the deadline")
        }));
        sleep(LONG).await
    });
    assert!(late.await.unwrap_err().is_timeout());
    assert_eq!(made.unwrap().await?, "outlived the deadline");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_request_to_the_maker_is_not_taken_by_what_it_makes() -> Result<()> {
    let maker = create_task(async {
        current_task().unwrap().cancel();
        let child = eager(async { sleep(MOMENT).returning("child").await });
        let mine = sleep(LONG).await;
        Ok((child, mine.is_err()))
    });
    let (child, was_told) = maker.await?;
    assert!(was_told);
    assert_eq!(child.await?, "child");
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_panic_in_the_first_step_stays_in_the_task() -> Result<()> {
    let task = eager(async { std::panic::resume_unwind(Box::new("first step")) as Result<()> });
    assert!(task.await.unwrap_err().is_panic());
    settle().await
}
