//! Many things that one keeps: variables, timers, calls, sockets.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use selvedge::net::UdpSocket;
use selvedge::streams::StreamReader;
use selvedge::{
    ContextVar, ThreadPoolExecutor, all_tasks, copy_context, create_task, get_running_loop,
    run_coroutine_threadsafe, sleep, start_server, timeout,
};

use super::{Instant, Order, run, runner, settle, timed};

fn variables_of(n: usize) -> Vec<ContextVar<usize>> {
    (0..n).map(|_| ContextVar::new("one of many")).collect()
}

pub(super) fn variables(n: usize) -> Duration {
    let variables = variables_of(n);
    selvedge::Context::new().run(|| timed(|| variables.iter().for_each(|it| drop(it.set(1)))))
}

pub(super) fn variables_and_copies(n: usize) -> Duration {
    let variables = variables_of(n);
    selvedge::Context::new().run(|| {
        timed(|| {
            for variable in &variables {
                let copy = copy_context();
                drop(variable.set(1));
                drop(copy);
            }
        })
    })
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

/// Sleeps of many lengths.
fn sleeps(n: usize) -> Vec<selvedge::Sleep> {
    Order::None.of(n).into_iter().map(|place| sleep(Duration::from_micros(place as u64 + 1))).collect()
}

fn arm(sleeps: &mut [selvedge::Sleep], cx: &mut Context<'_>) {
    for sleep in sleeps {
        assert!(Pin::new(sleep).poll(cx).is_pending());
    }
}

fn arm_all(n: usize, then: impl FnOnce(Vec<selvedge::Sleep>) -> Duration + Send + 'static) -> Duration {
    run(async move {
        let mut sleeps = sleeps(n);
        arm(&mut sleeps, &mut Context::from_waker(Waker::noop()));
        Ok(then(sleeps))
    })
}

pub(super) fn armed(n: usize) -> Duration {
    run(async move {
        let mut sleeps = sleeps(n);
        Ok(timed(|| arm(&mut sleeps, &mut Context::from_waker(Waker::noop()))))
    })
}

pub(super) fn disarm(n: usize) -> Duration {
    arm_all(n, |sleeps| {
        let sleeps = Order::None.arrange(sleeps);
        timed(|| drop(sleeps))
    })
}

pub(super) fn fire(n: usize) -> Duration {
    run(async move {
        let tasks: Vec<_> = sleeps(n).into_iter().map(create_task).collect();
        sleep(Duration::from_nanos(1)).await?;
        let start = Instant::now();
        sleep(Duration::from_secs(1000)).await?;
        assert!(tasks.iter().all(selvedge::Task::done));
        Ok(start.elapsed())
    })
}

pub(super) fn reschedule(n: usize) -> Duration {
    run(async move {
        let mut start = Instant::now();
        timeout(Duration::from_secs(1), async |it| {
            start = Instant::now();
            for _ in 0..n {
                it.reschedule(Duration::MAX)?;
                // The next poll puts the timer where it belongs.
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
        Ok(start.elapsed())
    })
}

pub(super) fn call_soon(n: usize) -> Duration {
    run(async move {
        let (event_loop, called) = (get_running_loop()?, Arc::new(AtomicUsize::new(0)));
        let start = Instant::now();
        for _ in 0..n {
            let called = Arc::clone(&called);
            event_loop.call_soon(move || _ = called.fetch_add(1, Ordering::Relaxed));
        }
        settle().await?;
        assert_eq!(called.load(Ordering::Relaxed), n);
        Ok(start.elapsed())
    })
}

pub(super) fn call_later(n: usize) -> Duration {
    run(async move {
        let event_loop = get_running_loop()?;
        let later = |place: usize| event_loop.call_later(Duration::from_secs(place as u64 + 1), || ());
        let handles: Vec<_> = (0..n).map(later).collect();
        settle().await?;
        let handles = Order::None.arrange(handles);
        let start = Instant::now();
        handles.iter().for_each(selvedge::TimerHandle::cancel);
        settle().await?;
        Ok(start.elapsed())
    })
}

pub(super) fn executor(n: usize) -> Duration {
    run(async move {
        let (event_loop, executor) = (get_running_loop()?, ThreadPoolExecutor::new(1)?);
        let start = Instant::now();
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
        let start = Instant::now();
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
        let start = Instant::now();
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
        (0..n).for_each(|_| drop(create_task(sleep(Duration::MAX))));
        settle().await
    };
    runner.run(main).expect("it only makes tasks");
    timed(|| runner.close())
}

/// What is measured of those who wait for one socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    Arrive,
    Leave,
    Woken,
}

pub(super) fn readers(n: usize, measured: Readers) -> Duration {
    let main = async move {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
        let address = socket.local_addr()?;
        if measured == Readers::Woken {
            let tasks: Vec<_> = (0..n)
                .map(|_| {
                    let socket = Arc::clone(&socket);
                    create_task(async move { socket.readable().await })
                })
                .collect();
            selvedge::sleep(Duration::from_millis(20)).await?;
            let start = Instant::now();
            socket.send_to(b"to all", address).await?;
            for task in tasks {
                task.await?;
            }
            return Ok(start.elapsed());
        }
        let mut all: Vec<_> = (0..n).map(|_| Box::pin(socket.readable())).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let arriving = timed(|| {
            for reader in &mut all {
                assert!(reader.as_mut().poll(&mut cx).is_pending());
            }
        });
        let all = Order::None.arrange(all);
        let leaving = timed(|| drop(all));
        Ok(if measured == Readers::Arrive { arriving } else { leaving })
    };
    selvedge::Runner::builder().workers(1).run(main).expect("the measurement is sound")
}

pub(super) fn server(n: usize) -> Duration {
    run(async move {
        let server = start_server(async |_, _| Ok(()), "127.0.0.1:0").await?;
        let mut waits: Vec<_> = (0..n).map(|_| Box::pin(server.wait_closed())).collect();
        let mut cx = Context::from_waker(Waker::noop());
        let start = Instant::now();
        for wait in &mut waits {
            assert!(wait.as_mut().poll(&mut cx).is_pending());
        }
        let arrived = start.elapsed();
        let waits = Order::None.arrange(waits);
        Ok(arrived + timed(|| drop(waits)))
    })
}

pub(super) fn feeds(n: usize) -> Duration {
    run(async move {
        let (mut reader, feed) = StreamReader::with_feed(1 << 16)?;
        let start = Instant::now();
        for _ in 0..n {
            feed.feed_data(b"x")?;
        }
        feed.feed_data(b"\n")?;
        feed.feed_eof();
        assert_eq!(reader.read(usize::MAX).await?.len(), n + 1);
        Ok(start.elapsed())
    })
}
