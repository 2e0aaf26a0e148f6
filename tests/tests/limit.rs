//! Do `gather(..).limit(n)` and `as_completed(..).limit(n)` run at most n children at once?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use selvedge::{
    Result, Runner, all_tasks, as_completed, create_task, current_task, gather, get_running_loop, sleep,
    timeout,
};
use selvedge_tests::{Drops, LONG, MOMENT, Trace, settle};

/// Counts the running children, and the most that ever ran at once.
#[derive(Clone, Default)]
struct Running(Arc<[AtomicUsize; 3]>);

struct Run(Running);

impl Running {
    fn begin(&self) -> Run {
        let now = self.0[0].fetch_add(1, Ordering::SeqCst) + 1;
        self.0[1].fetch_max(now, Ordering::SeqCst);
        self.0[2].fetch_add(1, Ordering::SeqCst);
        Run(self.clone())
    }

    fn most(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }

    fn begun(&self) -> usize {
        self.0[2].load(Ordering::SeqCst)
    }

    async fn child(self, n: usize) -> Result<usize> {
        let _run = self.begin();
        sleep(Duration::from_micros(1 + n as u64 * 7919 % 300)).await?;
        Ok(n)
    }

    fn children(&self, n: usize) -> Vec<impl Future<Output = Result<usize>> + use<>> {
        (0..n).map(|n| self.clone().child(n)).collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.0[0].fetch_sub(1, Ordering::SeqCst);
    }
}

#[selvedge::test(virtual_time)]
async fn never_more_at_once_and_in_order() -> Result<()> {
    for n in [0, 1, 2, 7, 500] {
        for limit in [1, 2, 8, 1_000] {
            let running = Running::default();
            let results = gather(running.children(n)).limit(limit).await?;
            assert_eq!(results, (0..n).collect::<Vec<_>>());
            assert_eq!(running.begun(), n);
            assert!(running.most() <= limit, "{} of {limit}", running.most());
            assert!(n < limit || running.most() == limit, "{} of {limit}", running.most());

            let running = Running::default();
            let results = gather(running.children(n)).limit(limit).return_exceptions().await?;
            assert_eq!(results.into_iter().collect::<Result<Vec<_>>>()?, (0..n).collect::<Vec<_>>());
            assert!(running.most() <= limit);

            let running = Running::default();
            let mut streamed =
                as_completed(running.children(n)).limit(limit).map(Result::unwrap).collect::<Vec<_>>().await;
            streamed.sort_unstable();
            assert_eq!(streamed, (0..n).collect::<Vec<_>>());
            assert!(running.most() <= limit);
        }
    }
    Ok(())
}

/// The children do not suspend, so many end before the call returns, while workers steal others.
#[test]
fn never_more_at_once_on_many_workers() {
    let runner = Runner::builder().workers(4).build().unwrap();
    for limit in [1, 2, 3] {
        let running = Running::default();
        let body = running.clone();
        runner
            .run(async move {
                let children = (0..20_000).map(|n| {
                    let running = body.clone();
                    async move {
                        let _run = running.begin();
                        std::hint::black_box((0..50).sum::<u64>());
                        Ok(n)
                    }
                });
                let results = gather(children.collect::<Vec<_>>()).limit(limit).await?;
                assert!(results.into_iter().eq(0..20_000));
                Ok(())
            })
            .unwrap();
        assert!(running.most() <= limit, "{} of {limit}", running.most());
    }
}

#[selvedge::test(virtual_time)]
async fn tuples_arrays_and_tasks() -> Result<()> {
    let running = Running::default();
    let child = |n| running.clone().child(n);
    assert_eq!(gather([child(3), child(2), child(1)]).limit(2).await?, [3, 2, 1]);
    let task = create_task(child(9));
    assert_eq!(gather((child(1), task, child(2), async { Ok("four") })).limit(1).await?, (1, 9, 2, "four"));
    let tasks: Vec<_> = (0..5).map(|n| create_task(child(n))).collect();
    assert_eq!(gather(tasks).limit(1).await?, [0, 1, 2, 3, 4]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn without_a_limit_children_start_though_nobody_awaits_them() -> Result<()> {
    let running = Running::default();
    let gathering = gather(running.children(3));
    assert_eq!(running.begun(), 0);
    settle().await?;
    assert_eq!(running.begun(), 3, "the poll has ended");
    drop(gathering);

    drop(gather(running.children(3)));
    drop(as_completed(running.children(3)));
    settle().await?;
    assert_eq!(running.begun(), 9, "it was dropped");

    let seen = running.clone();
    let keep = Arc::new(parking_lot::Mutex::new(None));
    let kept = Arc::clone(&keep);
    get_running_loop()?.call_soon(move || *kept.lock() = Some(gather(seen.children(3))));
    settle().await?;
    assert_eq!(running.begun(), 12, "the callback has ended");

    let gathering = gather(running.children(3));
    let panics = create_task(async move {
        let _gathering = gathering;
        Ok(())
    });
    panics.await?;
    settle().await?;
    assert_eq!(running.begun(), 15, "it was moved, and dropped there");
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn children_start_before_what_is_made_after_them() -> Result<()> {
    let trace = Trace::new();
    let tell = |what: &'static str| {
        let trace = trace.clone();
        async move {
            trace.tell(what);
            Ok(())
        }
    };
    let first = gather([tell("a"), tell("b")]);
    let second = create_task(tell("c"));
    let third = gather([tell("d")]);
    let fourth = as_completed([tell("e")]);
    second.await?;
    first.await?;
    third.await?;
    drop(fourth);
    assert_eq!(trace.events(), ["a", "b", "c", "d", "e"]);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn cancelled_children_that_have_not_started_never_run() -> Result<()> {
    let running = Running::default();
    let drops = Drops::new();
    let body = running.clone();
    let counted = drops.clone();
    let task = create_task(async move {
        let children = (0..100).map(|_| {
            let (running, counted) = (body.clone(), counted.counted());
            async move {
                let _run = running.begin();
                let _counted = counted;
                sleep(LONG).await
            }
        });
        gather(children.collect::<Vec<_>>()).limit(3).await
    });
    settle().await?;
    task.cancel();
    assert!(task.await.unwrap_err().is_cancelled());
    settle().await?;
    assert_eq!((running.begun(), drops.count()), (3, 100));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_child_that_is_cancelled_before_its_turn_makes_no_room() -> Result<()> {
    let running = Running::default();
    let body = running.clone();
    let gathered = create_task(async move {
        let children = (0..10).map(|_| {
            let running = body.clone();
            async move {
                let _run = running.begin();
                current_task().unwrap().set_name("running");
                sleep(MOMENT * 10).await
            }
        });
        gather(children.collect::<Vec<_>>()).limit(2).return_exceptions().await
    });
    settle().await?;
    let me = current_task().unwrap().id();
    let waiting = all_tasks().into_iter().filter(|task| task.get_name() != "running");
    let waiting: Vec<_> = waiting.filter(|task| task.id() != me && task.id() != gathered.id()).collect();
    assert_eq!(waiting.len(), 8);
    waiting[..4].iter().for_each(|task| _ = task.cancel());
    settle().await?;
    assert_eq!(running.begun(), 2);
    let results = gathered.await?;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6);
    assert_eq!((running.begun(), running.most()), (6, 2));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn children_go_on_after_an_error_and_after_the_drop() -> Result<()> {
    let running = Running::default();
    let children = |fails: bool| {
        let running = running.clone();
        (0..10).map(move |n| {
            let running = running.clone();
            async move {
                let _run = running.begin();
                sleep(MOMENT).await?;
                if fails && n == 0 { Err(selvedge::Error::msg("the first")) } else { Ok(()) }
            }
        })
    };
    assert!(gather(children(true).collect::<Vec<_>>()).limit(2).await.is_err());
    sleep(MOMENT * 20).await?;
    assert_eq!(running.begun(), 10);
    drop(gather(children(false).collect::<Vec<_>>()).limit(2));
    drop(as_completed(children(false)).limit(2));
    sleep(MOMENT * 20).await?;
    assert_eq!(running.begun(), 30);
    let mut first = as_completed(children(false)).limit(1);
    first.next().await.unwrap()?;
    assert!(timeout(MOMENT / 2, async |_| first.next().await.unwrap()).await.is_err(), "the others wait");
    assert_eq!(first.filter(|result| std::future::ready(result.is_ok())).count().await, 9);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn what_panics_makes_room() -> Result<()> {
    let children: Vec<_> = (0..10).map(async |n| if n < 5 { panic!("on purpose") } else { Ok(n) }).collect();
    let results = gather(children).limit(1).return_exceptions().await?;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    Ok(())
}

#[test]
fn what_has_not_started_is_dropped_with_the_loop() {
    let drops = Drops::new();
    let runner = Runner::new().unwrap();
    let counted = drops.clone();
    runner
        .run(async move {
            let children = (0..50).map(|_| {
                let counted = counted.counted();
                async move {
                    let _counted = counted;
                    sleep(LONG).await
                }
            });
            let gathering = gather(children.collect::<Vec<_>>()).limit(2);
            drop(create_task(gathering));
            Ok(())
        })
        .unwrap();
    runner.close();
    assert_eq!(drops.count(), 50);
}

#[selvedge::test(virtual_time)]
async fn a_limit_of_nothing_and_one_that_comes_too_late_are_refused() -> Result<()> {
    let nothing = create_task(async { gather([sleep(MOMENT)]).limit(0).await }).await.unwrap_err();
    assert!(nothing.to_string().contains("give at least 1"), "{nothing}");
    let late = create_task(async {
        let gathering = gather([sleep(MOMENT)]);
        sleep(MOMENT).await?;
        gathering.limit(1).await
    });
    let late = late.await.unwrap_err();
    assert!(late.to_string().contains("the children have started"), "{late}");
    // Nothing is lost: the children go on as if the gathering had been dropped.
    let running = Running::default();
    let seen = running.clone();
    let second = create_task(async move { gather(seen.children(5)).limit(1).limit(2).await });
    let second = second.await.unwrap_err();
    assert!(second.to_string().contains("have a limit already"), "{second}");
    sleep(LONG).await?;
    assert_eq!((running.begun(), running.most()), (5, 1));
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn children_that_end_before_the_limit_make_no_room() -> Result<()> {
    let running = Running::default();
    let gathering = gather(running.children(3));
    let me = current_task().unwrap().id();
    let first = all_tasks().into_iter().find(|task| task.id() != me).unwrap();
    first.cancel();
    let limited = gathering.limit(1).return_exceptions();
    assert_eq!(limited.await?.iter().filter(|result| result.is_ok()).count(), 2);
    assert_eq!(running.most(), 1);
    Ok(())
}

/// The wake that the request caused does not count as the child's turn.
#[test]
fn children_whose_requests_are_taken_back_wait_for_their_turn() {
    let running = Running::default();
    let seen = running.clone();
    // One worker without the watchdog, so that no child is polled between the two calls.
    let alone = Runner::builder().workers(1).watchdog(false).virtual_time(true);
    let results = alone.run(async move {
        let me = current_task().unwrap().id();
        let limited = create_task(gather(seen.children(20)).limit(2));
        for task in all_tasks() {
            if task.id() != me && task.id() != limited.id() {
                task.cancel();
                task.uncancel();
            }
        }
        limited.await
    });
    assert_eq!(results.unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!((running.begun(), running.most()), (20, 2));
}

#[selvedge::test(workers = 1, virtual_time)]
async fn children_whose_maker_panics_go_on_like_dropped_tasks() -> Result<()> {
    let running = Running::default();
    let seen = running.clone();
    let maker = create_task(async move {
        let children = (0..3).map(move |n| {
            assert!(n < 2, "on purpose");
            seen.clone().child(n)
        });
        as_completed(children).next().await.unwrap()
    });
    assert!(maker.await.is_err());
    settle().await?;
    assert_eq!(running.begun(), 2);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn a_gathering_made_by_the_iterator_of_another_starts() -> Result<()> {
    let running = Running::default();
    let mut inner = None;
    let outer = as_completed([0].map(|_| {
        inner = Some(gather(running.children(2)));
        async { Ok(()) }
    }));
    let lazy = as_completed((0..1).map(|_| {
        inner = Some(gather(running.children(2)));
        async { Ok(()) }
    }));
    settle().await?;
    assert_eq!(running.begun(), 4);
    drop((inner, outer, lazy));
    Ok(())
}

/// A capture claims a task that has not started, at the moment in which it is about to be started.
#[test]
fn questions_do_not_keep_children_from_starting() {
    let runner = Runner::builder().workers(2).build().unwrap();
    let main = async {
        let asks = create_task(async {
            loop {
                for task in all_tasks() {
                    let _graph = selvedge::capture_call_graph(&task, None);
                }
                sleep(Duration::ZERO).await?;
            }
            #[expect(unreachable_code, reason = "it says what the task returns")]
            Ok(())
        });
        for _ in 0..300 {
            gather((0..20).map(async |n| Ok(n)).collect::<Vec<_>>()).limit(4).await?;
        }
        asks.cancel();
        Ok(())
    };
    runner.run(async { timeout(Duration::from_mins(1), async |_| main.await).await }).unwrap();
}
