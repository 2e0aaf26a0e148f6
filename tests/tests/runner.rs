//! Do runners keep their promises about entering and leaving the loop: results, shutdown, refusals?

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use selvedge::{
    ContextVar, Error, EventLoop, Result, Runner, RuntimeError, all_tasks, create_task, current_task,
    get_running_loop, run, sleep, to_thread,
};
use selvedge_tests::{Drops, LONG, Reports, Trace, foreign};

#[test]
fn run_returns_what_main_returns() {
    assert_eq!(run(async { Ok(42) }).unwrap(), 42);
    assert_eq!(run(async { Err::<(), _>(Error::msg("no")) }).unwrap_err().to_string(), "no");
    assert!(run(async { std::panic::resume_unwind(Box::new("main")) as Result<()> }).unwrap_err().is_panic());
}

#[test]
fn main_is_a_task_like_any_other() {
    let cancelled = run(async {
        current_task().unwrap().cancel_with("myself");
        sleep(LONG).await
    });
    assert!(cancelled.unwrap_err().is_cancelled());
}

#[test]
fn run_inside_run_is_refused() {
    let error = run(async { Ok(run(async { Ok(()) }).unwrap_err()) }).unwrap();
    assert!(error.is::<RuntimeError>());
    assert_eq!(error.to_string(), "run() cannot be called from a running event loop");
    let runner = Runner::builder().workers(1).build().unwrap();
    let error = run(async move { Ok(runner.run(async { Ok(()) }).unwrap_err()) }).unwrap();
    assert_eq!(error.to_string(), "Runner.run() cannot be called from a running event loop");
}

#[test]
fn run_on_a_thread_of_the_pool_is_fine() {
    let nested = run(async { to_thread(|| run(async { Ok(7) })).await? });
    assert_eq!(nested.unwrap(), 7);
}

#[test]
fn senseless_numbers_of_workers_are_refused() {
    for workers in [0, usize::MAX, 100_000] {
        let error = Runner::builder().workers(workers).build().unwrap_err();
        assert!(error.is::<RuntimeError>());
        assert!(error.to_string().contains(&workers.to_string()), "{error}");
    }
}

#[test]
fn a_pool_without_threads_is_refused() {
    let error = Runner::builder().max_blocking_threads(0).build().unwrap_err();
    assert!(error.is::<RuntimeError>(), "{error:?}");
}

#[test]
fn two_threads_may_run_on_one_runner() {
    let runner = Runner::builder().workers(2).build().unwrap();
    let (first, second) = (async_channel::bounded(1), async_channel::bounded(1));
    let meet = |to: async_channel::Sender<u32>, from: async_channel::Receiver<u32>| async move {
        to.send(1).await?;
        Ok(from.recv().await?)
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| runner.run(meet(first.0, second.1)));
        assert_eq!(runner.run(meet(second.0, first.1)).unwrap(), 1);
        assert_eq!(other.join().unwrap().unwrap(), 1);
    });
}

#[test]
fn a_runner_runs_many_times_on_one_loop_and_in_one_context() {
    static ROUND: ContextVar<u32> = ContextVar::new("round");
    let runner = Runner::builder().workers(2).build().unwrap();
    let first = runner
        .run(async {
            assert_eq!(ROUND.get(), None);
            ROUND.set(1);
            get_running_loop()
        })
        .unwrap();
    let second = runner
        .run(async {
            assert_eq!(ROUND.get(), Some(1));
            get_running_loop()
        })
        .unwrap();
    assert_eq!(first, second);
    assert_eq!(first, runner.get_loop());
    assert!(first.is_running() && !first.is_closed());
    runner.close();
    runner.close();
    assert!(first.is_closed() && !first.is_running());
    assert_eq!(runner.run(async { Ok(()) }).unwrap_err().to_string(), "Runner is closed");
}

#[test]
fn tasks_live_on_between_two_runs() {
    let runner = Runner::builder().workers(1).build().unwrap();
    let (send, receive) = mpsc::channel();
    let task = runner
        .run(async move {
            Ok(create_task(async move {
                sleep(Duration::from_millis(5)).await?;
                send.send("between")?;
                Ok(1)
            }))
        })
        .unwrap();
    assert_eq!(receive.recv().unwrap(), "between");
    assert_eq!(runner.run(task).unwrap(), 1);
}

#[test]
fn what_is_left_is_cancelled_once_and_may_clean_up() {
    let trace = Trace::new();
    let told = trace.clone();
    run(async move {
        let task = create_task(async move {
            let slept = sleep(LONG).await;
            told.tell_result("left over", &slept);
            sleep(Duration::from_millis(1)).await?;
            told.tell("cleaned up");
            slept
        });
        // Started, so that it has to clean up.
        sleep(Duration::ZERO).await?;
        while task.get_stack(None).is_empty() {
            sleep(Duration::ZERO).await?;
        }
        sleep(Duration::from_millis(5)).await
    })
    .unwrap();
    assert_eq!(trace.events(), ["left over: cancelled", "cleaned up"]);
}

/// When main has ended, its worker has no task to run. So a virtual clock could jump to the end of
/// the sleep before the calling thread has been woken to cancel it.
#[test]
fn virtual_time_does_not_move_on_between_mains_end_and_the_cancelling_of_what_is_left() {
    #[derive(Clone, Copy, Debug)]
    enum Main {
        Returns,
        Fails,
        Panics,
        IsCancelled,
    }
    for main in [Main::Returns, Main::Fails, Main::Panics, Main::IsCancelled].repeat(10) {
        for workers in [1, 2] {
            let trace = Trace::new();
            let told = trace.clone();
            let ended = Runner::builder().workers(workers).virtual_time(true).run(async move {
                drop(create_task(async move {
                    let event_loop = get_running_loop()?;
                    told.tell_result("left over", &sleep(LONG).await);
                    sleep(Duration::from_secs(1)).await?;
                    told.tell(format!("{:?}", event_loop.time()));
                    Ok(())
                }));
                sleep(Duration::from_millis(1)).await?;
                match main {
                    Main::Returns => Ok(()),
                    Main::Fails => Err(Error::msg("no")),
                    Main::Panics => std::panic::resume_unwind(Box::new("main")),
                    Main::IsCancelled => {
                        current_task().expect("main is a task").cancel();
                        sleep(LONG).await
                    }
                }
            });
            assert_eq!(ended.is_ok(), matches!(main, Main::Returns));
            assert_eq!(trace.events(), ["left over: cancelled", "1.001s"], "{main:?} {workers}");
        }
    }
}

/// Between two runs the loop lives on, and its time advances.
#[test]
fn virtual_time_moves_on_between_two_runs() {
    let runner = Runner::builder().workers(1).virtual_time(true).build().unwrap();
    let task = runner.run(async { Ok(create_task(sleep(LONG).returning("slept"))) }).unwrap();
    let waited = selvedge::run_coroutine_threadsafe(task, &runner.get_loop());
    assert_eq!(waited.result(None).unwrap(), "slept");
}

#[test]
fn a_task_that_refuses_to_stop_is_named_and_dropped() {
    let drops = Drops::new();
    let counted = drops.counted();
    let runner = Runner::builder().workers(2).shutdown_timeout(Duration::from_millis(50)).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    runner
        .run(async move {
            let (started, has_started) = async_channel::bounded(1);
            let stubborn = create_task(async move {
                let _counted = counted;
                started.send(()).await?;
                loop {
                    let _ = sleep(LONG).await;
                }
                #[expect(unreachable_code, reason = "it says of which type it is a coroutine")]
                Ok(())
            });
            drop(stubborn.named("stubborn"));
            Ok(has_started.recv().await?)
        })
        .unwrap();
    let start = Instant::now();
    runner.close();
    assert!(start.elapsed() < Duration::from_secs(5));
    let messages = reports.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("stubborn was cancelled for the shutdown and did not stop within 50ms"),
        "{messages:?}"
    );
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_task_stuck_in_a_poll_does_not_keep_run_from_returning() {
    let (release, released) = mpsc::channel::<()>();
    let (entered, is_in) = mpsc::channel();
    let runner = Runner::builder().workers(1).shutdown_timeout(Duration::from_millis(50)).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    let stuck = move || {
        entered.send(()).unwrap();
        released.recv().ok();
    };
    runner
        .run(async move {
            let task = create_task(async move {
                stuck();
                Ok(())
            });
            drop(task.named("stuck"));
            Ok(())
        })
        .unwrap();
    is_in.recv().unwrap();
    runner.close();
    let messages = reports.messages();
    assert_eq!(messages.len(), 1, "one report for each task: {messages:?}");
    assert!(messages[0].starts_with("stuck is inside a poll"), "{messages:?}");
    release.send(()).unwrap();
}

#[test]
fn main_can_end_while_every_worker_is_stuck() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    let (entered, is_in) = mpsc::channel();
    let runner = Runner::builder().workers(2).shutdown_timeout(Duration::from_millis(50)).build().unwrap();
    let _reports = Reports::of(&runner.get_loop());
    let answer = runner.run(async move {
        for _ in 0..2 {
            let (entered, released) = (entered.clone(), released.clone());
            drop(create_task(async move {
                entered.send(())?;
                let _ = released.lock().unwrap().recv();
                Ok(())
            }));
        }
        to_thread(move || {
            is_in.recv().unwrap();
            is_in.recv().unwrap();
        })
        .await?;
        Ok("out")
    });
    assert_eq!(answer.unwrap(), "out");
    runner.close();
    drop(release);
}

#[test]
fn errors_during_the_shutdown_are_reported() {
    let runner = Runner::builder().workers(1).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    runner
        .run(async {
            let failing = create_task(async {
                let _ = sleep(LONG).await;
                Err::<(), _>(Error::msg("clean-up failed"))
            });
            sleep(Duration::from_millis(1)).await?;
            drop(failing);
            Ok(())
        })
        .unwrap();
    runner.close();
    assert_eq!(reports.messages(), ["unhandled exception during run() shutdown"]);
}

#[test]
fn tasks_made_during_the_shutdown_are_cancelled_too() {
    let trace = Trace::new();
    let told = trace.clone();
    run(async move {
        let parent = create_task(async move {
            let slept = sleep(LONG).await;
            let child = create_task(async move {
                let slept = sleep(LONG).await;
                told.tell_result("child", &slept);
                slept
            });
            // Lets the child start before it is cancelled.
            sleep(Duration::from_millis(5)).await?;
            drop(child);
            slept
        });
        sleep(Duration::from_millis(5)).await?;
        drop(parent);
        Ok(())
    })
    .unwrap();
    assert_eq!(trace.events(), ["child: cancelled"]);
}

#[test]
fn a_closed_loop_ends_what_it_is_given() {
    let event_loop: EventLoop = run(async { get_running_loop() }).unwrap();
    assert!(event_loop.is_closed());
    assert!(event_loop.all_tasks().is_empty());
    let drops = Drops::new();
    let counted = drops.counted();
    let task = event_loop.create_task(async move {
        drop(counted);
        Ok(())
    });
    assert!(task.cancelled());
    assert_eq!(drops.count(), 1);
    assert_eq!(task.exception().unwrap_err().to_string(), "cancelled: Event loop is closed");
}

#[test]
fn a_closed_loop_gives_cancelled_handles() {
    let event_loop: EventLoop = run(async { get_running_loop() }).unwrap();
    let drops = Drops::new();
    let counted = || {
        let counted = drops.counted();
        move || drop(counted)
    };
    assert!(event_loop.call_soon(counted()).cancelled());
    assert!(event_loop.call_later(Duration::ZERO, counted()).cancelled());
    assert!(event_loop.call_at(LONG, counted()).cancelled());
    assert_eq!(drops.count(), 3);
}

#[test]
fn a_function_that_was_queued_when_the_loop_closed_says_so() {
    let event_loop: EventLoop = run(async { get_running_loop() }).unwrap();
    let executor = selvedge::ThreadPoolExecutor::new(1).unwrap();
    let refused =
        [event_loop.run_in_executor(None, || ()), event_loop.run_in_executor(Some(&executor), || ())];
    for refused in refused {
        let error = run(refused).unwrap_err();
        assert!(error.is::<RuntimeError>());
        assert_eq!(error.to_string(), "Event loop is closed");
    }
}

#[test]
fn functions_that_still_run_when_the_loop_closes_are_counted() {
    let runner = Runner::builder().workers(1).shutdown_timeout(Duration::from_millis(20)).build().unwrap();
    let event_loop = runner.get_loop();
    let reports = Reports::of(&event_loop);
    let executor = selvedge::ThreadPoolExecutor::new(1).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Arc::new(std::sync::Mutex::new(released));
    let (entered, is_in) = mpsc::channel();
    let function = || {
        let (entered, released) = (entered.clone(), released.clone());
        move || {
            entered.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        }
    };
    let held = [
        event_loop.run_in_executor(None, function()),
        event_loop.run_in_executor(Some(&executor), function()),
    ];
    runner.run(to_thread(|| ())).unwrap();
    is_in.recv().unwrap();
    is_in.recv().unwrap();
    runner.close();
    let messages = reports.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with("2 functions given to to_thread() or an executor"), "{messages:?}");
    drop((release, held));
}

#[test]
fn a_function_that_returns_in_time_is_waited_for() {
    let runner = Runner::builder().workers(1).build().unwrap();
    let reports = Reports::of(&runner.get_loop());
    let (done, is_done) = mpsc::channel();
    let (entered, is_in) = mpsc::channel();
    let held = runner.get_loop().run_in_executor(None, move || {
        entered.send(()).unwrap();
        thread::sleep(Duration::from_millis(20));
        done.send(()).unwrap();
    });
    is_in.recv().unwrap();
    runner.close();
    is_done.try_recv().unwrap();
    assert!(reports.messages().is_empty());
    drop(held);
}

#[test]
fn a_foreign_await_does_not_hold_up_the_shutdown() {
    let drops = Drops::new();
    let counted = drops.counted();
    run(async move {
        drop(create_task(async move {
            let _counted = counted;
            foreign().await;
            Ok(())
        }));
        Ok(())
    })
    .unwrap();
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_runner_may_be_dropped_on_its_own_worker() {
    let runner = Runner::builder().workers(2).build().unwrap();
    let event_loop = runner.get_loop();
    let (done, is_done) = mpsc::channel();
    drop(event_loop.create_task(async move {
        drop(runner);
        done.send(())?;
        Ok(())
    }));
    is_done.recv().unwrap();
    assert!(event_loop.is_closed());
}

#[test]
fn the_threads_bear_the_name() {
    let names = Runner::builder().workers(1).thread_name("mine").run(async {
        let worker = thread::current().name().map(str::to_owned);
        let pool = to_thread(|| thread::current().name().map(str::to_owned)).await?;
        Ok((worker.unwrap(), pool.unwrap()))
    });
    let (worker, pool) = names.unwrap();
    assert!(worker.starts_with("mine-worker-"), "{worker}");
    assert!(pool.starts_with("mine-pool-"), "{pool}");
}

#[selvedge::test(workers = 3, debug)]
async fn options_of_the_attribute() -> Result<()> {
    let event_loop = get_running_loop()?;
    assert_eq!(event_loop.metrics().workers.iter().filter(|worker| !worker.is_standby).count(), 3);
    assert!(event_loop.get_debug());
    assert_eq!(all_tasks().len(), 1);
    Ok(())
}

#[selvedge::test(virtual_time)]
async fn virtual_time_jumps() -> Result<()> {
    let (event_loop, start) = (get_running_loop()?, Instant::now());
    let before = event_loop.time();
    sleep(LONG).await?;
    assert_eq!(event_loop.time(), before + LONG);
    assert!(start.elapsed() < LONG / 100);
    Ok(())
}

/// Set in the process that the test starts: whether debug mode is on there.
const SLOW: &str = "SELVEDGE_TEST_SLOW_POLLS";

/// Debug mode writes to standard error, which the test reads from outside.
#[test]
fn debug_mode_names_the_task_whose_poll_was_slow() {
    if let Some(debug) = std::env::var_os(SLOW) {
        return run_slowly(debug == "on");
    }
    let errors_of = |debug| {
        let this = std::env::current_exe().unwrap();
        let arguments = ["--exact", "debug_mode_names_the_task_whose_poll_was_slow", "--nocapture"];
        let output = std::process::Command::new(this).args(arguments).env(SLOW, debug).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let told = errors_of("on");
    let line = told.lines().find(|line| line.starts_with("Executing")).expect("the slow poll is told");
    assert!(line.starts_with("Executing <Task") && line.contains("name=\"slow\""), "{line}");
    assert!(line.contains(" took ") && line.ends_with(" seconds"), "{line}");
    assert!(!told.contains("quick"), "{told}");
    assert!(!errors_of("off").contains("Executing"));
}

fn run_slowly(debug: bool) {
    let builder = Runner::builder().workers(1).debug(debug).slow_poll(Duration::from_millis(20));
    let ended = builder.run(async {
        create_task(async { Ok(()) }).named("quick").await?;
        let slow = create_task(async {
            // Blocks its worker: that makes the poll slow.
            thread::sleep(Duration::from_millis(200));
            Ok(())
        });
        slow.named("slow").await
    });
    ended.unwrap();
}
