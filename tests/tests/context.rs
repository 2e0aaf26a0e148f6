//! Which context variables do tasks inherit?

use selvedge::{Context, ContextVar, Result, copy_context, create_task, current_task, sleep, task, wait_for};
use selvedge_tests::MOMENT;

static VAR: ContextVar<u32> = ContextVar::new("var");
static OTHER: ContextVar<u32> = ContextVar::new("other");

#[selvedge::test(virtual_time)]
async fn a_task_has_its_creators_values_at_its_creation() -> Result<()> {
    VAR.set(1);
    let child = create_task(async {
        let at_birth = VAR.get();
        VAR.set(10);
        sleep(MOMENT).await?;
        Ok((at_birth, VAR.get()))
    });
    VAR.set(2);
    assert_eq!(child.await?, (Some(1), Some(10)));
    assert_eq!(VAR.get(), Some(2));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn what_is_awaited_in_place_shares_the_context() -> Result<()> {
    wait_for(
        async {
            VAR.set(5);
            Ok(())
        },
        MOMENT,
    )
    .await?;
    assert_eq!(VAR.get(), Some(5));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_task_may_run_in_a_given_context() -> Result<()> {
    let context = Context::new();
    let set = |value| async move {
        let before = VAR.get();
        VAR.set(value);
        Ok(before)
    };
    let builder = || task::Builder::new().context(context.clone());
    assert_eq!(builder().create_task(set(1))?.await?, None);
    assert_eq!(builder().create_task(set(2))?.await?, Some(1));
    assert_eq!(context.run(|| VAR.get()), Some(2));
    assert_eq!(VAR.get(), None);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_token_brings_back_what_was() -> Result<()> {
    let first = VAR.set(1);
    let second = VAR.set(2);
    VAR.reset(second)?;
    assert_eq!(VAR.get(), Some(1));
    VAR.reset(first)?;
    assert_eq!(VAR.get(), None);
    let elsewhere = copy_context().run(|| VAR.set(3));
    assert!(VAR.reset(elsewhere).unwrap_err().to_string().contains("different Context"));
    assert!(OTHER.reset(VAR.set(4)).unwrap_err().to_string().contains("different ContextVar"));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_copy_is_a_copy() -> Result<()> {
    VAR.set(1);
    let copy = copy_context();
    copy.run(|| VAR.set(2));
    assert_eq!((VAR.get(), copy.run(|| VAR.get())), (Some(1), Some(2)));
    let own = current_task().unwrap().get_context();
    own.run(|| VAR.set(3));
    assert_eq!(VAR.get(), Some(3));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_callback_runs_in_the_context_it_was_added_in() -> Result<()> {
    VAR.set(1);
    let (send, receive) = async_channel::bounded(1);
    let task = create_task(sleep(MOMENT));
    task.add_done_callback(move |_| {
        let _ = send.try_send(VAR.get());
    });
    VAR.set(2);
    assert_eq!(receive.recv().await?, Some(1));
    Ok(())
}

#[test]
fn threads_have_contexts_too() {
    assert_eq!(VAR.get(), None);
    VAR.set(9);
    assert_eq!(selvedge::run(async { Ok(VAR.get()) }).unwrap(), Some(9));
    assert_eq!(std::thread::spawn(|| VAR.get()).join().unwrap(), None);
}
