//! What does each of n waiting items cost, when there are many of them?
//!
//! A row sets n waiting items up, and times one operation over all of them. Everything runs on one
//! worker in virtual time, so only work is measured. The measure is the CPU time of this process,
//! so other programs do not affect it.
//!
//! A set of 10,000 items fits into the caches and a set of 160,000 does not. A step that misses the
//! caches costs several times as much, whatever the algorithm. To separate the two effects, sixteen
//! sets of 10,000 are measured as well: as many items in as much memory. All sets are set up before
//! the first operation begins, and then the sets have their turns one after the other (`turns.rs`).

mod graph;
mod groups;
mod kept;
mod turns;
mod waiting;

use std::time::Duration;

use self::turns::Turns;

use selvedge::{Coroutine, Runner};

use crate::process::cpu_time;
use crate::stats::median;

/// An operation, and how long it takes.
pub struct Row {
    /// The operation.
    pub name: &'static str,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    /// Over one set of n items.
    Crowd(fn(usize) -> Duration),
    /// Over n items that are spread over so many sets, in one operation that mixes the sets: they
    /// shrink together, not one after the other.
    Spread(fn(usize, usize) -> Duration),
}

/// Nanoseconds for each item.
pub struct Line {
    /// One small set.
    pub few: f64,
    /// So many small sets that they have as many items as the large one.
    pub crowds_of_few: f64,
    /// One large set.
    pub many: f64,
}

use self::Run::{Crowd, Spread};

/// Every operation whose cost could depend on the number of waiting items.
pub const ROWS: &[Row] = &[
    Row { name: "future: n awaiters arrive", run: Crowd(waiting::arrive) },
    Row { name: "future: n awaiters are polled again", run: Spread(waiting::again) },
    Row {
        name: "future: n awaiters leave, first come, first gone",
        run: Spread(|n, crowds| waiting::leave(n, crowds, Order::Fifo)),
    },
    Row {
        name: "future: n awaiters leave, last come, first gone",
        run: Spread(|n, crowds| waiting::leave(n, crowds, Order::Lifo)),
    },
    Row {
        name: "future: n awaiters leave, in no order",
        run: Spread(|n, crowds| waiting::leave(n, crowds, Order::None)),
    },
    Row { name: "future: set, n tasks await it", run: Crowd(waiting::set) },
    Row { name: "future: cancelled, n tasks await it", run: Crowd(waiting::cancel_future) },
    Row { name: "future: n waits for it with a deadline time out", run: Crowd(waiting::time_out) },
    Row { name: "future: n awaiters dropped with their loop", run: Crowd(waiting::close) },
    Row { name: "future: n callbacks added", run: Crowd(waiting::future_add) },
    Row {
        name: "future: n callbacks removed, first come",
        run: Spread(|n, crowds| waiting::future_remove(n, crowds, Order::Fifo)),
    },
    Row {
        name: "future: n callbacks removed, last come",
        run: Spread(|n, crowds| waiting::future_remove(n, crowds, Order::Lifo)),
    },
    Row {
        name: "future: n callbacks removed, in no order",
        run: Spread(|n, crowds| waiting::future_remove(n, crowds, Order::None)),
    },
    Row { name: "future: n callbacks called", run: Crowd(waiting::future_call) },
    Row { name: "task: n callbacks added", run: Crowd(waiting::task_add) },
    Row {
        name: "task: n callbacks removed, first come",
        run: Spread(|n, crowds| waiting::task_remove(n, crowds, Order::Fifo)),
    },
    Row {
        name: "task: n callbacks removed, last come",
        run: Spread(|n, crowds| waiting::task_remove(n, crowds, Order::Lifo)),
    },
    Row {
        name: "task: n callbacks removed, in no order",
        run: Spread(|n, crowds| waiting::task_remove(n, crowds, Order::None)),
    },
    Row { name: "task: n callbacks called", run: Crowd(waiting::task_call) },
    Row { name: "task: n waits for it arrive", run: Crowd(waiting::waits_arrive) },
    Row {
        name: "task: n waits for it leave, first come",
        run: Spread(|n, crowds| waiting::waits_leave(n, crowds, Order::Fifo)),
    },
    Row {
        name: "task: n waits for it leave, in no order",
        run: Spread(|n, crowds| waiting::waits_leave(n, crowds, Order::None)),
    },
    Row { name: "task: ends, n tasks wait for it", run: Crowd(waiting::waits_end) },
    Row { name: "task: n shields of it come and go", run: Crowd(waiting::shields) },
    Row { name: "wait: for all of n", run: Crowd(|n| groups::wait(n, selvedge::ALL_COMPLETED)) },
    Row { name: "wait: for the first of n", run: Crowd(|n| groups::wait(n, selvedge::FIRST_COMPLETED)) },
    Row {
        name: "wait: for the first failure of n",
        run: Crowd(|n| groups::wait(n, selvedge::FIRST_EXCEPTION)),
    },
    Row { name: "gather: n children", run: Crowd(groups::gather) },
    Row { name: "gather: cancelled, n children", run: Crowd(groups::gather_cancelled) },
    Row { name: "as_completed: n children", run: Spread(groups::as_completed) },
    Row { name: "group: n tasks", run: Crowd(groups::group) },
    Row { name: "group: one of n tasks fails", run: Crowd(groups::group_fails) },
    Row { name: "join_all: cancelled, n leaves", run: Crowd(groups::join_all) },
    Row { name: "FuturesUnordered: cancelled, n leaves", run: Crowd(groups::unordered) },
    Row { name: "FuturesUnordered: dropped, n leaves", run: Crowd(groups::unordered_dropped) },
    Row { name: "context: n variables set", run: Spread(kept::variables) },
    Row { name: "context: n variables set, each after a copy", run: Spread(kept::variables_and_copies) },
    Row { name: "context: n copies", run: Crowd(kept::copies) },
    Row { name: "timers: n armed", run: Crowd(kept::armed) },
    Row { name: "timers: n dropped, in no order", run: Spread(kept::disarm) },
    Row { name: "timers: n fire", run: Crowd(kept::fire) },
    Row { name: "timers: n rescheduled", run: Crowd(kept::reschedule) },
    Row { name: "call_soon: n called", run: Crowd(kept::call_soon) },
    Row { name: "call_later: n cancelled, in no order", run: Spread(kept::call_later) },
    Row { name: "executor: n calls queued and made", run: Crowd(kept::executor) },
    Row { name: "executor: n queued calls given up", run: Crowd(kept::executor_given_up) },
    Row { name: "run_coroutine_threadsafe: n", run: Crowd(kept::threadsafe) },
    Row { name: "signals: a handler added and removed n times", run: Crowd(kept::signals) },
    Row { name: "all_tasks: n", run: Crowd(kept::all_of_them) },
    Row { name: "loop: closed over n suspended tasks", run: Crowd(kept::closed) },
    Row { name: "socket: n readers arrive", run: Crowd(kept::readers_arrive) },
    Row { name: "socket: n readers leave, in no order", run: Spread(kept::readers_leave) },
    Row { name: "socket: n readers woken", run: Crowd(kept::readers_woken) },
    Row { name: "server: n waits for its end leave, in no order", run: Spread(kept::server) },
    Row { name: "streams: n feeds", run: Crowd(kept::feeds) },
    Row { name: "call graph: n awaiters told", run: Crowd(|n| graph::told(n, false)) },
    Row { name: "call graph: n told awaiters taken back, in no order", run: Crowd(|n| graph::told(n, true)) },
    Row { name: "call graph: captured, n tasks await one future", run: Crowd(graph::capture) },
    Row { name: "call graph: captured, one task waits for n", run: Crowd(graph::capture_wait) },
];

/// The order in which the items are removed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Fifo,
    Lifo,
    None,
}

impl Order {
    /// The indices of `n` items in this order.
    pub(crate) fn of(self, n: usize) -> Vec<usize> {
        let mut order: Vec<_> = (0..n).collect();
        match self {
            Order::Fifo => {}
            Order::Lifo => order.reverse(),
            Order::None => {
                let mut state = 1_u64;
                for end in (1..n).rev() {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    order.swap(end, (state >> 33) as usize % (end + 1));
                }
            }
        }
        order
    }

    /// Puts `things` into this order. Call it before the timed part begins.
    pub(crate) fn arrange<T>(self, things: Vec<T>) -> Vec<T> {
        let mut things: Vec<_> = things.into_iter().map(Some).collect();
        self.of(things.len()).into_iter().filter_map(|index| things[index].take()).collect()
    }
}

/// The process's CPU time at the beginning of an operation. Every call of a row's function must
/// call `now` and `elapsed` exactly once: they are the turn of its set.
pub(crate) struct CpuTimer(Duration);

impl CpuTimer {
    /// Call it when everything is set up: it waits for the turn of this set.
    pub(crate) fn now() -> CpuTimer {
        Turns::begin();
        CpuTimer(cpu_time())
    }

    /// Ends the operation.
    pub(crate) fn elapsed(self) -> Duration {
        let lasted = cpu_time().saturating_sub(self.0);
        Turns::end();
        lasted
    }
}

pub(crate) fn timed<R>(operate: impl FnOnce() -> R) -> Duration {
    let start = CpuTimer::now();
    let result = operate();
    let lasted = start.elapsed();
    drop(result);
    lasted
}

/// Runs a measurement on one worker in virtual time.
pub(crate) fn run<C: Coroutine<Item = Duration>>(main: C) -> Duration {
    runner().run(main).expect("the measurement is sound")
}

pub(crate) fn runner() -> Runner {
    // Without the watchdog, which would treat sets that wait for their turn as stuck workers.
    Runner::builder().workers(1).watchdog(false).virtual_time(true).build().expect("a loop can be had")
}

/// Lets every task run that is ready.
pub(crate) async fn settle() -> selvedge::Result<()> {
    selvedge::sleep(Duration::from_millis(1)).await
}

impl Row {
    /// Nanoseconds for each of the items in so many sets of n.
    fn each_of(&self, crowds: usize, n: usize) -> f64 {
        let lasted = match self.run {
            Crowd(run) => turns::one_after_the_other(crowds, run, n),
            Spread(run) => turns::one_after_the_other(1, move |all| run(all, crowds), crowds * n),
        };
        lasted.as_nanos() as f64 / (crowds * n) as f64
    }
}

/// Measures, in turn: one small set (several times), many items in small sets, and one large set.
pub fn measure(row: &Row, sizes: [usize; 2], rounds: usize) -> Line {
    let [few, many] = sizes;
    let times = many / few;
    let mut samples = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let alone = (0..times.min(4)).map(|_| row.each_of(1, few));
        let round = [median(alone.collect()), row.each_of(times, few), row.each_of(1, many)];
        for (samples, sample) in samples.iter_mut().zip(round) {
            samples.push(sample);
        }
    }
    let [few, crowds_of_few, many] = samples.map(median);
    Line { few, crowds_of_few, many }
}
