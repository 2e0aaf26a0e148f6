//! Does some thread fire the timers of every wheel, whatever the wheel's own worker does?
#![allow(missing_docs)]

mod common;

use std::future::poll_fn;

use common::{
    Signal, block_on, close, join, join_all, run, spawn, spawn_eager_here, start, start_without_watchdog,
    yield_now,
};
use selvedge_scheduler::{Scheduler, Timer};

fn now() -> u64 {
    Scheduler::with_current(|scheduler| scheduler.expect("on a worker").now())
}

async fn sleep(nanos: u64) {
    let deadline = now() + nanos;
    let mut timer = Timer::new();
    poll_fn(|cx| timer.poll(deadline, cx)).await.expect("on a worker");
    assert!(now() >= deadline, "never early");
}

/// tokio#6682: timers are armed on all workers while others fire.
#[test]
fn timer_not_fired_because_next_wake_was_updated_after_unlock() {
    for scheduler in [start(4), start_without_watchdog(4)] {
        let tasks: Vec<_> = (0..200u64)
            .map(|n| {
                spawn(&scheduler, async move {
                    for step in 0..20 {
                        sleep((n * 7919 + step * 104_729) % 400_000).await;
                    }
                })
            })
            .collect();
        join_all(tasks);
        assert_eq!(scheduler.metrics().timers_armed, 0);
        close(&scheduler);
    }
}

/// Spawns a task that sleeps for `nanos`. Returns the worker on which it armed its timer, and when
/// the timer is due.
fn spawn_sleeper(scheduler: &Scheduler, nanos: u64, fired: &Signal) -> (usize, u64) {
    loop {
        let fired = fired.clone();
        let (sender, place) = std::sync::mpsc::channel();
        let mut deadline = None;
        let mut timer = Timer::new();
        let mut has_waited = false;
        let future = poll_fn(move |cx| {
            let deadline = *deadline.get_or_insert_with(|| now() + nanos);
            let polled = timer.poll(deadline, cx);
            if polled.is_pending() {
                has_waited = true;
                let _ = sender.send((Scheduler::current_worker().expect("on a worker"), deadline));
            } else if has_waited {
                fired.set();
            }
            polled.map(Result::unwrap)
        });
        drop(spawn(scheduler, future));
        // On a slow machine the timer may be due before it could be armed. Then another task is
        // spawned.
        if let Ok(place) = place.recv() {
            return place;
        }
    }
}

/// Never rests until the timer has fired, which must be soon. Lateness is counted in polls: on a
/// machine with other work, time passes while neither this task nor the watchdog gets a core. A
/// look at all wheels takes place every millisecond, which is about a thousand polls.
async fn busy_until(fired: Signal, deadline: u64) {
    const MANY: u32 = 100_000;
    let mut late = 0;
    while !fired.is_set() {
        late += u32::from(now() > deadline);
        assert!(late < MANY, "{late} polls and {} ms late", (now() - deadline) / 1_000_000);
        yield_now().await;
    }
}

/// golang#45716: a timer is in the wheel of a standby that has been dismissed, and the only worker
/// never rests.
#[test]
fn timer_lost_when_the_worker_count_shrinks() {
    let scheduler = start(1);
    let (stuck, release) = (Signal::new(), Signal::new());
    let (set, wait) = (stuck.clone(), release.clone());
    let blocker = spawn(&scheduler, async move {
        set.set();
        wait.block();
    });
    stuck.block();
    let fired = Signal::new();
    let (place, deadline) = spawn_sleeper(&scheduler, 200_000_000, &fired);
    assert!(place >= 1, "armed by a standby");
    release.set();
    let busy = spawn(&scheduler, busy_until(fired.clone(), deadline));
    block_on(join(blocker));
    block_on(join(busy));
    close(&scheduler);
}

/// The other way round: the timer is in the wheel of a worker that is stuck, and the standby never
/// rests.
#[test]
fn timer_held_hostage_by_a_stuck_worker() {
    let scheduler = start(1);
    let fired = Signal::new();
    let (place, deadline) = spawn_sleeper(&scheduler, 50_000_000, &fired);
    assert_eq!(place, 0);
    let (stuck, release) = (Signal::new(), fired.clone());
    let set = stuck.clone();
    let blocker = spawn(&scheduler, async move {
        set.set();
        release.block();
    });
    stuck.block();
    let busy = spawn(&scheduler, busy_until(fired, deadline));
    block_on(join(busy));
    block_on(join(blocker));
    close(&scheduler);
}

/// Without a watchdog: one worker sleeps beside its timer. The other one, which waited for both,
/// runs a poll that does not end.
#[test]
fn timer_forgotten_when_its_driver_gets_busy() {
    let scheduler = start_without_watchdog(2);
    for round in 0..200 {
        let fired = Signal::new();
        spawn_sleeper(&scheduler, 3_000_000, &fired);
        for _ in 0..round % 4 {
            run(&scheduler, yield_now());
        }
        run(&scheduler, async move { fired.block() });
    }
    close(&scheduler);
}

/// An eager task arms its timer inside the poll of another task, which then waits for it.
#[test]
fn timer_of_an_eager_task_while_its_spawner_is_stuck() {
    for _ in 0..5 {
        let scheduler = start(1);
        let fired = Signal::new();
        let set = fired.clone();
        run(&scheduler, async move {
            let eager = spawn_eager_here(async move {
                sleep(3_000_000).await;
                set.set();
            });
            fired.block();
            join(eager).await;
        });
        close(&scheduler);
    }
}

/// A poll drives a future of its own to its end. The future holds a timer whose waker unparks the
/// thread.
#[test]
fn timer_of_a_future_that_a_poll_blocks_on() {
    for scheduler in [start(1), start_without_watchdog(2)] {
        for _ in 0..5 {
            run(&scheduler, async { block_on(sleep(3_000_000)) });
        }
        close(&scheduler);
    }
}
