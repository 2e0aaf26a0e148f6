//! What does each of many kept objects cost: variables, timers, calls, sockets?

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use selvedge::net::UdpSocket;
use selvedge::streams::StreamReader;
use selvedge::{
    ContextVar, Coroutine, Result, Runner, ThreadPoolExecutor, all_tasks, copy_context, create_task,
    get_running_loop, run_coroutine_threadsafe, sleep, start_server, timeout,
};

use super::{CpuTimer, Order, run, runner, settle, timed};

fn variables_of(n: usize) -> Vec<ContextVar<usize>> {
    (0..n).map(|_| ContextVar::new("one of many")).collect()
}

/// Variables that are set in so many contexts, in turn.
pub(super) fn variables(n: usize, contexts: usize) -> Duration {
    set_in_turn(n, contexts, |it| drop(it.set(1)))
}

pub(super) fn variables_and_copies(n: usize, contexts: usize) -> Duration {
    set_in_turn(n, contexts, |it| {
        let copy = copy_context();
        drop(it.set(1));
        drop(copy);
    })
}

fn set_in_turn(n: usize, contexts: usize, set: impl Fn(&ContextVar<usize>)) -> Duration {
    let contexts: Vec<_> = (0..contexts).map(|_| selvedge::Context::new()).collect();
    let variables = variables_of(n);
    let pairs = variables.iter().zip(contexts.iter().cycle());
    timed(|| pairs.for_each(|(variable, context)| context.run(|| set(variable))))
}

pub(super) fn copies(n: usize) -> Duration {
    let variables = variables_of(n);
    selvedge::Context::new().run(|| {
        for it in &variables {
            drop(it.set(1));
        }
        timed(|| (0..n).map(|_| copy_context()).collect::<Vec<_>>())
    })
}

/// Sleeps of many different lengths.
fn sleeps(n: usize) -> Vec<selvedge::Sleep> {
    Order::None.of(n).into_iter().map(|place| sleep(Duration::from_micros(place as u64 + 1))).collect()
}

fn arm(sleeps: &mut [selvedge::Sleep], cx: &mut Context<'_>) {
    for sleep in sleeps {
        assert!(Pin::new(sleep).poll(cx).is_pending());
    }
}

pub(super) fn armed(n: usize) -> Duration {
    run(async move {
        let mut sleeps = sleeps(n);
        Ok(timed(|| arm(&mut sleeps, &mut Context::from_waker(Waker::noop()))))
    })
}

/// Timers that are dropped by a thread that is not a worker.
pub(super) fn disarm(n: usize, loops: usize) -> Duration {
    let runners = on_real_clocks(loops);
    let arm_in = |runner: &Runner| {
        let far = |place| sleep(Duration::from_hours(1) + Duration::from_micros(place as u64));
        let mut sleeps: Vec<_> = Order::None.of(n / loops).into_iter().map(far).collect();
        let arming = async move {
            arm(&mut sleeps, &mut Context::from_waker(Waker::noop()));
            Ok(sleeps)
        };
        runner.run(arming).expect("they are armed")
    };
    let sleeps = Order::None.arrange(runners.iter().flat_map(arm_in).collect());
    timed(|| drop(sleeps))
}

/// Loops on the real clock. Nothing happens in them meanwhile, and virtual time would advance while
/// their tasks do nothing.
fn on_real_clocks(loops: usize) -> Vec<Runner> {
    let one = || Runner::builder().workers(1).watchdog(false).build().expect("a loop can be had");
    (0..loops).map(|_| one()).collect()
}

pub(super) fn fire(n: usize) -> Duration {
    run(async move {
        let tasks: Vec<_> = sleeps(n).into_iter().map(create_task).collect();
        sleep(Duration::from_nanos(1)).await?;
        let start = CpuTimer::now();
        sleep(Duration::from_secs(1000)).await?;
        assert!(tasks.iter().all(selvedge::Task::done));
        Ok(start.elapsed())
    })
}

pub(super) fn reschedule(n: usize) -> Duration {
    run(async move {
        let mut start = None;
        timeout(Duration::from_secs(1), async |it| {
            start = Some(CpuTimer::now());
            for _ in 0..n {
                it.reschedule(Duration::MAX)?;
                // The next poll moves the timer to its new place.
                let mut has_yielded = false;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut has_yielded, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
            Ok(())
        })
        .await?;
        Ok(start.expect("the body has run").elapsed())
    })
}

pub(super) fn call_soon(n: usize) -> Duration {
    run(async move {
        let (event_loop, called) = (get_running_loop()?, Arc::new(AtomicUsize::new(0)));
        let start = CpuTimer::now();
        for _ in 0..n {
            let called = Arc::clone(&called);
            event_loop.call_soon(move || _ = called.fetch_add(1, Ordering::Relaxed));
        }
        settle().await?;
        assert_eq!(called.load(Ordering::Relaxed), n);
        Ok(start.elapsed())
    })
}

/// Calls that are cancelled by a thread that is not a worker.
pub(super) fn call_later(n: usize, loops: usize) -> Duration {
    let runners = on_real_clocks(loops);
    let later = |place: usize| {
        let event_loop = runners[place % loops].get_loop();
        event_loop.call_later(Duration::from_hours(1) + Duration::from_secs(place as u64), || ())
    };
    let settle_all = || runners.iter().for_each(|runner| runner.run(settle()).expect("it only sleeps"));
    let handles: Vec<_> = (0..n).map(later).collect();
    settle_all();
    let handles = Order::None.arrange(handles);
    timed(|| {
        handles.iter().for_each(selvedge::TimerHandle::cancel);
        settle_all();
    })
}

pub(super) fn executor(n: usize) -> Duration {
    run(async move {
        let (event_loop, executor) = (get_running_loop()?, ThreadPoolExecutor::new(1)?);
        let start = CpuTimer::now();
        let calls: Vec<_> = (0..n).map(|_| event_loop.run_in_executor(Some(&executor), || ())).collect();
        for call in calls {
            call.await?;
        }
        Ok(start.elapsed())
    })
}

pub(super) fn executor_given_up(n: usize) -> Duration {
    run(async move {
        let (event_loop, executor) = (get_running_loop()?, ThreadPoolExecutor::new(1)?);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let first = event_loop.run_in_executor(Some(&executor), move || released.recv().is_ok());
        let calls: Vec<_> = (0..n).map(|_| event_loop.run_in_executor(Some(&executor), || ())).collect();
        let calls = Order::None.arrange(calls);
        let start = CpuTimer::now();
        drop(calls);
        drop(release);
        first.await?;
        event_loop.run_in_executor(Some(&executor), || ()).await?;
        Ok(start.elapsed())
    })
}

pub(super) fn threadsafe(n: usize) -> Duration {
    let runner = runner();
    let event_loop = runner.get_loop();
    timed(|| {
        let all: Vec<_> = (0..n).map(|_| run_coroutine_threadsafe(async { Ok(()) }, &event_loop)).collect();
        for it in &all {
            it.result(None).expect("it only returns");
        }
    })
}

pub(super) fn signals(n: usize) -> Duration {
    run(async move {
        let event_loop = get_running_loop()?;
        let start = CpuTimer::now();
        for _ in 0..n {
            event_loop.add_signal_handler(selvedge::signal::SIGUSR1, || ())?;
            assert!(event_loop.remove_signal_handler(selvedge::signal::SIGUSR1)?);
        }
        Ok(start.elapsed())
    })
}

pub(super) fn all_of_them(n: usize) -> Duration {
    run(async move {
        (0..n).for_each(|_| drop(create_task(sleep(Duration::MAX))));
        settle().await?;
        Ok(timed(all_tasks))
    })
}

pub(super) fn closed(n: usize) -> Duration {
    let runner = runner();
    let main = async move {
        let event_loop = get_running_loop()?;
        // Futures that virtual time does not complete while the other sets have their turn.
        (0..n).for_each(|_| drop(create_task(event_loop.create_future::<()>())));
        settle().await
    };
    runner.run(main).expect("it only makes tasks");
    timed(|| runner.close())
}

fn on_a_real_clock<C: Coroutine<Item = Duration>>(main: C) -> Duration {
    on_real_clocks(1)[0].run(main).expect("the measurement is sound")
}

pub(super) fn readers_arrive(n: usize) -> Duration {
    on_a_real_clock(async move {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let mut all: Vec<_> = (0..n).map(|_| Box::pin(socket.readable())).collect();
        Ok(timed(|| arrive(&mut all)))
    })
}

pub(super) fn readers_leave(n: usize, sockets: usize) -> Duration {
    on_a_real_clock(async move {
        let sockets = join_all((0..sockets).map(|_| UdpSocket::bind("127.0.0.1:0"))).await;
        let sockets: Vec<_> = sockets.into_iter().collect::<Result<_>>()?;
        let mut all = sockets.iter().cycle().take(n).map(|socket| Box::pin(socket.readable())).collect();
        arrive(&mut all);
        let all = Order::None.arrange(all);
        Ok(timed(|| drop(all)))
    })
}

pub(super) fn readers_woken(n: usize) -> Duration {
    on_a_real_clock(async move {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = socket.local_addr()?;
        let reads = |_| {
            let socket = Arc::clone(&socket);
            create_task(async move { socket.readable().await })
        };
        let tasks: Vec<_> = (0..n).map(reads).collect();
        selvedge::sleep(Duration::from_millis(20)).await?;
        let start = CpuTimer::now();
        socket.send_to(b"to all", address).await?;
        for task in tasks {
            task.await?;
        }
        Ok(start.elapsed())
    })
}

pub(super) fn server(n: usize, servers: usize) -> Duration {
    run(async move {
        let start = async |_| start_server(async |_, _| Ok(()), "127.0.0.1:0").await;
        let servers = join_all((0..servers).map(start)).await;
        let servers: Vec<_> = servers.into_iter().collect::<Result<_>>()?;
        let mut waits = servers.iter().cycle().take(n).map(|it| Box::pin(it.wait_closed())).collect();
        arrive(&mut waits);
        let waits = Order::None.arrange(waits);
        Ok(timed(|| drop(waits)))
    })
}

fn arrive<F: Future>(all: &mut Vec<Pin<Box<F>>>) {
    let mut cx = Context::from_waker(Waker::noop());
    for each in all {
        assert!(each.as_mut().poll(&mut cx).is_pending());
    }
}

pub(super) fn feeds(n: usize) -> Duration {
    run(async move {
        let (mut reader, feed) = StreamReader::with_feed(1 << 16)?;
        let start = CpuTimer::now();
        for _ in 0..n {
            feed.feed_data(b"x")?;
        }
        feed.feed_data(b"\n")?;
        feed.feed_eof();
        assert_eq!(reader.read(usize::MAX).await?.len(), n + 1);
        Ok(start.elapsed())
    })
}
