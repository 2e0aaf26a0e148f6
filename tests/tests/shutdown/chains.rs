//! How many polls does it take to cancel tasks that await each other? As many steps as there are
//! tasks. The polls are counted, not timed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use selvedge::{Result, Runner, Task, TaskHandle, create_task, gather, shield, sleep, task_group, wait};
use selvedge_tests::{Begun, LONG, Reports};

type Boxed = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Counts the polls of a coroutine.
struct Counted(Boxed, Arc<AtomicUsize>);

impl Future for Counted {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.as_mut().poll(cx)
    }
}

/// How a task waits for the next one.
#[derive(Clone, Copy, Debug)]
enum Link {
    Await,
    Gather,
    /// With a second child, which ends at once.
    GatherTwo,
    Wait,
    Shield,
    Group,
    JoinTwo,
}

const LINKS: [Link; 7] =
    [Link::Await, Link::Gather, Link::GatherTwo, Link::Wait, Link::Shield, Link::Group, Link::JoinTwo];

fn link(link: Link, next: Task<()>) -> Boxed {
    match link {
        Link::Await => Box::pin(next),
        Link::Gather => Box::pin(async move { gather(vec![next]).await.map(|_| ()) }),
        Link::GatherTwo => Box::pin(async move { gather((next, sleep(LONG))).await.map(|_| ()) }),
        Link::Wait => Box::pin(async move { wait([next.handle()]).await.map(|_| ()) }),
        Link::Shield => Box::pin(async move { shield(next).await }),
        Link::Group => {
            Box::pin(async move { task_group(|group| async move { group.create_task(next).await }).await })
        }
        Link::JoinTwo => Box::pin(async move {
            let both = futures_util::future::join(next, sleep(LONG)).await;
            both.0.and(both.1)
        }),
    }
}

/// Spawns a chain of tasks; the one at its end sleeps. The handles are in the order of the chain,
/// the sleeper first.
fn chain(length: usize, how: Link, polls: &Arc<AtomicUsize>) -> Vec<TaskHandle> {
    let mut handles = Vec::with_capacity(length);
    let mut last: Task<()> = create_task(Counted(Box::pin(sleep(LONG)), Arc::clone(polls)));
    for _ in 1..length {
        handles.push(last.handle());
        last = create_task(Counted(link(how, last), Arc::clone(polls)));
    }
    handles.push(last.handle());
    handles
}

/// Each task waits for the task that was spawned after it.
fn reverse_chain(length: usize, polls: &Arc<AtomicUsize>) {
    let mut before: Option<async_channel::Sender<Task<()>>> = None;
    for number in 0..length {
        let (send, receive) = async_channel::bounded::<Task<()>>(1);
        let body: Boxed = if number + 1 == length {
            Box::pin(sleep(LONG))
        } else {
            Box::pin(async move { receive.recv().await?.await })
        };
        let task = create_task(Counted(body, Arc::clone(polls)));
        match before.replace(send) {
            Some(before) => before.try_send(task).unwrap(),
            None => drop(task),
        }
    }
}

/// Each task gathers two more tasks.
fn tree(depth: u32, polls: &Arc<AtomicUsize>) -> Task<()> {
    let body: Boxed = if depth == 0 {
        Box::pin(sleep(LONG))
    } else {
        let children = (tree(depth - 1, polls), tree(depth - 1, polls));
        Box::pin(async move { gather(children).await.map(|_| ()) })
    };
    create_task(Counted(body, Arc::clone(polls)))
}

/// Runs `main` and returns how many polls the shutdown took.
fn polls_of_shutdown(workers: usize, main: impl FnOnce(&Arc<AtomicUsize>) + Send + 'static) -> usize {
    let runner = Runner::builder().workers(workers).shutdown_timeout(Duration::from_mins(1)).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let before = runner
        .run(async move {
            main(&counted);
            // Until all tasks wait.
            let mut seen = 0;
            loop {
                sleep(Duration::from_millis(5)).await?;
                let now = counted.load(Ordering::Relaxed);
                if std::mem::replace(&mut seen, now) == now {
                    return Ok(now);
                }
            }
        })
        .unwrap();
    runner.close();
    assert_eq!(reports.messages(), [""; 0]);
    polls.load(Ordering::Relaxed) - before
}

const LENGTH: usize = 2_000;

#[test]
fn a_shutdown_polls_each_task_a_few_times() {
    for workers in [1, 2] {
        for how in LINKS {
            let polls = polls_of_shutdown(workers, move |polls| drop(chain(LENGTH, how, polls)));
            assert!(polls <= 4 * LENGTH, "{how:?} {workers}: {polls}");
        }
        let polls = polls_of_shutdown(workers, |polls| reverse_chain(LENGTH, polls));
        assert!(polls <= 4 * LENGTH, "reverse {workers}: {polls}");
        let polls = polls_of_shutdown(workers, |polls| drop(tree(10, polls)));
        assert!(polls <= 4 * (2 << 10), "tree {workers}: {polls}");
    }
}

/// The handles in a random order that is the same each time.
fn shuffled(handles: &[TaskHandle]) -> Vec<TaskHandle> {
    let mut keyed: Vec<_> = handles
        .iter()
        .enumerate()
        .map(|(place, handle)| ((place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), handle.clone()))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, handle)| handle).collect()
}

/// The tasks of a chain may be cancelled in any order, with and without polls in between.
#[test]
fn cancelling_all_of_a_chain_polls_each_task_a_few_times() {
    for how in [Link::Await, Link::Gather] {
        for order in ["forwards", "backwards", "shuffled"] {
            for at_a_time in [1, 10, LENGTH] {
                let polls = Arc::new(AtomicUsize::new(0));
                let counted = Arc::clone(&polls);
                // One worker without the watchdog, so the polls are the same each time.
                let runner = Runner::builder().workers(1).watchdog(false).virtual_time(true).build().unwrap();
                let before = runner
                    .run(async move {
                        let mut handles = chain(LENGTH, how, &counted);
                        sleep(Duration::from_millis(1)).await?;
                        let before = counted.load(Ordering::Relaxed);
                        match order {
                            "backwards" => handles.reverse(),
                            "shuffled" => handles = shuffled(&handles),
                            _ => {}
                        }
                        for some in handles.chunks(at_a_time) {
                            for handle in some {
                                handle.cancel();
                            }
                            sleep(Duration::ZERO).await?;
                        }
                        wait(handles).await?;
                        Ok(before)
                    })
                    .unwrap();
                let polls = polls.load(Ordering::Relaxed) - before;
                // In a shuffled order, the k-th request walks until it meets the walk of an earlier
                // one: about n / k tasks. That adds up to n times ln n.
                let most = if order == "shuffled" { 12 } else { 2 };
                assert!(polls <= most * LENGTH, "{how:?} {order} {at_a_time}: {polls}");
            }
        }
    }
}

/// If a request is refused, the requests that have joined it are not lost.
#[test]
fn a_request_after_a_refusal_is_told() {
    for how in [Link::Await, Link::Gather] {
        let told = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&told);
        let runner = Runner::builder().workers(1).virtual_time(true).build().unwrap();
        runner
            .run(async move {
                let counted = Arc::clone(&counts);
                let mut last = create_task(async move {
                    for _ in 0..3 {
                        assert!(sleep(LONG).await.is_err());
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                });
                for _ in 0..5 {
                    last = create_task(link(how, last));
                }
                sleep(Duration::from_millis(1)).await?;
                for round in 1..=3 {
                    // Two requests count as one if they are made before the first is delivered.
                    last.cancel();
                    last.cancel();
                    sleep(Duration::from_millis(1)).await?;
                    assert_eq!(counts.load(Ordering::Relaxed), round, "{how:?}");
                }
                assert!(last.done());
                Ok(())
            })
            .unwrap();
        assert_eq!(told.load(Ordering::Relaxed), 3);
    }
}

/// Neither the shutdown nor the group, which the shutdown also cancels, disturbs the clean-up of a
/// group's task.
#[test]
fn a_groups_task_is_asked_once() {
    for workers in [1, 2] {
        for _ in 0..50 {
            let cleaned_up = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&cleaned_up);
            let begun = Begun::default();
            let runner = Runner::builder().workers(workers).build().unwrap();
            runner
                .run(async move {
                    let begins = begun.clone();
                    drop(create_task(selvedge::task_group(async move |tg| {
                        for _ in 0..3 {
                            let counted = Arc::clone(&counted);
                            tg.create_task(begins.counts(async move {
                                let told = sleep(LONG).await;
                                sleep(Duration::from_millis(1)).await?;
                                counted.fetch_add(1, Ordering::Relaxed);
                                told
                            }));
                        }
                        Ok(())
                    })));
                    begun.are(3).await
                })
                .unwrap();
            runner.close();
            assert_eq!(cleaned_up.load(Ordering::Relaxed), 3);
        }
    }
}

/// A task that a clean-up creates takes its first step: the round in which its creator was
/// cancelled does not cancel it.
#[test]
fn a_task_that_a_clean_up_makes_takes_its_first_step() {
    const TASKS: usize = 2_000;
    let helped = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&helped);
    let runner = Runner::builder().workers(2).build().unwrap();
    let main = async move {
        let begun = Begun::default();
        for _ in 0..TASKS {
            let counted = Arc::clone(&counted);
            drop(create_task(begun.counts(async move {
                let told = sleep(LONG).await;
                create_task(async move {
                    counted.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                })
                .await?;
                told
            })));
        }
        begun.are(TASKS).await
    };
    runner.run(main).unwrap();
    runner.close();
    assert_eq!(helped.load(Ordering::Relaxed), TASKS);
}
