//! What does each of n waiting things cost, when there are many of them?
//!
//! A row sets n waiting things up, and times one operation over all of them. Everything runs on one worker in virtual time, so nothing is
//! measured but work. It is the process's time on the processors that counts: other programs take theirs without showing here.

mod graph;
mod groups;
mod kept;
mod waiting;

use std::time::Duration;

use selvedge::{Coroutine, Runner};

use crate::process::cpu_time;
use crate::stats::median;

/// An operation, and how long it takes over n things.
pub struct Row {
    /// What is done.
    pub name: &'static str,
    run: fn(usize) -> Duration,
}

/// Nanoseconds for each of few, and of many.
pub struct Line {
    /// Of few.
    pub few: f64,
    /// Of many.
    pub many: f64,
}

/// Everything over which the number of those who wait could matter.
pub const ROWS: &[Row] = &[
    Row { name: "future: n awaiters arrive", run: waiting::arrive },
    Row { name: "future: n awaiters are polled again", run: waiting::again },
    Row { name: "future: n awaiters leave, first come, first gone", run: |n| waiting::leave(n, Order::Fifo) },
    Row { name: "future: n awaiters leave, last come, first gone", run: |n| waiting::leave(n, Order::Lifo) },
    Row { name: "future: n awaiters leave, in no order", run: |n| waiting::leave(n, Order::None) },
    Row { name: "future: set, n tasks await it", run: waiting::set },
    Row { name: "future: cancelled, n tasks await it", run: waiting::cancel_future },
    Row { name: "future: n waits for it with a deadline time out", run: waiting::time_out },
    Row { name: "future: n awaiters dropped with their loop", run: waiting::close },
    Row { name: "future: n callbacks added", run: waiting::future_add },
    Row { name: "future: n callbacks removed, first come", run: |n| waiting::future_remove(n, Order::Fifo) },
    Row { name: "future: n callbacks removed, last come", run: |n| waiting::future_remove(n, Order::Lifo) },
    Row { name: "future: n callbacks removed, in no order", run: |n| waiting::future_remove(n, Order::None) },
    Row { name: "future: n callbacks called", run: waiting::future_call },
    Row { name: "task: n callbacks added", run: waiting::task_add },
    Row { name: "task: n callbacks removed, first come", run: |n| waiting::task_remove(n, Order::Fifo) },
    Row { name: "task: n callbacks removed, last come", run: |n| waiting::task_remove(n, Order::Lifo) },
    Row { name: "task: n callbacks removed, in no order", run: |n| waiting::task_remove(n, Order::None) },
    Row { name: "task: n callbacks called", run: waiting::task_call },
    Row { name: "task: n waits for it arrive", run: waiting::waits_arrive },
    Row { name: "task: n waits for it leave, first come", run: |n| waiting::waits_leave(n, Order::Fifo) },
    Row { name: "task: n waits for it leave, in no order", run: |n| waiting::waits_leave(n, Order::None) },
    Row { name: "task: ends, n tasks wait for it", run: waiting::waits_end },
    Row { name: "task: n shields of it come and go", run: waiting::shields },
    Row { name: "wait: for all of n", run: |n| groups::wait(n, selvedge::ALL_COMPLETED) },
    Row { name: "wait: for the first of n", run: |n| groups::wait(n, selvedge::FIRST_COMPLETED) },
    Row { name: "wait: for the first failure of n", run: |n| groups::wait(n, selvedge::FIRST_EXCEPTION) },
    Row { name: "gather: n children", run: groups::gather },
    Row { name: "gather: cancelled, n children", run: groups::gather_cancelled },
    Row { name: "as_completed: n children", run: groups::as_completed },
    Row { name: "group: n tasks", run: groups::group },
    Row { name: "group: one of n tasks fails", run: groups::group_fails },
    Row { name: "join_all: cancelled, n leaves", run: groups::join_all },
    Row { name: "FuturesUnordered: cancelled, n leaves", run: groups::unordered },
    Row { name: "FuturesUnordered: dropped, n leaves", run: groups::unordered_dropped },
    Row { name: "context: n variables set", run: kept::variables },
    Row { name: "context: n variables set, each after a copy", run: kept::variables_and_copies },
    Row { name: "context: n copies", run: kept::copies },
    Row { name: "timers: n armed", run: kept::armed },
    Row { name: "timers: n dropped, in no order", run: kept::disarm },
    Row { name: "timers: n fire", run: kept::fire },
    Row { name: "timers: n rescheduled", run: kept::reschedule },
    Row { name: "call_soon: n called", run: kept::call_soon },
    Row { name: "call_later: n cancelled, in no order", run: kept::call_later },
    Row { name: "executor: n calls queued and made", run: kept::executor },
    Row { name: "executor: n queued calls given up", run: kept::executor_given_up },
    Row { name: "run_coroutine_threadsafe: n", run: kept::threadsafe },
    Row { name: "signals: a handler added and removed n times", run: kept::signals },
    Row { name: "all_tasks: n", run: kept::all_of_them },
    Row { name: "loop: closed over n suspended tasks", run: kept::closed },
    Row { name: "socket: n readers arrive", run: |n| kept::readers(n, kept::Readers::Arrive) },
    Row { name: "socket: n readers leave, in no order", run: |n| kept::readers(n, kept::Readers::Leave) },
    Row { name: "socket: n readers woken", run: |n| kept::readers(n, kept::Readers::Woken) },
    Row { name: "server: n waits for its end arrive and leave, in no order", run: kept::server },
    Row { name: "streams: n feeds", run: kept::feeds },
    Row { name: "call graph: n awaiters told", run: |n| graph::told(n, false) },
    Row { name: "call graph: n told awaiters taken back, in no order", run: |n| graph::told(n, true) },
    Row { name: "call graph: captured, n tasks await one future", run: graph::capture },
    Row { name: "call graph: captured, one task waits for n", run: graph::capture_wait },
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

/// The time that the process has spent on the processors.
#[derive(Clone, Copy)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Instant {
        Instant(cpu_time())
    }

    pub(crate) fn elapsed(self) -> Duration {
        Instant::now().0.saturating_sub(self.0)
    }
}

pub(crate) fn timed<R>(operate: impl FnOnce() -> R) -> Duration {
    let start = Instant::now();
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
    Runner::builder().workers(1).virtual_time(true).build().expect("a loop can be had")
}

/// Lets everything run that can.
pub(crate) async fn settle() -> selvedge::Result<()> {
    selvedge::sleep(Duration::from_millis(1)).await
}

/// Measures both sizes in turn, few as many times over as they are fewer.
pub fn measure(row: &Row, sizes: [usize; 2], rounds: usize) -> Line {
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (n, samples) in sizes.iter().zip(&mut samples) {
            let times = (sizes[1] / n).min(4);
            let each = (0..times).map(|_| (row.run)(*n).as_nanos() as f64 / *n as f64);
            samples.push(median(each.collect()));
        }
    }
    let [few, many] = samples.map(median);
    Line { few, many }
}
