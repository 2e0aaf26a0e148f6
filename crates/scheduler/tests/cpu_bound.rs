//! Do tasks with long polls become cpu-bound, and do cpu-bound and light tasks leave each other
//! room to run?
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{
    Count, Signal, block_on, close, compute, eventually, join, join_all, run, spawn, spawn_eager_here, start,
    start_with, yield_now,
};
use parking_lot::Mutex;
use selvedge_scheduler::{Config, Hooks, Scheduler, TaskRef};

fn rest_comes_back(scheduler: &Scheduler, workers: usize) {
    eventually("standbys leave", || scheduler.metrics().workers_active == workers);
}

#[test]
fn long_polls_make_a_task_cpu_bound_and_short_ones_light_again() {
    let scheduler = start(2);
    let shorten = Arc::new(AtomicBool::new(false));
    let (short, weights) = (Arc::clone(&shorten), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&weights);
    let task = spawn(&scheduler, async move {
        loop {
            let has_weight = TaskRef::with_current(|task| task.expect("in a poll").has_weight());
            seen.lock().push(has_weight);
            match (short.load(Ordering::Relaxed), has_weight) {
                (false, false) => compute(Duration::from_millis(10)),
                // The first poll in which it is cpu-bound.
                (false, true) => short.store(true, Ordering::Relaxed),
                (true, true) => {}
                (true, false) => return,
            }
            yield_now().await;
        }
    });
    let of_task = task.task().clone();
    block_on(join(task));
    assert!(!of_task.has_weight());
    let weights = weights.lock();
    assert!(!weights[0] && weights.contains(&true) && weights.last() == Some(&false), "{weights:?}");
    let metrics = scheduler.metrics();
    assert!(metrics.workers.iter().map(|worker| worker.cpu_bound_polls).sum::<u64>() >= 1);
    assert!(metrics.workers.iter().map(|worker| worker.long_polls).sum::<u64>() >= 1);
    close(&scheduler);
}

/// The computing thread of a task that wakes itself comes to it again. If another one were woken, the two
/// would change places at each poll.
#[test]
fn a_cpu_bound_task_that_goes_on_stays_on_its_thread() {
    const POLLS: u64 = 40;
    let scheduler = start(4);
    let task = spawn(&scheduler, async move {
        let (mut changes, mut last) = (0, None);
        let mut cpu_bound_polls = 0;
        while cpu_bound_polls < POLLS {
            compute(Duration::from_millis(4));
            if TaskRef::with_current(|task| task.expect("in a poll").has_weight()) {
                cpu_bound_polls += 1;
                let here = Some(std::thread::current().id());
                changes += u64::from(std::mem::replace(&mut last, here) != here);
            }
            yield_now().await;
        }
        changes
    });
    let changes = block_on(join(task));
    assert!(changes <= POLLS / 4, "{changes} changes of the thread during {POLLS} polls");
    close(&scheduler);
}

/// Polls of both classes are counted while the other class never rests.
#[test]
fn neither_class_starves() {
    for (workers, max_standbys) in [(1, None), (2, None), (1, Some(1))] {
        let scheduler = start_with(Config { workers, max_standbys, ..Config::default() });
        let (stop, polls, light) = (Arc::new(AtomicBool::new(false)), Count::new(), Count::new());
        let computing: Vec<_> = (0..2 * workers)
            .map(|_| {
                let (stop, polls) = (Arc::clone(&stop), polls.clone());
                spawn(&scheduler, async move {
                    while !stop.load(Ordering::Relaxed) {
                        compute(Duration::from_millis(5));
                        polls.add();
                        yield_now().await;
                    }
                })
            })
            .collect();
        eventually("a cpu-bound task", || computing.iter().any(|task| task.task().has_weight()));
        // Light tasks pass the computations …
        for _ in 0..50 {
            let (light, polls) = (light.clone(), polls.clone());
            let polls = run(&scheduler, async move {
                let before = polls.get();
                for _ in 0..10 {
                    light.add();
                    yield_now().await;
                }
                polls.get() - before
            });
            assert!(polls <= 200, "{polls} cpu-bound polls of 5 ms passed ten yields");
        }
        assert_eq!(light.get(), 500);
        // … and light tasks that never rest do not stop the cpu-bound ones.
        let crowd: Vec<_> = (0..10)
            .map(|_| {
                let stop = Arc::clone(&stop);
                spawn(&scheduler, async move {
                    while !stop.load(Ordering::Relaxed) {
                        yield_now().await;
                    }
                })
            })
            .collect();
        let (before, began) = (polls.get(), Instant::now());
        eventually("cpu-bound polls beside the crowd", || polls.get() >= before + 20);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?} for 20 polls of 5 ms");
        stop.store(true, Ordering::Relaxed);
        join_all(computing.into_iter().chain(crowd));
        rest_comes_back(&scheduler, workers);
        close(&scheduler);
    }
}

/// Computes until the task is cpu-bound, and then waits for `go`. Each `N` is a kind of its own, without a
/// record: the weight comes from the task's own polls.
async fn until_cpu_bound<const N: u32>(all_cpu_bound: Count, go: Signal) {
    // Or the compiler might merge the code of two kinds.
    std::hint::black_box(N);
    while !TaskRef::with_current(|task| task.expect("in a poll").has_weight()) {
        compute(Duration::from_millis(10));
        yield_now().await;
    }
    all_cpu_bound.add();
    go.wait().await;
}

/// As many cpu-bound tasks as there are permits wait in their polls for one more that is queued.
#[test]
fn a_cpu_bound_task_may_wait_for_another_one() {
    for workers in [1, 2] {
        let scheduler = start(workers);
        let (all_cpu_bound, go, last) = (Count::new(), Signal::new(), Signal::new());
        let tasks: Vec<_> = (0..=workers)
            .map(|n| {
                let (all_cpu_bound, go, last) = (all_cpu_bound.clone(), go.clone(), last.clone());
                let wait = move || if n < workers { last.block() } else { last.set() };
                match n {
                    0 => spawn(&scheduler, async move {
                        until_cpu_bound::<0>(all_cpu_bound, go).await;
                        wait();
                    }),
                    1 => spawn(&scheduler, async move {
                        until_cpu_bound::<1>(all_cpu_bound, go).await;
                        wait();
                    }),
                    _ => spawn(&scheduler, async move {
                        until_cpu_bound::<2>(all_cpu_bound, go).await;
                        wait();
                    }),
                }
            })
            .collect();
        eventually("all are cpu-bound", || all_cpu_bound.get() == workers + 1);
        assert!(tasks.iter().all(|task| task.task().has_weight()));
        // They are woken in the order of their waits, which is not known. Any of them may be the
        // one for which the others wait.
        go.set();
        join_all(tasks);
        rest_comes_back(&scheduler, workers);
        close(&scheduler);
    }
}

/// A server's connections are of one kind: most of them compute, and a health check on a new one
/// must not queue behind these. How long it waits is counted in polls of the others, each of which
/// takes a core for 20 ms.
#[test]
fn a_short_task_of_a_cpu_bound_kind_passes_the_cpu_bound_ones() {
    async fn connection(stop: Arc<AtomicBool>, polls: Count, is_check: bool) {
        while !is_check && !stop.load(Ordering::Relaxed) {
            compute(Duration::from_millis(20));
            polls.add();
            yield_now().await;
        }
    }
    let scheduler = start(2);
    let (stop, polls) = (Arc::new(AtomicBool::new(false)), Count::new());
    let connect = |is_check| spawn(&scheduler, connection(Arc::clone(&stop), polls.clone(), is_check));
    let computing: Vec<_> = (0..12).map(|_| connect(false)).collect();
    eventually("all are cpu-bound", || computing.iter().all(|task| task.task().has_weight()));
    let mut passed: Vec<_> = (0..20)
        .map(|_| {
            let before = polls.get();
            block_on(join(connect(true)));
            polls.get() - before
        })
        .collect();
    passed.sort_unstable();
    // The queue alone would be ten polls long. A machine that also does other things may hold up
    // one check or another.
    assert!(passed[passed.len() / 2] <= 2, "so many cpu-bound polls passed a short task: {passed:?}");
    stop.store(true, Ordering::Relaxed);
    join_all(computing);
    rest_comes_back(&scheduler, 2);
    close(&scheduler);
}

/// More new tasks of a kind with long polls than there are workers may wait in their first poll for
/// one more.
#[test]
fn a_task_on_probation_may_wait_for_another_one() {
    async fn on_probation(last: Option<Signal>, is_last: bool) {
        match last {
            None => compute(Duration::from_millis(10)),
            Some(last) if is_last => last.set(),
            Some(last) => last.block(),
        }
    }
    for workers in [1, 2] {
        let scheduler = start(workers);
        // The kind gets a record.
        eventually("a computing thread", || {
            block_on(join(spawn(&scheduler, on_probation(None, false))));
            scheduler.metrics().computing_threads > 0
        });
        for _ in 0..3 {
            let last = Signal::new();
            let mut tasks: Vec<_> = (0..3 * workers)
                .map(|_| spawn(&scheduler, on_probation(Some(last.clone()), false)))
                .collect();
            tasks.push(spawn(&scheduler, on_probation(Some(last.clone()), true)));
            join_all(tasks);
        }
        rest_comes_back(&scheduler, workers);
        close(&scheduler);
    }
}

struct SlowPolls(Mutex<Vec<(TaskRef, Duration)>>);

impl Hooks for SlowPolls {
    fn slow_poll(&self, task: &TaskRef, lasted: Duration) {
        self.0.lock().push((task.clone(), lasted));
        panic!("{}: in a hook", common::ON_PURPOSE);
    }
}

/// The hook names the slow task, not a task that it started eagerly, nor a task that ran beside it.
#[test]
fn slow_polls_are_reported_with_their_task() {
    let hooks = Arc::new(SlowPolls(Mutex::new(Vec::new())));
    let slow_poll = Duration::from_millis(20);
    let given: Arc<dyn Hooks> = Arc::clone(&hooks) as _;
    let scheduler = start_with(Config { workers: 1, slow_poll, hooks: given, ..Config::default() });
    let eager = Arc::new(Mutex::new(None));
    let room = Arc::clone(&eager);
    let slow = spawn(&scheduler, async move {
        std::thread::sleep(Duration::from_millis(60));
        *room.lock() = Some(spawn_eager_here(yield_now()));
    });
    let quick: Vec<_> = (0..10).map(|_| spawn(&scheduler, yield_now())).collect();
    let task = slow.task().clone();
    block_on(join(slow));
    join_all(quick);
    let eager = eager.lock().take().expect("spawned");
    let of_eager = eager.task().clone();
    assert!(!of_eager.has_weight(), "its poll was short");
    block_on(join(eager));
    let reports = std::mem::take(&mut *hooks.0.lock());
    assert!(
        reports.iter().all(|(reported, lasted)| *reported == task && *lasted >= slow_poll),
        "{reports:?}"
    );
    assert_eq!((reports.len(), scheduler.metrics().slow_polls()), (1, 1));
    close(&scheduler);
}
