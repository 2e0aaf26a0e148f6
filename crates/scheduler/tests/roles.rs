//! Do threads that compute stay apart from those that run light tasks?
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;
use std::time::Duration;

use common::{
    Count, Signal, close, eventually, join, join_all, run, spawn, spawn_here, start, start_with, yield_now,
};
use parking_lot::Mutex;
use selvedge_scheduler::{Config, TaskRef};

/// The threads on which something happened.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<HashSet<ThreadId>>>);

impl Threads {
    fn note(&self) {
        self.0.lock().insert(std::thread::current().id());
    }

    fn has_current(&self) -> bool {
        self.0.lock().contains(&std::thread::current().id())
    }
}

/// Whether the current task is light: on a busy machine any poll may count as long.
fn is_light() -> bool {
    TaskRef::with_current(|task| !task.expect("in a poll").has_weight())
}

/// The calling thread's niceness.
fn priority() -> i32 {
    rustix::process::getpriority_process(None).expect("a thread may ask for its own")
}

/// Computes until the watchdog has demoted the calling thread, whose priority is lowered then.
fn compute_until_demoted() {
    let usual = priority();
    while priority() == usual {
        std::hint::spin_loop();
    }
}

/// Computes for so long that the poll counts as long, or at least not as short: by CPU time, because the
/// thread may have to wait for a core.
fn compute_for_long() {
    let computed = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).expect("not before the thread began")
    };
    let began = computed();
    while computed().saturating_sub(began) < Duration::from_millis(5) {
        std::hint::spin_loop();
    }
}

/// Computes until the calling worker is demoted, on one side or the other of a yield. Each `N` is a kind of
/// its own.
async fn computes<const N: u32>(long: impl FnOnce()) {
    // Or the compiler might merge the code of two kinds.
    std::hint::black_box(N);
    if N & 1 != 0 {
        yield_now().await;
    }
    long();
    if N & 2 != 0 {
        yield_now().await;
    }
}

#[test]
fn a_demoted_thread_runs_no_more_light_tasks() {
    let scheduler = start(2);
    let demoted = Threads::default();
    for round in 0..6 {
        // Another kind in each round: a kind with a record would not run on a worker.
        let threads = demoted.clone();
        let long = move || {
            compute_until_demoted();
            threads.note();
        };
        match round {
            0 => run(&scheduler, computes::<0>(long)),
            1 => run(&scheduler, computes::<1>(long)),
            2 => run(&scheduler, computes::<2>(long)),
            3 => run(&scheduler, computes::<3>(long)),
            4 => run(&scheduler, computes::<4>(long)),
            _ => run(&scheduler, computes::<5>(long)),
        }
        let on_demoted = Count::new();
        let light: Vec<_> = (0..200)
            .map(|_| {
                let (threads, on_demoted) = (demoted.clone(), on_demoted.clone());
                spawn(&scheduler, async move {
                    for _ in 0..10 {
                        if is_light() && threads.has_current() {
                            on_demoted.add();
                        }
                        yield_now().await;
                    }
                })
            })
            .collect();
        join_all(light);
        assert_eq!(on_demoted.get(), 0, "light polls on threads that have computed, in round {round}");
    }
    assert_eq!(demoted.0.lock().len(), 6, "each round demoted another thread");
    assert!(scheduler.metrics().demotions >= 6);
    eventually("standbys leave", || scheduler.metrics().workers_active == 2);
    close(&scheduler);
}

/// What a worker holds when it is demoted, and what a computing thread spawns, wakes and arms, is served by
/// the others.
#[test]
fn what_a_computing_thread_leaves_or_makes_is_light_work_for_others() {
    let scheduler = start(1);
    for _ in 0..5 {
        let (here, served, computing) = (scheduler.clone(), Count::new(), Threads::default());
        let woken = Signal::new();
        let waits = spawn(&scheduler, {
            let (woken, served, computing) = (woken.clone(), served.clone(), computing.clone());
            async move {
                woken.wait().await;
                assert!(!(is_light() && computing.has_current()));
                served.add();
            }
        });
        let count = served.clone();
        run(&scheduler, async move {
            for turn in 0..3 {
                // The very first turn is on a worker that is demoted in it; the others on computing threads.
                if turn == 0 && here.metrics().demotions == 0 {
                    compute_until_demoted();
                } else {
                    compute_for_long();
                }
                computing.note();
                for _ in 0..10 {
                    let (count, computing) = (count.clone(), computing.clone());
                    drop(spawn_here(async move {
                        assert!(!(is_light() && computing.has_current()));
                        count.add();
                    }));
                }
                woken.set();
                yield_now().await;
            }
        });
        join_all([waits]);
        eventually("everything is served", || served.get() == 31);
    }
    close(&scheduler);
}

/// Many tasks of a kind that is not known yet are queued at once. As soon as one was found to compute, the
/// others are sorted out, and no more workers compute.
#[test]
fn the_first_burst_of_a_kind_demotes_few_threads() {
    let scheduler = start(2);
    let burst: Vec<_> = (0..64).map(|_| spawn(&scheduler, async { compute_for_long() })).collect();
    join_all(burst);
    let demotions = scheduler.metrics().demotions;
    assert!((1..=4).contains(&demotions), "{demotions} threads were demoted for one kind of task");
    close(&scheduler);
}

/// A kind whose tasks all compute does not oversubscribe the machine; the first rounds only give the kind its
/// record. (Where other programs use the cores too, as many more may run while they take the place of
/// others, see `share.rs`.)
#[test]
fn no_more_tasks_of_a_kind_that_computes_run_at_once_than_there_are_workers() {
    let scheduler = start(2);
    let mut last = Count::new();
    for _ in 0..3 {
        let (running, most) = (Count::new(), Count::new());
        last = most.clone();
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let (running, most) = (running.clone(), most.clone());
                spawn(&scheduler, async move {
                    most.raise(running.add());
                    compute_for_long();
                    running.take();
                })
            })
            .collect();
        join_all(tasks);
    }
    assert!(last.get() <= 4, "{} of them ran at once on two workers", last.get());
    close(&scheduler);
}

#[test]
fn computing_threads_are_bounded_and_end() {
    let blocking_keep_alive = Duration::from_millis(20);
    let scheduler = start_with(Config {
        workers: 1,
        max_computing_threads: Some(3),
        blocking_keep_alive,
        ..Config::default()
    });
    let most = Count::new();
    let tasks: Vec<_> = (0..1_000)
        .map(|n| {
            let (most, here) = (most.clone(), scheduler.clone());
            spawn(&scheduler, async move {
                if n <= 40 {
                    compute_for_long();
                }
                most.raise(here.metrics().computing_threads);
            })
        })
        .collect();
    join_all(tasks);
    // One more may have the usual priority for a while.
    assert!((1..=4).contains(&most.get()), "{} computing threads", most.get());
    eventually("computing threads end", || scheduler.metrics().computing_threads == 0);
    eventually("standbys leave", || scheduler.metrics().workers_active == 1);
    close(&scheduler);
}

/// Without computing threads the workers run everything.
#[test]
fn without_computing_threads_tasks_with_long_polls_run_on_workers() {
    let scheduler = start_with(Config { workers: 1, max_computing_threads: Some(0), ..Config::default() });
    let polls = Count::new();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let polls = polls.clone();
            spawn(&scheduler, async move {
                for _ in 0..4 {
                    compute_for_long();
                    polls.add();
                    yield_now().await;
                }
            })
        })
        .collect();
    assert_eq!(run(&scheduler, async { 1 }), 1);
    let refs: Vec<_> = tasks.iter().map(|task| task.task().clone()).collect();
    join_all(tasks);
    assert!(!refs.iter().any(TaskRef::has_weight), "nothing would take it off");
    let metrics = scheduler.metrics();
    assert_eq!((polls.get(), metrics.demotions, metrics.computing_threads), (16, 0, 0));
    close(&scheduler);
}

#[test]
fn computing_threads_have_a_lower_priority_and_workers_do_not() {
    for computing_niceness in [1, 10, 19] {
        let usual = priority();
        let scheduler = start_with(Config { workers: 1, computing_niceness, ..Config::default() });
        let seen = run(&scheduler, async move {
            let before = priority();
            compute_until_demoted();
            yield_now().await;
            (before, priority())
        });
        assert_eq!(seen, (usual, (usual + i32::from(computing_niceness)).min(19)));
        assert_eq!(run(&scheduler, async move { priority() }), usual);
        assert_eq!(scheduler.metrics().niceness_refused, 0);
        close(&scheduler);
    }
}

/// A server's connections may be of a kind that always computes. A new one has its weight from its kind, and
/// its first short poll shows that it is another case.
#[test]
fn one_short_poll_makes_a_new_task_of_a_kind_that_computes_light() {
    #[derive(Default)]
    struct Computes {
        begun: AtomicBool,
        may_end: AtomicBool,
    }
    async fn connection(computes: Option<Arc<Computes>>) -> bool {
        if let Some(computes) = computes {
            computes.begun.store(true, Ordering::Relaxed);
            compute_for_long();
            while !computes.may_end.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
        yield_now().await;
        is_light()
    }
    let scheduler = start(1);
    for _ in 0..20 {
        run(&scheduler, connection(Some(Arc::new(Computes { may_end: true.into(), ..Computes::default() }))));
    }
    // On a busy machine the kind may be on probation by now. Then a new task may begin before it is looked
    // at.
    let was_born_with_weight = (0..100).any(|_| {
        let (was_born_with_weight, is_light_now) = run(&scheduler, async {
            // One computes at once: no other one begins before this task has looked at it.
            let first = Arc::new(Computes::default());
            let computes = spawn_here(connection(Some(Arc::clone(&first))));
            while !first.begun.load(Ordering::Relaxed) {
                yield_now().await;
            }
            let new = spawn_here(connection(None));
            let was_born_with_weight = new.task().has_weight();
            first.may_end.store(true, Ordering::Relaxed);
            join(computes).await;
            (was_born_with_weight, join(new).await)
        });
        assert!(is_light_now);
        was_born_with_weight
    });
    assert!(was_born_with_weight);
    close(&scheduler);
}

/// No computing thread is left, and the workers put the watchdog's alarm off all the time.
#[test]
fn a_task_that_computes_is_noticed_while_all_others_get_on() {
    async fn computes() {
        compute_for_long();
    }
    let blocking_keep_alive = Duration::from_millis(1);
    let scheduler = start_with(Config { workers: 2, blocking_keep_alive, ..Config::default() });
    for _ in 0..8 {
        run(&scheduler, computes());
    }
    let ends = Arc::new(AtomicBool::new(false));
    let light = [0; 4].map(|_| {
        let ends = Arc::clone(&ends);
        spawn(&scheduler, async move {
            while !ends.load(Ordering::Relaxed) {
                yield_now().await;
            }
        })
    });
    for _ in 0..30 {
        eventually("they have ended", || scheduler.metrics().computing_threads == 0);
        let task = spawn(&scheduler, computes());
        eventually("it has computed", || task.task().is_done());
    }
    ends.store(true, Ordering::Relaxed);
    join_all(light);
    close(&scheduler);
}

/// Tasks on probation may be short, and come before one of them that is known to be long. No thread returns
/// from that priority.
#[test]
fn a_task_on_probation_that_computes_for_long_comes_after_others() {
    async fn either(computes_until: Option<i32>, threads: Threads) {
        let Some(least) = computes_until else { return };
        assert!(!threads.has_current(), "that thread was to end");
        while priority() < least {
            std::hint::spin_loop();
        }
        threads.note();
    }
    let (usual, scheduler, threads) = (priority(), start(1), Threads::default());
    run(&scheduler, either(Some(usual + 10), Threads::default()));
    for _ in 0..5 {
        // Or the kind would be one that always computes.
        run(&scheduler, either(None, threads.clone()));
        run(&scheduler, either(Some(usual + 11), threads.clone()));
    }
    close(&scheduler);
}

/// The only computing thread has a new task on probation to run at any time.
#[test]
fn tasks_on_probation_let_cpu_bound_ones_run() {
    #[expect(clippy::manual_async_fn, reason = "that it is `Send` must be known inside of it")]
    fn short_ones(count: Count) -> impl Future<Output = ()> + Send + 'static {
        async move {
            count.add();
            if count.get() == 1 {
                compute_until_demoted();
            } else if count.get() < 900 {
                // The one after the next waits in the lane already.
                drop(spawn_here(short_ones(count)));
            }
        }
    }
    let scheduler = start_with(Config { workers: 1, max_computing_threads: Some(1), ..Config::default() });
    let shorts = Count::new();
    run(&scheduler, short_ones(shorts.clone()));
    let count = shorts.clone();
    let passed = run(&scheduler, async move {
        while is_light() {
            compute_for_long();
            yield_now().await;
        }
        drop(spawn_here(short_ones(count.clone())));
        for _ in 0..5 {
            yield_now().await;
        }
        count.get()
    });
    assert!(passed < 200, "{passed} short tasks passed five polls");
    close(&scheduler);
}

/// A thread inherits the priority of the one that starts it.
#[test]
fn a_thread_that_a_computing_thread_starts_never_runs_light_tasks() {
    let usual = priority();
    let scheduler = start(1);
    let (here, of_job) = (scheduler.clone(), Arc::new(Mutex::new(None)));
    let (room, done) = (Arc::clone(&of_job), Signal::new());
    let ends = done.clone();
    run(&scheduler, async move {
        compute_until_demoted();
        yield_now().await;
        here.spawn_blocking(Box::new(move || {
            *room.lock() = Some(priority());
            ends.set();
        }))
        .expect("threads can be started");
    });
    done.block();
    assert_eq!(*of_job.lock(), Some(usual + 10));
    for _ in 0..5 {
        let (release, inside) = (Signal::new(), Signal::new());
        let (wait, tell) = (release.clone(), inside.clone());
        let stuck = spawn(&scheduler, async move {
            tell.set();
            wait.block();
        });
        inside.block();
        assert_eq!(run(&scheduler, async move { priority() }), usual, "of a standby");
        release.set();
        join_all([stuck]);
    }
    close(&scheduler);
}

/// There is more to compute than there are threads for it, all the time.
#[test]
fn the_watchdog_does_not_spin_while_tasks_wait_for_computing_threads() {
    let thread_name = "spinless".into();
    let scheduler =
        start_with(Config { workers: 4, max_computing_threads: Some(1), thread_name, ..Config::default() });
    let watchdog = || -> i64 {
        let own = std::fs::read_dir("/proc/self/task").expect("on Linux").filter_map(|task| {
            let path = task.ok()?.path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let stat = std::fs::read_to_string(path.join("stat")).ok()?;
            // As some are negative.
            let of_stat: Vec<i64> =
                stat.rsplit(')').next()?.split(' ').filter_map(|it| it.parse().ok()).collect();
            // The 14th and 15th fields of `stat`; numbers begin with the fourth.
            (name.trim_end() == "spinless-watch").then(|| of_stat[10] + of_stat[11])
        });
        own.sum::<i64>()
    };
    let polls = Count::new();
    // Cpu-bound ones, and others on probation, as every second one of this kind is short: both lanes have
    // tasks and permits, and there is one thread.
    let cpu_bound = (0..20).map(|_| {
        let polls = polls.clone();
        spawn(&scheduler, async move {
            for _ in 0..5 {
                compute_for_long();
                polls.add();
                yield_now().await;
            }
        })
    });
    let on_probation = (0..40).map(|n| {
        let polls = polls.clone();
        spawn(&scheduler, async move {
            if n % 2 == 0 {
                compute_for_long();
            }
            polls.add();
        })
    });
    let tasks: Vec<_> = cpu_bound.chain(on_probation).collect();
    let (before, began) = (watchdog(), std::time::Instant::now());
    join_all(tasks);
    let ticks = u64::try_from(watchdog() - before).expect("time passes");
    let lasted = began.elapsed();
    assert_eq!(polls.get(), 140);
    // 100 ticks are a second.
    let used = Duration::from_millis(10 * ticks);
    assert!(used < lasted / 4, "the watchdog used {used:?} of {lasted:?}");
    close(&scheduler);
}
