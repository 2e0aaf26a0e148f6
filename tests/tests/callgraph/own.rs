//! How do primitives outside of the library report which tasks wait for them?

use selvedge::{
    Result, create_task, current_task, future_add_to_awaited_by, future_discard_from_awaited_by,
    get_running_loop, sleep,
};
use selvedge_tests::{LONG, settle};

use crate::{awaiters, graph_of};

#[selvedge::test(workers = 1, virtual_time)]
async fn an_edge_is_added_once_and_taken_back() -> Result<()> {
    let waiter = create_task(sleep(LONG)).named("waiter");
    let task = create_task(sleep(LONG));
    let future = get_running_loop()?.create_future::<()>();
    settle().await?;
    for _ in 0..2 {
        future_add_to_awaited_by(&task, &waiter);
        future_add_to_awaited_by(&future, waiter.handle());
    }
    assert_eq!(awaiters(&graph_of(&task)?), ["waiter"]);
    assert_eq!(awaiters(&graph_of(&future)?), ["waiter"]);
    for _ in 0..2 {
        future_discard_from_awaited_by(&task, &waiter);
        future_discard_from_awaited_by(&future, waiter.handle());
    }
    assert!(awaiters(&graph_of(&task)?).is_empty() && awaiters(&graph_of(&future)?).is_empty());
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn an_edge_that_is_said_and_found_is_one_edge() -> Result<()> {
    let future = get_running_loop()?.create_future::<()>();
    let waiter = create_task(future.clone()).named("waiter");
    settle().await?;
    future_add_to_awaited_by(&future, &waiter);
    assert_eq!(awaiters(&graph_of(&future)?), ["waiter"]);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn an_edge_ends_with_either_side() -> Result<()> {
    let future = get_running_loop()?.create_future::<()>();
    let waiter = create_task(sleep(LONG));
    future_add_to_awaited_by(&future, &waiter);
    future_add_to_awaited_by(&future, current_task().expect("it runs in a task"));
    settle().await?;
    waiter.cancel();
    settle().await?;
    assert_eq!(awaiters(&graph_of(&future)?).len(), 1, "a waiter that is gone waits no more");
    future.set_result(())?;
    assert!(graph_of(&future)?.awaited_by().is_empty());
    future_add_to_awaited_by(&future, current_task().expect("it runs in a task"));
    assert!(graph_of(&future)?.awaited_by().is_empty(), "nobody waits for what is done");
    Ok(())
}

/// An edge that was never removed keeps no object alive.
#[selvedge::test(workers = 1, virtual_time)]
async fn an_edge_holds_nothing() -> Result<()> {
    let drops = selvedge_tests::Drops::new();
    for _ in 0..10 {
        let (held, other) = (drops.counted(), drops.counted());
        let awaits = |held| async move {
            let _held = held;
            sleep(selvedge_tests::MOMENT).await
        };
        let (first, second) = (create_task(awaits(held)), create_task(awaits(other)));
        future_add_to_awaited_by(&first, &second);
        future_add_to_awaited_by(&second, &first);
    }
    settle().await?;
    settle().await?;
    assert_eq!(drops.count(), 20);
    Ok(())
}
