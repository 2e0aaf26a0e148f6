//! What does each of n waiting things cost, when there are many of them?
//!
//! A row sets n waiting things up, and times one operation over all of them. Everything runs on one worker in virtual time, so nothing is
//! measured but work. It is the process's time on the processors that counts: other programs take theirs without showing here.
//!
//! A crowd of 10,000 lies in the caches, one of 160,000 does not, and a step that misses them costs several times as much, whatever the algorithm.
//! To tell the two apart, sixteen crowds of 10,000 are measured as well: as many things in as much memory. All are set up before the first operation begins,
//! and one after the other has its turn (`turns.rs`).

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
    /// What is done.
    pub name: &'static str,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    /// Over a crowd of n.
    Crowd(fn(usize) -> Duration),
    /// Over n things that are spread over so many crowds, in one operation that mixes the crowds: they shrink
    /// together, not one after the other.
    Spread(fn(usize, usize) -> Duration),
}

/// Nanoseconds for each thing.
pub struct Line {
    /// One crowd, of few.
    pub few: f64,
    /// As many crowds of few as there are many.
    pub crowds_of_few: f64,
    /// One crowd, of many.
    pub many: f64,
}

use self::Run::{Crowd, Spread};

/// Everything over which the number of those who wait could matter.
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

/// In which order things go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Fifo,
    Lifo,
    None,
}

impl Order {
    /// The order in which `n` things go: their indices.
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

    /// Takes `things` apart in this order. The order itself is made ready before the time begins.
    pub(crate) fn arrange<T>(self, things: Vec<T>) -> Vec<T> {
        let mut things: Vec<_> = things.into_iter().map(Some).collect();
        self.of(things.len()).into_iter().filter_map(|index| things[index].take()).collect()
    }
}

/// The process's CPU time at the beginning of an operation. Every call of a row's function must use `now` and
/// `elapsed` exactly once: they are a crowd's turn.
pub(crate) struct CpuTimer(Duration);

impl CpuTimer {
    /// Call it when everything is set up: waits for the crowd's turn.
    pub(crate) fn now() -> CpuTimer {
        Turns::begin();
        CpuTimer(cpu_time())
    }

    /// The operation is over.
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

/// Runs what measures something, on one worker in virtual time.
pub(crate) fn run<C: Coroutine<Item = Duration>>(main: C) -> Duration {
    runner().run(main).expect("the measurement is sound")
}

pub(crate) fn runner() -> Runner {
    // Crowds that wait for their turn would be watched.
    Runner::builder().workers(1).rescue(false).virtual_time(true).build().expect("a loop can be had")
}

/// Lets everything run that can.
pub(crate) async fn settle() -> selvedge::Result<()> {
    selvedge::sleep(Duration::from_millis(1)).await
}

impl Row {
    /// Nanoseconds for each of the things in so many crowds of n.
    fn each_of(&self, crowds: usize, n: usize) -> f64 {
        let lasted = match self.run {
            Crowd(run) => turns::one_after_the_other(crowds, run, n),
            Spread(run) => turns::one_after_the_other(1, move |all| run(all, crowds), crowds * n),
        };
        lasted.as_nanos() as f64 / (crowds * n) as f64
    }
}

/// Measures, in turn: one crowd of few (several times), many things in crowds of few, and one crowd of many.
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
