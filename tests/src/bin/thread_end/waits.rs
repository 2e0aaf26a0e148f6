//! Can a wait that began inside a task go on while a thread ends?

use std::future::{Future, poll_fn};
use std::task::Poll;

use futures_util::FutureExt;

use super::{Case, Env, LONG, Pending, forever, object, on_loop, poll_once};

/// Each future was polled once inside a task, and is used here.
pub(super) fn waits(cases: &mut Vec<Case>) {
    fn waits_for<F>(env: &Env, make: impl FnOnce() -> F + Send + 'static) -> Pending
    where
        F: Future + Send + 'static,
    {
        on_loop(env, async move {
            // Fused, because a future that ends at its first poll must not be polled again.
            let mut waits: Pending = Box::pin(async move { drop(make().await) }.fuse());
            poll_fn(|cx| {
                let _ = waits.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            Ok(waits)
        })
    }
    let go_on: fn(&Env, Pending) = |_, waits| poll_once(waits);
    object(cases, "sleep", |env| waits_for(env, || selvedge::sleep(LONG)), go_on);
    object(cases, "gather", |env| waits_for(env, || selvedge::gather([forever(), forever()])), go_on);
    object(cases, "wait", |env| waits_for(env, || selvedge::wait([selvedge::create_task(forever())])), go_on);
    object(cases, "wait_for", |env| waits_for(env, || selvedge::wait_for(forever(), LONG)), go_on);
    object(cases, "shield", |env| waits_for(env, || selvedge::shield(forever())), go_on);
    object(
        cases,
        "timeout",
        |env| waits_for(env, || selvedge::timeout(LONG, async |_| forever().await)),
        go_on,
    );
    object(
        cases,
        "as_completed",
        |env| waits_for(env, || async { selvedge::as_completed([forever()]).next().await.map(drop) }),
        go_on,
    );
    object(
        cases,
        "task_group",
        |env| {
            waits_for(env, || {
                selvedge::task_group(async |tg| {
                    tg.create_task(forever());
                    selvedge::timeout(LONG, async |_| forever().await).await
                })
            })
        },
        go_on,
    );
    object(
        cases,
        "cancellable",
        |env| waits_for(env, || selvedge::cancellable(std::future::pending::<()>())),
        go_on,
    );
    object(cases, "to_thread", |env| waits_for(env, || selvedge::to_thread(|| ())), go_on);
    object(cases, "joined task", |env| waits_for(env, || selvedge::create_task(forever())), go_on);
}
