//! Does a request reach every coroutine below a task, whatever foreign combinator polls it, and may
//! the clean-up await?
//!
//! The test is a product: combinators × what the children wait for × the cause of the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all, select_all};
use futures_util::stream::{self, FuturesOrdered, FuturesUnordered, StreamExt};
use selvedge::net::UdpSocket;
use selvedge::{
    Result, Runner, as_completed, cancellable, create_task, gather, get_running_loop, shield, sleep,
    task_group, timeout, wait, wait_for,
};
use selvedge_tests::{Drops, ForeignYield, LONG, MOMENT, foreign, settle};

use super::{me, sleeper};

/// The counts of children: each child counts that it has begun, waits, counts that it received the
/// request, cleans up, and counts that it has done so.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicUsize; 3]>);

impl Counts {
    fn add(&self, to: usize) {
        self.0[to].fetch_add(1, Ordering::SeqCst);
    }

    /// How many have begun, have received the request, and have ended their clean-up.
    fn all(&self) -> [usize; 3] {
        [0, 1, 2].map(|index| self.0[index].load(Ordering::SeqCst))
    }

    fn child(&self, waits: Waits) -> BoxFuture<'static, ()> {
        let counts = self.clone();
        async move {
            counts.add(0);
            if waits().await.is_ok() {
                // An await below received the request first and ended without an error, so the
                // request is delivered to the next await.
                assert!(sleep(LONG).await.is_err(), "nobody asked");
            }
            counts.add(1);
            sleep(MOMENT).await.expect("the clean-up starts clean");
            counts.add(2);
        }
        .boxed()
    }

    fn children(&self, n: usize, waits: Waits) -> Vec<BoxFuture<'static, ()>> {
        (0..n).map(|_| self.child(waits)).collect()
    }
}

type Waits = fn() -> BoxFuture<'static, Result<()>>;
type Combinator = fn(Vec<BoxFuture<'static, ()>>) -> BoxFuture<'static, ()>;

/// What a child waits for: each kind of leaf, and the combinators of this library.
const WAITS: &[(&str, Waits)] = &[
    ("sleep", || async { sleep(LONG).await }.boxed()),
    ("future", || async { get_running_loop()?.create_future::<()>().await }.boxed()),
    ("task", || async { sleeper().await }.boxed()),
    ("gather", || async { gather([sleeper(), sleeper()]).await.map(drop) }.boxed()),
    ("gather of results", || {
        async {
            let results = gather([sleeper(), sleeper()]).return_exceptions().await?;
            results.into_iter().collect::<Result<Vec<_>>>().map(drop)
        }
        .boxed()
    }),
    ("wait", || async { wait([sleeper()]).await.map(drop) }.boxed()),
    ("shield", || async { shield(sleeper()).await }.boxed()),
    ("as_completed", || async { as_completed([sleeper()]).next().await.expect("there is one") }.boxed()),
    ("group", || {
        async {
            task_group(async |tg| {
                tg.create_task(sleep(LONG));
                Ok(())
            })
            .await
        }
        .boxed()
    }),
    ("body of a group", || async { task_group(async |_| sleep(LONG).await).await }.boxed()),
    ("timeout", || async { timeout(LONG * 2, async |_| sleep(LONG).await).await }.boxed()),
    ("wait_for", || async { wait_for(sleep(LONG), LONG * 2).await }.boxed()),
    ("wait_for of a future", || {
        async { wait_for(get_running_loop()?.create_future::<()>(), LONG).await }.boxed()
    }),
    ("cancellable", || async { cancellable(foreign()).await }.boxed()),
    ("datagram", || {
        async {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            socket.recv(&mut [0]).await.map(drop)
        }
        .boxed()
    }),
    ("set in a set", || {
        async {
            let mut set: FuturesUnordered<_> = (0..3).map(|_| sleep(LONG)).collect();
            let mut last = Ok(());
            while let Some(slept) = set.next().await {
                last = slept;
            }
            last
        }
        .boxed()
    }),
    ("join in a timeout", || {
        async {
            let slept = timeout(LONG * 2, async |_| {
                join_all((0..40).map(|_| sleep(LONG))).await.into_iter().collect::<Result<Vec<_>>>()
            });
            slept.await.map(drop)
        }
        .boxed()
    }),
    ("shared", || {
        async {
            let told = async { sleep(LONG).await.is_err() }.boxed().shared();
            assert!(told.await);
            Err(selvedge::CancelledError::new().into())
        }
        .boxed()
    }),
];

/// How other crates poll children concurrently. Each combinator waits for all of them.
const COMBINATORS: &[(&str, Combinator)] = &[
    ("join!", |mut children| {
        async {
            let (last, other) = (children.pop().unwrap(), children.pop().unwrap());
            futures_util::join!(last, other, join_all(children));
        }
        .boxed()
    }),
    ("join_all", |children| join_all(children).map(drop).boxed()),
    ("FuturesUnordered", |children| {
        children.into_iter().collect::<FuturesUnordered<_>>().for_each(async |()| {}).boxed()
    }),
    ("FuturesOrdered", |children| {
        children.into_iter().collect::<FuturesOrdered<_>>().for_each(async |()| {}).boxed()
    }),
    ("buffered", |children| {
        let n = children.len();
        stream::iter(children).buffered(n).for_each(async |()| {}).boxed()
    }),
    ("buffer_unordered", |children| {
        let n = children.len();
        stream::iter(children).buffer_unordered(n).for_each(async |()| {}).boxed()
    }),
    ("for_each_concurrent", |children| {
        stream::iter(children).for_each_concurrent(None, |child| child).boxed()
    }),
    ("select_all, one after the other", |mut children| {
        async move {
            while !children.is_empty() {
                ((), _, children) = select_all(children).await;
            }
        }
        .boxed()
    }),
    ("set of sets", |children| {
        let sets = children.into_iter().map(|child| {
            [child, async { assert!(sleep(LONG).await.is_err()) }.boxed()]
                .into_iter()
                .collect::<FuturesUnordered<_>>()
                .for_each(async |()| {})
        });
        sets.collect::<FuturesUnordered<_>>().for_each(async |()| {}).boxed()
    }),
    ("set of timeouts", |children| {
        let each = children.into_iter().map(|child| async {
            timeout(LONG * 3, async |_| {
                child.await;
                Ok(())
            })
            .await
            .expect("it was in time");
        });
        each.collect::<FuturesUnordered<_>>().for_each(async |()| {}).boxed()
    }),
    ("set beside what wakes itself", |children| {
        let restless = async {
            for _ in 0..1_000 {
                ForeignYield::default().await;
            }
        };
        let all = children.into_iter().chain([restless.boxed()]);
        all.collect::<FuturesUnordered<_>>().for_each(async |()| {}).boxed()
    }),
];

/// The cause of the request. Each cause receives the work that must be cancelled, and returns when
/// the work has ended.
type Cause = fn(BoxFuture<'static, ()>) -> BoxFuture<'static, Result<()>>;

const CAUSES: &[(&str, Cause)] = &[
    ("cancel", |work| {
        async {
            let task = create_task(async {
                work.await;
                Ok(())
            });
            settle().await?;
            task.cancel();
            task.await
        }
        .boxed()
    }),
    ("cancelled twice", |work| {
        async {
            let task = create_task(async {
                work.await;
                Ok(())
            });
            settle().await?;
            task.cancel();
            task.cancel();
            task.await
        }
        .boxed()
    }),
    ("cancelled, taken back and cancelled", |work| {
        async {
            let task = create_task(async {
                work.await;
                Ok(())
            });
            settle().await?;
            task.cancel();
            task.uncancel();
            settle().await?;
            task.cancel();
            task.await
        }
        .boxed()
    }),
    ("request in the poll", |work| {
        async {
            let task = create_task(async {
                futures_util::join!(work, async {
                    sleep(MOMENT).await.unwrap();
                    me().cancel();
                });
                Ok(())
            });
            task.await
        }
        .boxed()
    }),
    ("timeout", |work| {
        async {
            let ended = timeout(MOMENT, async |_| {
                work.await;
                Ok(())
            })
            .await;
            ended.or_else(|_| Ok(()))
        }
        .boxed()
    }),
    ("wait_for", |work| {
        async {
            let ended = wait_for(
                async {
                    work.await;
                    Ok(())
                },
                MOMENT,
            )
            .await;
            ended.or_else(|_| Ok(()))
        }
        .boxed()
    }),
    ("group", |work| {
        async {
            let ended = task_group(async |tg| {
                tg.create_task(async {
                    work.await;
                    Ok(())
                });
                settle().await?;
                Err::<(), _>(selvedge::Error::msg("a group that fails"))
            });
            assert!(ended.await.is_err());
            Ok(())
        }
        .boxed()
    }),
    ("body of a group", |work| {
        async {
            let ended = task_group(async |tg| {
                tg.create_task(async {
                    settle().await?;
                    Err::<(), _>(selvedge::Error::msg("a child that fails"))
                });
                work.await;
                Ok(())
            });
            assert!(ended.await.is_err());
            Ok(())
        }
        .boxed()
    }),
    ("awaiter", |work| {
        async {
            let task = create_task(async {
                create_task(async {
                    work.await;
                    Ok(())
                })
                .await
            });
            settle().await?;
            task.cancel();
            task.await
        }
        .boxed()
    }),
];

/// These causes make two requests before the task runs again. That is certain only where no other
/// worker can poll it in between.
const ASK_TWICE_AT_ONCE: [&str; 2] = ["cancelled twice", "cancelled, taken back and cancelled"];

fn in_virtual_time(workers: usize) -> Runner {
    Runner::builder().virtual_time(true).workers(workers).watchdog(workers > 1).build().unwrap()
}

#[test]
fn each_is_told_by_each_cause_through_each_combinator() {
    tell_each(1, CAUSES.iter());
}

#[test]
fn each_is_told_by_each_cause_through_each_combinator_beside_another_worker() {
    tell_each(2, CAUSES.iter().filter(|(cause, _)| !ASK_TWICE_AT_ONCE.contains(cause)));
}

fn tell_each(workers: usize, causes: impl Iterator<Item = &'static (&'static str, Cause)> + Clone) {
    let runner = in_virtual_time(workers);
    for (combinator, combine) in COMBINATORS {
        for (waits, wait) in WAITS {
            for (cause, ask) in causes.clone() {
                let counts = Counts::default();
                let children = counts.children(4, *wait);
                let case = format!("{combinator} of {waits}, {cause}");
                runner.run(ask(combine(children))).unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_eq!(counts.all(), [4, 4, 4], "{case}: begun, told, cleaned up");
            }
        }
    }
}

/// Waits for tasks of their own are left out: the close cancels these tasks as well, so the
/// children receive both requests.
#[test]
fn each_is_told_when_the_loop_closes() {
    let alone = [
        "sleep",
        "future",
        "timeout",
        "wait_for",
        "wait_for of a future",
        "cancellable",
        "datagram",
        "set in a set",
        "join in a timeout",
        "shared",
    ];
    for (combinator, combine) in COMBINATORS {
        for (waits, wait) in WAITS.iter().filter(|(waits, _)| alone.contains(waits)) {
            let counts = Counts::default();
            let work = combine(counts.children(4, *wait));
            // One worker without the watchdog: each child that has begun is suspended whenever the
            // main coroutine runs.
            let runner = Runner::builder().workers(1).watchdog(false).build().unwrap();
            let begun = counts.clone();
            runner
                .run(async move {
                    drop(create_task(async {
                        work.await;
                        Ok(())
                    }));
                    while begun.all()[0] < 4 {
                        sleep(MOMENT).await?;
                    }
                    Ok(())
                })
                .unwrap();
            runner.close();
            assert_eq!(counts.all(), [4, 4, 4], "{combinator} of {waits}: begun, told, cleaned up");
        }
    }
}

/// Enough children that `join_all` uses its other algorithm, and many more.
#[test]
fn each_of_many_is_told() {
    let runner = in_virtual_time(2);
    for (combinator, combine) in COMBINATORS {
        for n in [30, 31, 1_000] {
            let counts = Counts::default();
            let work = combine(counts.children(n, WAITS[0].1));
            runner.run(CAUSES[0].1(work)).unwrap();
            assert_eq!(counts.all(), [n; 3], "{combinator} of {n}: begun, told, cleaned up");
        }
    }
}

/// These combinators drop the other children when one has ended. Each child receives the request,
/// and has time to clean up until then.
#[selvedge::test(virtual_time)]
async fn each_is_told_where_the_first_ends_the_others() -> Result<()> {
    let combinators: [(&str, Combinator); 2] = [
        ("select_all", |children| select_all(children).map(drop).boxed()),
        ("next of a set", |children| {
            async {
                let mut set: FuturesUnordered<_> = children.into_iter().collect();
                set.next().await.expect("there are some");
            }
            .boxed()
        }),
    ];
    for (combinator, combine) in combinators {
        for (waits, wait) in WAITS {
            let counts = Counts::default();
            CAUSES[0].1(combine(counts.children(4, *wait))).await?;
            assert_eq!(counts.all(), [4, 4, 1], "{combinator} of {waits}: begun, told, cleaned up");
        }
    }
    Ok(())
}

/// The request is passed on to the awaited tasks, and is delivered once.
#[selvedge::test(virtual_time)]
async fn a_request_is_told_once() -> Result<()> {
    let task = create_task(async {
        let twice = (0..40).map(async |_| (sleep(LONG).await.is_err(), sleep(LONG).await.is_err()));
        Ok(join_all(twice).await)
    });
    settle().await?;
    task.cancel();
    assert_eq!(task.await?, [(true, false); 40]);
    Ok(())
}

/// An await counts as clean-up if it begins after the request was taken, in a child that the
/// combinator had not started.
#[selvedge::test(virtual_time)]
async fn a_child_that_starts_after_the_request_is_not_told() -> Result<()> {
    let task = create_task(async {
        let slept = stream::iter(0..3).map(async |_| sleep(LONG).await.is_err()).buffered(2);
        Ok(slept.collect::<Vec<_>>().await)
    });
    settle().await?;
    task.cancel();
    assert_eq!(task.await?, [true, true, false]);
    Ok(())
}

/// A set is often older than the scope in which its next child is awaited.
#[selvedge::test(virtual_time)]
async fn a_set_that_outlives_scopes_is_told() -> Result<()> {
    for asks in ["task", "scope around"] {
        let counts = Counts::default();
        let children = counts.children(20, WAITS[0].1);
        let work = async move {
            let ticks = (1..=20).map(|n| sleep(MOMENT * n).map(drop).boxed());
            let mut set: FuturesUnordered<_> = children.into_iter().chain(ticks).collect();
            while let Some(()) = timeout(LONG, async |_| Ok(set.next().await)).await? {}
            Ok(())
        };
        if asks == "task" {
            let task = create_task(work);
            sleep(MOMENT * 50).await?;
            task.cancel();
            task.await?;
        } else {
            // The work ends in time: the expiry cancelled it, and it ended without an error.
            timeout(MOMENT * 50, async |_| work.await).await?;
        }
        assert_eq!(counts.all(), [20; 3], "{asks}: begun, told, cleaned up");
    }
    Ok(())
}

/// A future that a timeout polls for the first time receives the expiry; a future that was waiting
/// before is not affected.
#[selvedge::test(virtual_time)]
async fn an_expiry_tells_what_the_timeout_polled_first() -> Result<()> {
    let older = Counts::default();
    let younger = Counts::default();
    let mut set: FuturesUnordered<_> = older.children(3, WAITS[0].1).into_iter().collect();
    assert!(futures_util::poll!(set.next()).is_pending());
    set.extend(younger.children(3, WAITS[0].1));
    let ended = timeout(MOMENT, async |_| {
        set.next().await;
        set.next().await;
        set.next().await;
        Ok(())
    });
    ended.await?;
    assert_eq!((older.all(), younger.all()), ([3, 0, 0], [3, 3, 3]));
    Ok(())
}

/// A set that moves to another task receives requests there after the first task has ended, or once
/// it was polled again.
#[selvedge::test(virtual_time)]
async fn a_set_that_moves_is_told_where_it_is() -> Result<()> {
    for first_ends in [true, false] {
        let (send, receive) = async_channel::bounded(1);
        let first = create_task(async move {
            let mut set: FuturesUnordered<_> = [sleep(LONG)].into_iter().collect();
            assert!(futures_util::poll!(set.next()).is_pending());
            send.send(set).await?;
            if first_ends { Ok(()) } else { sleep(LONG).await }
        });
        let second = create_task(async move {
            let mut set = receive.recv().await?;
            Ok(set.next().await.unwrap().is_err())
        });
        settle().await?;
        if !first_ends {
            first.cancel();
        }
        assert_eq!(first.await.is_ok(), first_ends);
        settle().await?;
        assert!(!second.done(), "a request to the first task is nothing to the second");
        second.cancel();
        assert!(second.await?);
    }
    Ok(())
}

/// A handle of the first task keeps the state alive that this task left. The leaves still receive
/// requests in the second task.
#[selvedge::test(virtual_time)]
async fn a_set_that_moves_is_told_though_the_first_task_is_remembered() -> Result<()> {
    let first = create_task(async {
        let mut set: FuturesUnordered<_> = [sleep(LONG)].into_iter().collect();
        assert!(futures_util::poll!(set.next()).is_pending());
        Ok(set)
    });
    let _remembered = first.handle();
    let second = create_task(async move {
        let mut set = first.await?;
        Ok(set.next().await.unwrap().is_err())
    });
    settle().await?;
    second.cancel();
    assert!(second.await?);
    Ok(())
}

/// Another thread drops a set while its task is cancelled: nothing is left behind, and no dropped
/// waker is woken.
#[test]
fn a_leaf_may_be_dropped_elsewhere() {
    let drops = Drops::new();
    let runner = Runner::new().unwrap();
    for _ in 0..200 {
        let counted = drops.counted();
        let (send, receive) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || drop(receive.recv()));
        runner
            .run(async move {
                let task = create_task(async move {
                    let mut set = [async move {
                        let _counted = counted;
                        sleep(LONG).await
                    }
                    .boxed()]
                    .into_iter()
                    .collect::<FuturesUnordered<_>>();
                    assert!(futures_util::poll!(set.next()).is_pending());
                    send.send(set).unwrap();
                    sleep(LONG).await
                });
                sleep(Duration::from_micros(50)).await?;
                task.cancel();
                assert!(task.await.is_err());
                Ok(())
            })
            .unwrap();
        thread.join().unwrap();
    }
    assert_eq!(drops.count(), 200);
}

/// The wakers of dropped leaves are removed: a task that waits in sets for a long time does not
/// collect them.
#[selvedge::test(virtual_time)]
async fn what_was_left_is_taken_away_again() -> Result<()> {
    let drops = Drops::new();
    let task = create_task({
        let drops = drops.clone();
        async move {
            for _ in 0..100 {
                let counted = drops.counted();
                let mut set: FuturesUnordered<_> = [async {
                    let _counted = counted;
                    sleep(MOMENT).await
                }]
                .into_iter()
                .collect();
                set.next().await.unwrap()?;
            }
            sleep(LONG).await
        }
    });
    sleep(MOMENT * 200).await?;
    assert_eq!(drops.count(), 100);
    task.cancel();
    assert!(task.await.is_err());
    Ok(())
}
