//! Does one report name the tasks that a shutdown gave up, and no task that would have ended?

use std::sync::mpsc;
use std::time::{Duration, Instant};

use selvedge::{Error, Result, Runner, Task, create_task, gather, sleep, to_thread};
use selvedge_tests::{Begun, LONG, Reports};

const SHORT: Duration = Duration::from_millis(50);

/// Refuses to stop.
async fn clings() -> Result<()> {
    loop {
        let _ = sleep(LONG).await;
    }
}

fn runner() -> (Runner, Reports) {
    let runner = Runner::builder().workers(1).shutdown_timeout(SHORT).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    (runner, reports)
}

#[test]
fn twenty_are_named_and_the_rest_counted_whatever_they_do() {
    let (runner, reports) = runner();
    let (release, released) = mpsc::channel::<()>();
    let held = runner.get_loop().run_in_executor(None, move || released.recv().is_err());
    let main = async {
        let begun = Begun::default();
        for number in 0..50 {
            drop(create_task(begun.counts(clings())).named(format!("clings-{number:02}")));
        }
        begun.are(50).await
    };
    runner.run(main).unwrap();
    runner.close();
    let messages = reports.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let lines: Vec<_> = messages[0].lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0].matches("clings-").count(), 20, "{lines:?}");
    assert!(
        lines[0].contains("and 30 more were cancelled for the shutdown and did not stop within 50ms"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("1 function given to to_thread() or an executor did not return"),
        "{lines:?}"
    );
    drop((release, held));
}

#[test]
fn failures_are_reported_each_but_for_a_crowd() {
    let (runner, reports) = runner();
    let main = async {
        let begun = Begun::default();
        for _ in 0..50 {
            drop(create_task(begun.counts(async {
                let _ = sleep(LONG).await;
                Err::<(), _>(Error::msg("no"))
            })));
        }
        begun.are(50).await
    };
    runner.run(main).unwrap();
    runner.close();
    let messages = reports.messages();
    assert_eq!(messages.len(), 21, "{messages:?}");
    assert_eq!(messages[20], "unhandled exceptions in 30 tasks more during run() shutdown");
}

/// The report names the task that refuses. It only counts the tasks that wait for it, because they
/// would have ended with it.
#[test]
fn who_waits_for_one_that_refuses_is_counted() {
    for is_gathered in [false, true] {
        let (runner, reports) = runner();
        let main = async move {
            let begun = Begun::default();
            let mut last = create_task(begun.counts(clings())).named("root");
            for _ in 0..10 {
                let before = last;
                last = create_task(begun.counts(async move {
                    if is_gathered { gather(vec![before]).await.map(|_| ()) } else { before.await }
                }));
            }
            drop(last);
            begun.are(11).await
        };
        runner.run(main).unwrap();
        runner.close();
        let messages = reports.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(messages[0].starts_with("root was cancelled for the shutdown"), "{messages:?}");
        assert!(
            !messages[0].contains("Task-") && messages[0].contains("10 tasks that waited"),
            "{messages:?}"
        );
    }
}

/// No task has time to stop, but none refused, so there is no report.
#[test]
fn without_patience_nobody_is_blamed_who_had_no_turn() {
    let runner = Runner::builder().workers(1).shutdown_timeout(Duration::ZERO).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    let main = async {
        let begun = Begun::default();
        (0..1000).for_each(|_| drop(create_task(begun.counts(sleep(LONG)))));
        begun.are(1000).await
    };
    runner.run(main).unwrap();
    runner.close();
    assert_eq!(reports.messages(), [""; 0]);
}

/// Tasks that await each other in a cycle receive the request, too.
#[test]
fn a_circle_ends() {
    for length in [2, 3, 17] {
        let runner = Runner::builder().workers(2).shutdown_timeout(Duration::from_secs(20)).build().unwrap();
        let reports = Reports::of(&runner.get_loop());
        let main = async move {
            let (send, receive) = async_channel::bounded::<Task<()>>(1);
            let begun = Begun::default();
            let mut last = create_task(begun.counts(async move { receive.recv().await?.await }));
            for _ in 1..length {
                let before = last;
                last = create_task(begun.counts(before));
            }
            send.send(last).await?;
            begun.are(length).await
        };
        runner.run(main).unwrap();
        let start = Instant::now();
        runner.close();
        assert!(start.elapsed() < Duration::from_secs(10), "{length}");
        assert_eq!(reports.messages(), [""; 0], "{length}");
    }
}

/// A parent passes requests on to its child. The child still receives only one, so its clean-up is
/// not disturbed.
#[test]
fn a_shutdown_asks_once_also_where_requests_are_passed_on() {
    let runner = Runner::builder().workers(2).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    let main = async {
        let begun = Begun::default();
        for _ in 0..100 {
            let child = create_task(begun.counts(async {
                assert!(sleep(LONG).await.is_err());
                sleep(Duration::from_millis(20)).await?;
                to_thread(|| ()).await
            }));
            drop(create_task(begun.counts(async move {
                child.await.expect("its clean-up came to its end");
                Ok(())
            })));
        }
        begun.are(200).await
    };
    runner.run(main).unwrap();
    runner.close();
    assert_eq!(reports.messages(), [""; 0]);
}
