//! Does every task that is ready get a turn? Turns are counted in polls.
#![allow(missing_docs)]

mod common;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use common::{
    Count, Signal, block_on, close, join, join_all, run, spawn, spawn_here, start, start_with,
    start_without_watchdog, yield_now,
};
use parking_lot::Mutex;
use selvedge_scheduler::{Config, Scheduler, TaskRef, Timer};

/// Yields until `stop` is set; counts its polls.
async fn busy(stop: Arc<AtomicBool>, polls: Count) {
    while !stop.load(Ordering::Relaxed) {
        polls.add();
        yield_now().await;
    }
}

/// Wakes its partner and waits for it, until `stop` is set; counts its polls.
async fn ping_pong(partner: Arc<Mutex<Option<TaskRef>>>, stop: Arc<AtomicBool>, polls: Count) {
    poll_fn(|_| {
        polls.add();
        if stop.load(Ordering::Relaxed) {
            if let Some(partner) = &*partner.lock() {
                partner.wake();
            }
            return Poll::Ready(());
        }
        match &*partner.lock() {
            Some(partner) => partner.wake(),
            // The partner is not known yet: look again in the next poll.
            None => TaskRef::with_current(|task| task.expect("in a poll").wake()),
        }
        Poll::Pending
    })
    .await;
}

/// Two tasks play ping-pong while each of 100 queued tasks takes 100 turns. Returns how many of
/// these turns came only after more than two turns of the pair (and the slack of its wakes), and
/// how many turns the pair had in all.
async fn unfair_turns_beside_ping_pong() -> (usize, usize) {
    let (stop, pair, unfair) = (Arc::new(AtomicBool::new(false)), Count::new(), Count::new());
    let rooms: [Arc<Mutex<Option<TaskRef>>>; 2] = Default::default();
    let partners: Vec<_> = (0..2)
        .map(|n| spawn_here(ping_pong(Arc::clone(&rooms[1 - n]), Arc::clone(&stop), pair.clone())))
        .collect();
    for (room, partner) in rooms.iter().zip(&partners) {
        *room.lock() = Some(partner.task().clone());
    }
    let queue: Vec<_> = (0..100)
        .map(|_| {
            let (pair, unfair) = (pair.clone(), unfair.clone());
            spawn_here(async move {
                for _ in 0..100 {
                    let before = pair.get();
                    yield_now().await;
                    if pair.get() - before > 8 {
                        unfair.add();
                    }
                }
            })
        })
        .collect();
    for task in queue {
        join(task).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in partners {
        join(task).await;
    }
    // The partners refer to each other.
    for room in rooms {
        *room.lock() = None;
    }
    (unfair.get(), pair.get())
}

/// tokio#5712.
#[test]
fn ping_pong_starves_the_queue() {
    let scheduler = start_without_watchdog(1);
    let (unfair, pair) = run(&scheduler, unfair_turns_beside_ping_pong());
    assert_eq!(unfair, 0);
    assert!(pair >= 100, "the pair had turns too");
    close(&scheduler);
    // With a watchdog the pair has its next-task slot. If the machine holds the worker up, a
    // standby may come and play alone with the pair, but not each time.
    let scheduler = start_with(Config { workers: 1, max_standbys: Some(1), ..Config::default() });
    let pair = (0..5).map(|_| run(&scheduler, unfair_turns_beside_ping_pong()).1).min().expect("five");
    assert!(pair <= 2_000, "{pair} turns of the pair beside 100 of each other task");
    close(&scheduler);
}

/// A task blocks its thread until the tasks behind it have run, and all other workers always have
/// tasks of their own: those yield for ever. The tasks behind it lie in the deque, or in the next-task
/// slot.
#[test]
fn busy_workers_do_not_starve_the_tasks_of_a_stuck_one() {
    common::watchdog();
    for (workers, queued, in_slot) in
        [(1, 1, false), (2, 1, false), (2, 5, false), (2, 2_000, false), (1, 1, true), (2, 1, true)]
    {
        let scheduler = start(workers);
        let (stop, polls) = (Arc::new(AtomicBool::new(false)), Count::new());
        let many: Vec<_> =
            (0..10 * workers).map(|_| spawn(&scheduler, busy(Arc::clone(&stop), polls.clone()))).collect();
        let (go, done) = (Signal::new(), Signal::new());
        let (wait, end) = (go.clone(), done.clone());
        let woken = spawn(&scheduler, async move {
            wait.wait().await;
            end.set();
        });
        let blocked = spawn(&scheduler, async move {
            if in_slot {
                go.set();
                done.block();
                return;
            }
            let ran = Count::new();
            for _ in 0..queued {
                let (ran, done) = (ran.clone(), done.clone());
                drop(spawn_here(async move {
                    ran.add();
                    if ran.get() == queued {
                        done.set();
                    }
                }));
            }
            done.block();
            go.set();
        });
        join_all([blocked, woken]);
        stop.store(true, Ordering::Relaxed);
        join_all(many);
        close(&scheduler);
    }
}

/// Workers that always have tasks of their own still look at the injector every few polls.
#[test]
fn a_busy_crowd_does_not_starve_the_injector() {
    for workers in [1, 2] {
        let scheduler = start_without_watchdog(workers);
        let (stop, polls) = (Arc::new(AtomicBool::new(false)), Count::new());
        let crowd: Vec<_> =
            (0..20).map(|_| spawn(&scheduler, busy(Arc::clone(&stop), polls.clone()))).collect();
        for _ in 0..50 {
            let spawned = spawn(&scheduler, {
                let polls = polls.clone();
                async move { polls.get() }
            });
            block_on(join(spawned));
        }
        // A thread outside queues these at once, while the only workers are busy. Each look at the
        // injector takes one of them, whatever else runs.
        let counted = polls.clone();
        let wave: Vec<_> = {
            let (blocked, release) = (Signal::new(), Signal::new());
            let blockers: Vec<_> = (0..workers)
                .map(|_| {
                    let (blocked, release) = (blocked.clone(), release.clone());
                    spawn(&scheduler, async move {
                        blocked.set();
                        release.block();
                    })
                })
                .collect();
            blocked.block();
            let before = polls.get();
            let wave: Vec<_> = (0..50)
                .map(|_| {
                    let polls = counted.clone();
                    spawn(&scheduler, async move { polls.get() - before })
                })
                .collect();
            release.set();
            join_all(blockers);
            wave
        };
        let last = wave.into_iter().map(|task| block_on(join(task))).max().expect("fifty");
        assert!(last <= 50 * 61 * 4 * workers, "the last of fifty ran after {last} polls of the crowd");
        stop.store(true, Ordering::Relaxed);
        join_all(crowd);
        close(&scheduler);
    }
}

/// The other way round: a thread outside that spawns without end does not starve the tasks that are
/// queued at the workers.
#[test]
fn foreign_spawns_do_not_starve_the_crowd() {
    let scheduler = start_without_watchdog(1);
    let stop = Arc::new(AtomicBool::new(false));
    let (spawning, stop_spawning) = (scheduler.clone(), Arc::clone(&stop));
    let flood = std::thread::spawn(move || {
        let mut n = 0;
        while !stop_spawning.load(Ordering::Relaxed) {
            drop(spawn(&spawning, async {}));
            n += 1;
            if n % 64 == 0 {
                // Bounds the memory that the test needs.
                block_on(join(spawn(&spawning, async {})));
            }
        }
    });
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            spawn(&scheduler, async {
                for _ in 0..500 {
                    yield_now().await;
                }
            })
        })
        .collect();
    join_all(tasks);
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    close(&scheduler);
}

/// Timers fire although no worker ever rests.
#[test]
fn timers_fire_while_all_workers_are_busy() {
    for (workers, has_watchdog) in [(1, false), (2, false), (1, true), (2, true)] {
        let scheduler = if has_watchdog { start(workers) } else { start_without_watchdog(workers) };
        let (stop, polls) = (Arc::new(AtomicBool::new(false)), Count::new());
        let crowd: Vec<_> =
            (0..20).map(|_| spawn(&scheduler, busy(Arc::clone(&stop), polls.clone()))).collect();
        let sleepers: Vec<_> = (0..100)
            .map(|n| {
                spawn(&scheduler, async move {
                    for _ in 0..5 {
                        let now = Scheduler::with_current(|scheduler| scheduler.expect("on a worker").now());
                        let mut timer = Timer::new();
                        poll_fn(|cx| timer.poll(now + n * 10_000, cx)).await.expect("on a worker");
                    }
                })
            })
            .collect();
        join_all(sleepers);
        stop.store(true, Ordering::Relaxed);
        join_all(crowd);
        assert_eq!(scheduler.metrics().timers_armed, 0);
        close(&scheduler);
    }
}

/// Computes for 200 µs in each poll and wakes itself, until `stop` is set.
async fn busy_in_short_polls(stop: Arc<AtomicBool>, polls: Count) {
    while !stop.load(Ordering::Relaxed) {
        polls.add();
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(200) {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
}

/// A timer that is armed again each time it fires waits for few polls of a busy worker, though its
/// wheel is empty in between. A tick takes 5 polls until it is due, and as many again for the queue.
#[test]
fn a_ticker_beside_short_polls_waits_for_few_of_them() {
    const TICKS: usize = 30;
    let scheduler = start_without_watchdog(1);
    let (stop, polls) = (Arc::new(AtomicBool::new(false)), Count::new());
    let many: Vec<_> =
        (0..8).map(|_| spawn(&scheduler, busy_in_short_polls(Arc::clone(&stop), polls.clone()))).collect();
    let counted = polls.clone();
    let passed = run(&scheduler, async move {
        let before = counted.get();
        for _ in 0..TICKS {
            let now = Scheduler::with_current(|scheduler| scheduler.expect("on a worker").now());
            let mut timer = Timer::new();
            poll_fn(|cx| timer.poll(now + 1_000_000, cx)).await.expect("on a worker");
        }
        counted.get() - before
    });
    assert!(passed <= 24 * TICKS, "{passed} polls during {TICKS} ticks");
    stop.store(true, Ordering::Relaxed);
    join_all(many);
    close(&scheduler);
}

#[test]
fn one_worker_runs_tasks_in_the_order_of_spawns_and_of_wakes() {
    let scheduler = start_without_watchdog(1);
    let log = Arc::new(Mutex::new(Vec::new()));
    let logged = Arc::clone(&log);
    run(&scheduler, async move {
        // Fewer than the polls between two looks at other queues.
        let signals: Vec<_> = (0..50).map(|_| Signal::new()).collect();
        let tasks: Vec<_> = signals
            .iter()
            .enumerate()
            .map(|(n, signal)| {
                let (log, signal) = (Arc::clone(&logged), signal.clone());
                spawn_here(async move {
                    log.lock().push(n);
                    signal.wait().await;
                    log.lock().push(n);
                })
            })
            .collect();
        while logged.lock().len() < 50 {
            yield_now().await;
        }
        assert!(logged.lock().iter().copied().eq(0..50), "spawned in this order");
        logged.lock().clear();
        // Backwards, so that neither the order of spawns nor the order in memory can be mistaken
        // for the order of wakes.
        signals.iter().rev().for_each(Signal::set);
        for task in tasks {
            join(task).await;
        }
    });
    assert!(log.lock().iter().copied().eq((0..50).rev()), "woken in this order");
    close(&scheduler);
}

/// One link of a chain in which each task spawns the next.
fn link(left: u32, done: Signal) {
    drop(spawn_here(async move { if left == 0 { done.set() } else { link(left - 1, done) } }));
}

/// A chain in which each task spawns the next teaches the workers to keep single tasks local. A
/// single task is still taken by another worker if its spawner does not get to it.
#[test]
fn a_single_task_is_shared_also_after_a_chain() {
    let scheduler = start(2);
    for _ in 0..5 {
        let done = Signal::new();
        let told = done.clone();
        run(&scheduler, async move { link(20_000, told) });
        done.block();
        run(&scheduler, async {
            let served = Signal::new();
            let tells = served.clone();
            let child = spawn_here(async move { tells.set() });
            // Blocks this worker.
            served.block();
            join(child).await;
        });
    }
    close(&scheduler);
}

/// What a worker learned from a chain applies only to tasks that a poll spawns. Of two tasks that
/// take turns on one worker, each is alone in the queue while the other one runs, and the other
/// worker soon takes one of them.
#[test]
fn two_tasks_that_yield_are_shared_also_after_a_chain() {
    const TURNS: usize = 60;
    /// Computes for a while in each turn, until the partner computes at the same time. Returns how
    /// many turns that took, or `TURNS` if it never happened.
    async fn turns_alone(
        mine: Arc<AtomicBool>,
        partners: Arc<AtomicBool>,
        have_met: Arc<AtomicBool>,
    ) -> usize {
        for turn in 0..TURNS {
            mine.store(true, Ordering::Relaxed);
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(700) {
                if partners.load(Ordering::Relaxed) {
                    have_met.store(true, Ordering::Relaxed);
                }
                std::hint::spin_loop();
            }
            mine.store(false, Ordering::Relaxed);
            if have_met.load(Ordering::Relaxed) {
                return turn;
            }
            yield_now().await;
        }
        TURNS
    }
    let scheduler = start(2);
    // The machine may keep the other worker's thread from a core, but not each time.
    let rounds = (0..10).map(|_| {
        let done = Signal::new();
        let told = done.clone();
        run(&scheduler, async move { link(20_000, told) });
        done.block();
        run(&scheduler, async {
            let [one, other, have_met]: [Arc<AtomicBool>; 3] = Default::default();
            let partner =
                spawn_here(turns_alone(Arc::clone(&other), Arc::clone(&one), Arc::clone(&have_met)));
            let turns = turns_alone(one, other, have_met).await;
            join(partner).await.max(turns)
        })
    });
    let mut turns: Vec<_> = rounds.collect();
    turns.sort_unstable();
    assert!(turns[4] < TURNS / 8, "so many turns on one worker: {turns:?}");
    close(&scheduler);
}
