//! Do timers fire on time, in real and in virtual time, and leave nothing behind?
#![allow(missing_docs)]

mod common;

use std::future::poll_fn;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::{Duration, Instant};

use common::{block_on, join, run, spawn, spawn_here, start};
use selvedge_scheduler::{ClockKind, Config, Scheduler, Timer};

fn now() -> u64 {
    Scheduler::with_current(|scheduler| scheduler.expect("on a worker").now())
}

async fn sleep(nanos: u64) -> u64 {
    let deadline = now().saturating_add(nanos);
    let mut timer = Timer::new();
    poll_fn(|cx| timer.poll(deadline, cx)).await.expect("on a worker");
    now() - deadline
}

fn start_virtual(workers: usize) -> Scheduler {
    Scheduler::start(Config { workers, clock: ClockKind::Virtual, ..Config::default() }).expect("threads")
}

#[test]
fn a_sleep_ends_on_time_and_never_early() {
    let scheduler = start(2);
    let mut late = run(&scheduler, async {
        let mut late = Vec::new();
        for n in 0..300 {
            late.push(sleep(300_000 + n * 1000).await);
        }
        late
    });
    late.sort_unstable();
    eprintln!("late: p50 {} ns, p99 {} ns", late[150], late[297]);
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

#[test]
fn virtual_hours_pass_at_once() {
    for workers in [1, 4] {
        let scheduler = start_virtual(workers);
        let began = Instant::now();
        let (late, time) = run(&scheduler, async {
            let hour = 3_600_000_000_000;
            let tasks: Vec<_> = (1..=100).map(|n| spawn_here(sleep(n * hour))).collect();
            let mut late = 0;
            for task in tasks {
                late += join(task).await;
            }
            (late, now())
        });
        assert_eq!((late, time), (0, 100 * 3_600_000_000_000));
        assert!(began.elapsed() < Duration::from_secs(20));
        scheduler.close(Duration::from_secs(10));
    }
}

#[test]
fn virtual_time_waits_for_blocking_jobs() {
    let scheduler = start_virtual(2);
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let sleeper = spawn(&scheduler, sleep(1));
    let inner = scheduler.clone();
    scheduler
        .spawn_blocking(Box::new(move || {
            receiver.recv().expect("the test sends");
            assert_eq!(inner.now(), 0, "time stood still while the job ran");
        }))
        .expect("a thread");
    sender.send(()).expect("the job listens");
    assert_eq!(block_on(join(sleeper)), 0);
    scheduler.close(Duration::from_secs(10));
}

#[test]
fn a_cancelled_timer_leaves_nothing_behind() {
    let scheduler = start(2);
    let timers = run(&scheduler, async {
        poll_fn(|cx| {
            let mut timers: Vec<Timer> = (0..1000).map(|_| Timer::new()).collect();
            for timer in &mut timers {
                assert!(timer.poll(u64::MAX - 1, cx).is_pending());
            }
            Poll::Ready(timers)
        })
        .await
    });
    assert_eq!(scheduler.metrics().timers_armed, 1000);
    // On this thread, which is no worker.
    drop(timers);
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

/// Polls `timer` once, in the calling task.
async fn arm(timer: &mut Timer, deadline: u64) {
    poll_fn(|cx| {
        assert!(timer.poll(deadline, cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn a_timer_that_is_dropped_in_the_poll_that_armed_it_leaves_nothing_behind() {
    let scheduler = start(1);
    run(&scheduler, async {
        for _ in 0..1000 {
            let (mut first, mut second) = (Timer::new(), Timer::new());
            arm(&mut first, u64::MAX - 1).await;
            arm(&mut second, u64::MAX - 1).await;
            // Armed twice, for the same deadline and for another one.
            arm(&mut first, u64::MAX - 1).await;
            arm(&mut first, u64::MAX - 2).await;
        }
    });
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

#[test]
fn a_timer_may_be_dropped_by_another_thread_in_the_poll_that_armed_it() {
    let scheduler = start(1);
    run(&scheduler, async {
        for _ in 0..100 {
            let mut timer = Timer::new();
            arm(&mut timer, u64::MAX - 1).await;
            std::thread::scope(|scope| scope.spawn(|| drop(timer)).join()).expect("no panic");
        }
        // The poll ends with a timer that was dropped on another thread. The next timer is armed as
        // usual.
        let mut timer = Timer::new();
        arm(&mut timer, u64::MAX - 1).await;
        std::thread::scope(|scope| scope.spawn(|| drop(timer)).join()).expect("no panic");
        common::yield_now().await;
        assert!(sleep(1000).await < 1_000_000_000);
    });
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

/// Until the poll ends the timer is in no wheel. That must not be taken for a timer that has fired.
#[test]
fn a_timer_that_moves_to_another_worker_in_the_poll_that_armed_it_is_not_early() {
    const DEADLINE: u64 = u64::MAX - 1;
    let scheduler = start(2);
    let ((moves, arrives), (tells, told)) = (std::sync::mpsc::channel::<Timer>(), std::sync::mpsc::channel());
    let other = spawn(&scheduler, async move {
        let mut timer = arrives.recv().expect("the other task sends it");
        tells
            .send(poll_fn(|cx| Poll::Ready(timer.poll(DEADLINE, cx).is_pending())).await)
            .expect("waited for");
    });
    let is_pending = run(&scheduler, async move {
        let mut timer = Timer::new();
        arm(&mut timer, DEADLINE).await;
        moves.send(timer).expect("waited for");
        told.recv().expect("the other task answers")
    });
    assert!(is_pending, "it fired some centuries early");
    block_on(join(other));
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

/// The timer wakes the task that polled it last.
#[test]
fn a_timer_that_moves_to_another_worker_in_the_poll_that_armed_it_fires_there() {
    let scheduler = start(2);
    let ((moves, arrives), (tells, told)) =
        (std::sync::mpsc::channel::<(Timer, u64)>(), std::sync::mpsc::channel());
    let other = spawn(&scheduler, async move {
        let (mut timer, deadline) = arrives.recv().expect("the other task sends it");
        poll_fn(|cx| timer.poll(deadline, cx)).await.expect("on a worker");
        assert!(now() >= deadline, "early");
        tells.send(()).expect("waited for");
    });
    run(&scheduler, async move {
        let (mut timer, deadline) = (Timer::new(), now() + 20_000_000);
        arm(&mut timer, deadline).await;
        moves.send((timer, deadline)).expect("waited for");
        told.recv().expect("it fires for the other task");
    });
    block_on(join(other));
    scheduler.close(Duration::from_secs(10));
}

/// The first keys of two wheels are equal. A timer of one wheel must not be taken for the timer
/// that is staged at the other.
#[test]
fn timers_of_two_workers_with_equal_keys_are_kept_apart() {
    let scheduler = common::start_without_watchdog(2);
    let ((moves, arrives), (tells, told)) = (std::sync::mpsc::channel::<Timer>(), std::sync::mpsc::channel());
    let other = spawn(&scheduler, async move {
        let (mut kept, deadline) = (Timer::new(), now() + 20_000_000);
        arm(&mut kept, deadline).await;
        drop(arrives.recv().expect("the other task sends it"));
        poll_fn(|cx| kept.poll(deadline, cx)).await.expect("on a worker");
        tells.send(now() >= deadline).expect("waited for");
    });
    let in_time = run(&scheduler, async move {
        let mut sent = Timer::new();
        arm(&mut sent, u64::MAX - 1).await;
        moves.send(sent).expect("waited for");
        told.recv().expect("the other task's timer fires")
    });
    assert!(in_time, "early");
    block_on(join(other));
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

#[test]
fn an_armed_timer_fires_when_its_poll_goes_on_to_start_another_task() {
    let scheduler = start_virtual(1);
    let late = run(&scheduler, async {
        let mut timer = Timer::new();
        let deadline = now() + 5000;
        arm(&mut timer, deadline).await;
        let inner = Scheduler::with_current(|it| {
            it.expect("on a worker")
                .spawn_eager(async { common::End::Value(sleep(9000).await) }, common::NoSlot)
        });
        poll_fn(|cx| timer.poll(deadline, cx)).await.expect("on a worker");
        assert_eq!(now(), deadline);
        join(inner).await
    });
    assert_eq!(late, 0);
    scheduler.close(Duration::from_secs(10));
}

#[test]
fn a_timer_that_outlives_its_scheduler_leaves_the_next_one_alone() {
    let first = start(1);
    let old = run(&first, async {
        let mut timer = Timer::new();
        arm(&mut timer, u64::MAX - 1).await;
        common::yield_now().await;
        timer
    });
    first.close(Duration::from_secs(10));
    drop(first);
    let second = start(1);
    let new = run(&second, async {
        let mut timer = Timer::new();
        arm(&mut timer, u64::MAX - 1).await;
        common::yield_now().await;
        timer
    });
    assert_eq!(second.metrics().timers_armed, 1);
    drop(old);
    assert_eq!(second.metrics().timers_armed, 1);
    drop(new);
    assert_eq!(second.metrics().timers_armed, 0);
    second.close(Duration::from_secs(10));
}

/// A timer that is armed for one deadline says nothing about another deadline, be it earlier or
/// later, in this wheel or in another scheduler's.
#[test]
fn a_timer_that_is_polled_for_another_deadline_moves() {
    let scheduler = start_virtual(1);
    let times = run(&scheduler, async {
        let (mut first, mut second) = (Timer::new(), Timer::new());
        let began = now();
        arm(&mut first, began + 5_000).await;
        arm(&mut second, began + 90_000).await;
        common::yield_now().await;
        // An earlier timer is in the same wheel, and the later one is polled without need.
        arm(&mut second, began + 90_000).await;
        // Moves it to the front of the wheel, behind all others, and back to where it was.
        for deadline in [1_000, 500_000, 90_000] {
            arm(&mut second, began + deadline).await;
            common::yield_now().await;
            arm(&mut second, began + deadline).await;
        }
        let mut times = Vec::new();
        for (timer, deadline) in [(&mut first, 5_000), (&mut second, 90_000)] {
            poll_fn(|cx| timer.poll(began + deadline, cx)).await.expect("on a worker");
            times.push(now() - began);
        }
        arm(&mut first, began + 900_000).await;
        common::yield_now().await;
        poll_fn(|cx| first.poll(began + 100_000, cx)).await.expect("on a worker");
        times.push(now() - began);
        times
    });
    assert_eq!(times, [5_000, 90_000, 100_000]);
    assert_eq!(scheduler.metrics().timers_armed, 0);
    scheduler.close(Duration::from_secs(10));
}

#[test]
fn a_timer_that_moves_to_another_scheduler_is_armed_there_and_not_here() {
    const DEADLINE: u64 = u64::MAX - 1;
    // Earlier than the other scheduler's first timer, which says nothing about this one.
    const EARLIER: u64 = u64::MAX / 2;
    let (first, second) = (start(1), start(1));
    let mut moved = run(&first, async {
        let mut timer = Timer::new();
        arm(&mut timer, EARLIER).await;
        timer
    });
    assert_eq!((first.metrics().timers_armed, second.metrics().timers_armed), (1, 0));
    let dropped = run(&first, async {
        let mut timer = Timer::new();
        arm(&mut timer, DEADLINE).await;
        timer
    });
    let moved = run(&second, async move {
        let mut own = Timer::new();
        arm(&mut own, DEADLINE).await;
        common::yield_now().await;
        drop(dropped);
        arm(&mut moved, EARLIER).await;
        common::yield_now().await;
        (own, moved)
    });
    assert_eq!((first.metrics().timers_armed, second.metrics().timers_armed), (0, 2));
    drop(moved);
    assert_eq!(second.metrics().timers_armed, 0);
    first.close(Duration::from_secs(10));
    second.close(Duration::from_secs(10));
}

/// For a deadline that the caller expects to lie ahead.
#[test]
fn a_timer_can_be_started_without_a_look_at_the_clock() {
    let scheduler = start_virtual(1);
    let late = run(&scheduler, async {
        let mut timer = Timer::new();
        let deadline = now() + 7_000;
        poll_fn(|cx| Poll::Ready(timer.start(deadline, cx))).await.expect("on a worker");
        // Nothing else wakes this task.
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        now() - deadline
    });
    assert_eq!(late, 0);
    let waker = std::task::Waker::noop();
    let outside = Timer::new().start(1, &mut std::task::Context::from_waker(waker));
    assert_eq!(outside, Err(selvedge_scheduler::NoScheduler));
    scheduler.close(Duration::from_secs(10));
}

/// After the poll's code has run, no timer is staged: a timer that a destructor arms goes into the
/// wheel, whichever waker it has.
#[test]
fn a_timer_that_a_destructor_arms_is_armed() {
    let scheduler = start(1);
    for has_own_waker in [true, false] {
        let kept = Arc::new(parking_lot::Mutex::new(None));
        let keeps = Arc::clone(&kept);
        let mut guard = None;
        // Not inside another future, which would drop this one in its own poll.
        let arms = poll_fn(move |cx| {
            let waker = if has_own_waker { cx.waker().clone() } else { common::waker_of(|| {}) };
            let keeps = Arc::clone(&keeps);
            let former = guard.replace(common::OnDrop(move || {
                let mut timer = Timer::new();
                let polled = timer.poll(u64::MAX - 1, &mut std::task::Context::from_waker(&waker));
                assert!(polled.is_pending());
                *keeps.lock() = Some(timer);
            }));
            assert!(former.is_none());
            Poll::Ready(common::End::Value(()))
        });
        block_on(join(scheduler.spawn(arms, common::NoSlot)));
        assert_eq!(scheduler.metrics().timers_armed, 1);
        run(&scheduler, async {});
        drop(kept.lock().take().expect("the destructor has run"));
        assert_eq!(scheduler.metrics().timers_armed, 0);
    }
    scheduler.close(Duration::from_secs(10));
}

/// A worker that fires many timers runs the woken tasks alone for a while before it wakes another
/// worker, but not if they take long.
#[test]
fn a_burst_of_timers_is_shared_out_when_its_tasks_take_their_time() {
    let scheduler = start(2);
    let met = run(&scheduler, async {
        let due = now() + 5_000_000;
        let meeting = Arc::new(Barrier::new(2));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let meeting = Arc::clone(&meeting);
                spawn_here(async move {
                    let mut timer = Timer::new();
                    poll_fn(|cx| timer.poll(due, cx)).await.expect("on a worker");
                    // Returns only if another worker runs another one of these tasks at the same
                    // time.
                    meeting.wait().is_leader()
                })
            })
            .collect();
        let mut met = 0;
        for task in tasks {
            met += usize::from(join(task).await);
        }
        met
    });
    assert_eq!(met, 32, "every second of them is the leader");
    scheduler.close(Duration::from_secs(10));
}
