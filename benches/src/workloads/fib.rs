//! What does recursion into tasks cost?

use std::future::Future;
use std::hint::black_box;
use std::time::{Duration, Instant};

use super::{Goal, Row, Throughput};
use crate::rival::{Rival, Spawner};

/// Fibonacci numbers the slow way: each left branch is a task, each right branch runs in the caller's.
pub struct Fib;

const N: u32 = 22;
const SMALLER_N: u32 = 19;

impl Throughput for Fib {
    const ROW: Row =
        Row { name: "fib(22), a task per left branch", unit: "ns/task", goal: Goal::Ratio(0.50) };
    const UNITS: u64 = left_branches(N);

    fn pass<R: Rival>(runtime: &R, units: u64) -> Duration {
        let n = if units == Self::UNITS { N } else { SMALLER_N };
        let spawner = runtime.spawner();
        let elapsed = runtime.block_on(async move {
            let start = Instant::now();
            black_box(fib(spawner, n).await);
            start.elapsed()
        });
        // Only Fibonacci's sizes are possible, so the time is scaled to the requested number of
        // units.
        elapsed.mul_f64(units as f64 / left_branches(n) as f64)
    }
}

#[expect(
    clippy::manual_async_fn,
    reason = "only a bound in the signature lets the body know that its own future is `Send`"
)]
fn fib<S: Spawner>(spawner: S, n: u32) -> impl Future<Output = u64> + Send + 'static {
    async move {
        if n < 2 {
            return u64::from(n);
        }
        let left = spawner.spawn(fib(spawner, n - 1));
        let right = Box::pin(fib(spawner, n - 2)).await;
        left.await + right
    }
}

/// How many tasks the computation spawns.
const fn left_branches(n: u32) -> u64 {
    if n < 2 { 0 } else { 1 + left_branches(n - 1) + left_branches(n - 2) }
}
