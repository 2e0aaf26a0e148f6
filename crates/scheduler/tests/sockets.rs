//! Is a task woken for its socket whether workers are idle, busy or stuck, and does a worker that
//! waits for sockets still run tasks and fire timers?
#![allow(missing_docs)]
#![cfg(unix)]

mod common;

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use common::{
    Count, Signal, block_on, close, eventually, join, run, spawn, start, start_with, start_without_watchdog,
    yield_now,
};
use mio::net::UnixStream;
use selvedge_scheduler::{ClockKind, Config, Direction, Registration, Scheduler, Timer, Waiter};

/// One end of a stream that a scheduler watches.
struct Watched {
    registration: Registration,
    stream: UnixStream,
}

impl Watched {
    fn new(scheduler: &Scheduler, mut stream: UnixStream) -> Self {
        let registration = scheduler.register(&mut stream).expect("there is room for one more socket");
        Self { registration, stream }
    }

    fn pair(scheduler: &Scheduler) -> (Self, Self) {
        let (one, other) = UnixStream::pair().expect("a pair");
        (Self::new(scheduler, one), Self::new(scheduler, other))
    }

    async fn read(&self) -> io::Result<u8> {
        let mut waiter = Waiter::new();
        poll_fn(|cx| {
            loop {
                let ready = ready!(self.registration.poll_ready(Direction::Read, &mut waiter, cx))?;
                let mut byte = [0];
                match (&self.stream).read(&mut byte) {
                    Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                    Ok(_) => return Poll::Ready(Ok(byte[0])),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.registration.clear(ready),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        })
        .await
    }

    fn write(&self, byte: u8) {
        assert_eq!((&self.stream).write(&[byte]).expect("there is room for a byte"), 1);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.registration.deregister(&mut self.stream);
    }
}

/// Bytes go round in a ring of tasks. Returns the scheduler's time at the end.
async fn ring(scheduler: Scheduler, length: usize, rounds: u8) -> u64 {
    let scheduler = &scheduler;
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    for _ in 0..length {
        let (one, other) = Watched::pair(scheduler);
        ins.push(one);
        outs.push(other);
    }
    outs.rotate_left(1);
    outs[0].write(0);
    let tasks: Vec<_> = ins
        .into_iter()
        .zip(outs)
        .map(|(input, output)| {
            let clock = scheduler.clone();
            spawn(scheduler, async move {
                loop {
                    match input.read().await {
                        Ok(round) if round < rounds => output.write(round + 1),
                        // The last round: the task that waits for this one's byte finds the stream
                        // closed.
                        Ok(_) => return Some(clock.now()),
                        Err(_) => return None,
                    }
                }
            })
        })
        .collect();
    let mut ended = Vec::new();
    for task in tasks {
        ended.extend(join(task).await);
    }
    assert_eq!(ended.len(), 1, "one task saw the last round");
    ended[0]
}

#[test]
fn bytes_go_round() {
    for workers in [1, 2, 4] {
        for scheduler in [start(workers), start_without_watchdog(workers)] {
            for length in [1, 2, 10] {
                run(&scheduler, ring(scheduler.clone(), length, 200));
            }
            assert_eq!(scheduler.metrics().sockets, 0, "all are closed");
            close(&scheduler);
        }
    }
}

#[test]
fn a_busy_worker_glances_at_sockets() {
    let scheduler = start_without_watchdog(1);
    let (one, other) = Watched::pair(&scheduler);
    let read = Signal::new();
    let seen = read.clone();
    let reader = spawn(&scheduler, async move {
        let byte = one.read().await;
        seen.set();
        byte.is_ok()
    });
    // The only worker never parks before the byte is read.
    let yields = run(&scheduler, async move {
        yield_now().await;
        other.write(1);
        let mut yields = 0_u64;
        while !read.is_set() {
            yield_now().await;
            yields += 1;
        }
        yields
    });
    assert!(block_on(join(reader)));
    assert!(yields < 200, "it looked only after {yields} polls");
    close(&scheduler);
}

#[test]
fn sockets_are_served_while_all_workers_are_stuck() {
    for workers in [1, 2] {
        let scheduler = start(workers);
        let (one, other) = Watched::pair(&scheduler);
        let (release, inside) = (Signal::new(), Count::new());
        let reader = spawn(&scheduler, async move { one.read().await.expect("a byte") });
        let blockers: Vec<_> = (0..workers)
            .map(|_| {
                let (release, inside) = (release.clone(), inside.clone());
                spawn(&scheduler, async move {
                    inside.add();
                    release.block();
                })
            })
            .collect();
        eventually("all are stuck", || inside.get() == workers);
        other.write(7);
        assert_eq!(block_on(join(reader)), 7, "before any worker was released");
        release.set();
        for blocker in blockers {
            block_on(join(blocker));
        }
        close(&scheduler);
    }
}

/// The holder of the driver waits on its parker when the first socket is registered, and must be
/// woken for it.
#[test]
fn the_first_socket_finds_an_idle_scheduler() {
    for _ in 0..50 {
        let scheduler = start(1);
        run(&scheduler, yield_now());
        eventually("the worker sleeps", || scheduler.metrics().workers[0].parks > 0);
        let (one, other) = Watched::pair(&scheduler);
        let reader = spawn(&scheduler, async move { one.read().await.expect("a byte") });
        other.write(3);
        assert_eq!(block_on(join(reader)), 3);
        close(&scheduler);
    }
}

#[test]
fn a_worker_that_waits_for_sockets_hears_of_tasks_and_timers() {
    let scheduler = start(1);
    let (_one, _other) = Watched::pair(&scheduler);
    for round in 0..200 {
        assert_eq!(run(&scheduler, async move { round }), round, "a task from outside");
        let mut timer = Timer::new();
        let deadline = scheduler.now() + 200_000;
        let slept = run(&scheduler, poll_fn(move |cx| timer.poll(deadline, cx)));
        assert!(slept.is_ok() && scheduler.now() >= deadline, "a timer, and not early");
    }
    close(&scheduler);
}

/// A byte that is ready in a socket comes before anything for which virtual time would have to
/// move.
#[test]
fn virtual_time_stands_still_while_a_socket_is_ready() {
    let scheduler = start_with(Config { workers: 2, clock: ClockKind::Virtual, ..Config::default() });
    let (one, other) = Watched::pair(&scheduler);
    let clock = scheduler.clone();
    let times = run(&scheduler, async move {
        let sleeper = spawn(&clock, async {
            let mut timer = Timer::new();
            poll_fn(|cx| timer.poll(3_600_000_000_000, cx)).await.expect("on a worker");
        });
        let echo = spawn(&clock, async move {
            while let Ok(byte) = one.read().await {
                one.write(byte);
            }
        });
        let mut times = Vec::new();
        for byte in 0..100 {
            other.write(byte);
            assert_eq!(other.read().await.expect("it comes back"), byte);
            times.push(clock.now());
        }
        drop(other);
        join(echo).await;
        join(sleeper).await;
        times
    });
    assert!(times.iter().all(|&time| time == 0), "an hour passed while bytes were on their way: {times:?}");
    close(&scheduler);
}

/// A worker that returns from the poll for sockets holds wakers. Another worker may take the driver
/// before any of them has been called.
#[test]
fn virtual_time_stands_still_while_a_wake_is_on_its_way() {
    for max_standbys in [None, Some(0)] {
        let clock = ClockKind::Virtual;
        let scheduler = start_with(Config { workers: 4, clock, max_standbys, ..Config::default() });
        let of_ring = scheduler.clone();
        let passed = run(&scheduler, async move {
            let sleeper = spawn(&of_ring, async {
                let mut timer = Timer::new();
                poll_fn(|cx| timer.poll(3_600_000_000_000, cx)).await.expect("on a worker");
            });
            let passed = ring(of_ring, 10, 250).await;
            join(sleeper).await;
            passed
        });
        assert_eq!(passed, 0, "an hour passed while bytes went round");
        close(&scheduler);
    }
}

#[test]
fn closing_ends_the_waits_of_others() {
    let watching = start(1);
    let waiting = start(1);
    let (one, _other) = Watched::pair(&watching);
    let reader = spawn(&waiting, async move { one.read().await.map_err(|error| error.to_string()) });
    run(&waiting, yield_now());
    close(&watching);
    let error = block_on(join(reader)).expect_err("nobody watches");
    assert!(error.contains("closed"), "{error}");
    let (mut late, _) = UnixStream::pair().expect("a pair");
    assert!(watching.register(&mut late).expect_err("it is closed").to_string().contains("closed"));
    close(&waiting);
}

/// A wait that is given up leaves the list of waiters, and its waker is dropped.
#[test]
fn a_wait_that_is_given_up_leaves_nothing_behind() {
    let scheduler = start(1);
    let (one, other) = Watched::pair(&scheduler);
    let one = Arc::new(one);
    for _ in 0..3 {
        let (waits, count) = (Arc::clone(&one), Arc::new(()));
        let witness = Arc::clone(&count);
        let task = spawn(&scheduler, async move {
            let mut waiter = Waiter::new();
            let waker = std::task::Waker::from(Arc::new(Witness(witness)));
            let mut cx = std::task::Context::from_waker(&waker);
            while let Poll::Ready(ready) =
                waits.registration.poll_ready(Direction::Read, &mut waiter, &mut cx)
            {
                waits.registration.clear(ready.expect("it is watched"));
            }
            waits.registration.forget(Direction::Read, &mut waiter);
        });
        block_on(join(task));
        assert_eq!(Arc::strong_count(&count), 1, "the waker has gone");
    }
    other.write(1);
    let reads = Arc::clone(&one);
    assert_eq!(run(&scheduler, async move { reads.read().await.expect("a byte") }), 1);
    close(&scheduler);
}

struct Witness(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl std::task::Wake for Witness {
    fn wake(self: Arc<Self>) {}
}

/// An idle scheduler with sockets sleeps as deeply as one without.
#[test]
fn idle_sockets_wake_nobody() {
    let scheduler = start(2);
    let (_one, _other) = Watched::pair(&scheduler);
    run(&scheduler, yield_now());
    let parks = || scheduler.metrics().workers.iter().map(|worker| worker.parks).sum::<u64>();
    // Both workers park after what has just run.
    let mut before = parks();
    eventually("it comes to rest", || {
        std::thread::sleep(Duration::from_millis(50));
        std::mem::replace(&mut before, parks()) == parks()
    });
    std::thread::sleep(Duration::from_millis(300));
    assert!(parks() - before <= 1, "{} times in 0.3 s", parks() - before);
    close(&scheduler);
}
