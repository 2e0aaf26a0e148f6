//! Can loops, runners and callbacks be used while their thread ends?

use std::sync::mpsc::channel;
use std::time::Duration;

use selvedge::ThreadPoolExecutor;

use super::{Case, LONG, builder, forever, object, on_loop, wait_for};

pub(super) fn loops(cases: &mut Vec<Case>) {
    object(
        cases,
        "EventLoop",
        |env| [env.live.clone(), env.closed.clone(), env.own.clone()],
        |_, loops| {
            for event_loop in loops {
                let (sender, called) = channel();
                let handle = event_loop.call_soon(move || _ = sender.send(()));
                assert!(handle.cancelled() || called.recv().is_ok() || event_loop.is_closed());
                event_loop.call_later(LONG, || ()).cancel();
                drop(event_loop.create_task(async { Ok(()) }));
                drop(
                    event_loop
                        .create_task_with(selvedge::task::Builder::new().eager_start(true), async { Ok(()) }),
                );
                event_loop.set_exception_handler(|_, _| ());
                event_loop.reset_exception_handler();
                assert!(
                    !format!("{event_loop:?}{:?}{:?}", event_loop.metrics(), event_loop.time()).is_empty()
                );
                drop(event_loop.all_tasks());
            }
        },
    );
    object(
        cases,
        "Runner",
        |_| builder().build().unwrap(),
        |_, runner| {
            assert_eq!(runner.run(async { selvedge::create_task(async { Ok(7) }).await }).unwrap(), 7);
            runner.close();
        },
    );
    object(
        cases,
        "Runner with tasks",
        |_| {
            let runner = builder().build().unwrap();
            drop(runner.get_loop().create_task(forever()));
            runner
        },
        |_, runner| runner.close(),
    );
    object(
        cases,
        "free functions",
        |_| (),
        |_, ()| {
            assert_eq!(selvedge::run(async { Ok(7) }).unwrap(), 7);
            assert_eq!(
                selvedge::try_create_task(forever()).unwrap_err().to_string(),
                "no running event loop"
            );
            assert!(selvedge::get_running_loop().is_err());
            assert!(selvedge::current_task().is_none() && selvedge::all_tasks().is_empty());
            assert!(wait_for(selvedge::to_thread(|| ())).is_err());
            assert!(wait_for(selvedge::sleep(LONG)).is_err());
        },
    );
    object(
        cases,
        "Handle",
        |env| env.live.call_soon(|| ()),
        |_, handle| {
            handle.cancel();
            assert!(format!("{handle:?}").contains("Handle"));
        },
    );
    object(
        cases,
        "TimerHandle",
        |env| env.live.call_later(LONG, || ()),
        |_, handle| {
            handle.cancel();
            assert!(handle.cancelled());
        },
    );
}

pub(super) fn blocking(cases: &mut Vec<Case>) {
    object(
        cases,
        "blocking task",
        |env| env.live.run_in_executor(None, || 7),
        |_, task| assert_eq!(wait_for(task).unwrap(), 7),
    );
    object(
        cases,
        "blocking task of a closed loop",
        |env| env.closed.run_in_executor(None, || 7),
        |_, task| assert!(wait_for(task).is_err()),
    );
    object(
        cases,
        "ThreadPoolExecutor",
        |_| ThreadPoolExecutor::new(1).unwrap(),
        |env, executor| {
            assert_eq!(wait_for(env.live.run_in_executor(Some(&executor), || 7)).unwrap(), 7);
            executor.shutdown();
        },
    );
    #[cfg(unix)]
    object(
        cases,
        "signal handler",
        |env| env.live.add_signal_handler(selvedge::signal::SIGUSR2, || ()).unwrap(),
        |env, ()| assert!(env.live.remove_signal_handler(selvedge::signal::SIGUSR2).is_ok()),
    );
    object(
        cases,
        "call graph",
        |env| {
            let task = env.live.create_task(async { selvedge::gather([forever(), forever()]).await });
            on_loop(env, selvedge::sleep(Duration::ZERO));
            task
        },
        |_, task| {
            let graph = selvedge::capture_call_graph(&task, None).unwrap().expect("it was named");
            assert!(!graph.to_string().is_empty());
            task.cancel();
        },
    );
}
