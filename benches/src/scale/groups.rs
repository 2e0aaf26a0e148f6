//! What does one task cost that waits for many others?

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future;
use futures_util::stream::FuturesUnordered;
use selvedge::{Error, ReturnWhen, Task, create_task, sleep, task_group};

use super::{CpuTimer, Order, run, settle};

pub(super) fn wait(n: usize, return_when: ReturnWhen) -> Duration {
    run(async move {
        let naps: Vec<_> = (0..n).map(|_| create_task(sleep(Duration::from_secs(1)))).collect();
        let start = CpuTimer::now();
        let (done, pending) = selvedge::wait(&naps).return_when(return_when).await?;
        let lasted = start.elapsed();
        assert_eq!(done.len() + pending.len(), n);
        Ok(lasted)
    })
}

pub(super) fn gather(n: usize) -> Duration {
    run(async move {
        let naps: Vec<_> = (0..n).map(|_| create_task(sleep(Duration::from_secs(1)))).collect();
        settle().await?;
        let start = CpuTimer::now();
        assert_eq!(selvedge::gather(naps).await?.len(), n);
        Ok(start.elapsed())
    })
}

pub(super) fn gather_cancelled(n: usize) -> Duration {
    run(async move {
        let naps: Vec<_> = (0..n).map(|_| create_task(sleep(Duration::MAX))).collect();
        cancelled(create_task(async { selvedge::gather(naps).await.map(drop) })).await
    })
}

/// How long a task takes to end after it was cancelled.
async fn cancelled(task: Task<()>) -> selvedge::Result<Duration> {
    settle().await?;
    let start = CpuTimer::now();
    task.cancel();
    assert!(task.await.is_err());
    Ok(start.elapsed())
}

/// `n` children, distributed in turn over so many calls.
pub(super) fn as_completed(n: usize, calls: usize) -> Duration {
    run(async move {
        let mut naps: Vec<Vec<_>> = (0..calls).map(|_| Vec::new()).collect();
        for (turn, place) in Order::None.of(n).into_iter().enumerate() {
            naps[turn % calls].push(sleep(Duration::from_micros(place as u64 + 1)));
        }
        let all_of = async |naps: Vec<selvedge::Sleep>| {
            let mut results = selvedge::as_completed(naps);
            while let Some(result) = results.next().await {
                result?;
            }
            Ok(())
        };
        let start = CpuTimer::now();
        let calls: Vec<_> = naps.into_iter().map(|naps| create_task(all_of(naps))).collect();
        for call in calls {
            call.await?;
        }
        Ok(start.elapsed())
    })
}

pub(super) fn group(n: usize) -> Duration {
    run(async move {
        let start = CpuTimer::now();
        task_group(async |tg| {
            (0..n).for_each(|_| drop(tg.create_task(sleep(Duration::from_secs(1)))));
            Ok(())
        })
        .await?;
        Ok(start.elapsed())
    })
}

pub(super) fn group_fails(n: usize) -> Duration {
    run(async move {
        let mut start = None;
        let failed = task_group(async |tg| {
            (0..n).for_each(|_| drop(tg.create_task(sleep(Duration::MAX))));
            settle().await?;
            start = Some(CpuTimer::now());
            drop(tg.create_task(async { Err::<(), _>(Error::msg("it fails")) }));
            Ok(())
        });
        assert!(failed.await.is_err());
        Ok(start.expect("the body has run").elapsed())
    })
}

fn all_of(n: usize) -> impl Future<Output = Vec<selvedge::Result<()>>> {
    future::join_all((0..n).map(|_| sleep(Duration::MAX)))
}

pub(super) fn join_all(n: usize) -> Duration {
    run(async move { cancelled(create_task(async move { all_of(n).await.into_iter().collect() })).await })
}

pub(super) fn unordered(n: usize) -> Duration {
    run(async move {
        let leaves: FuturesUnordered<_> = (0..n).map(|_| sleep(Duration::MAX)).collect();
        let all = async move {
            let ended: Vec<_> = leaves.collect().await;
            ended.into_iter().collect()
        };
        cancelled(create_task(all)).await
    })
}

pub(super) fn unordered_dropped(n: usize) -> Duration {
    run(async move {
        let mut leaves: FuturesUnordered<_> = (0..n).map(|_| sleep(Duration::MAX)).collect();
        let none = std::future::poll_fn(|cx| {
            assert!(leaves.poll_next_unpin(cx).is_pending());
            std::task::Poll::Ready(())
        });
        none.await;
        Ok(super::timed(|| drop(leaves)))
    })
}
