//! What does a timer cost, with few and with many armed?
//!
//! * `insert+cancel`: a timer is armed and disarmed at once, like the timeout of an operation that
//!   is quick.
//! * `replace`: a timer armed long ago is disarmed and another one is armed, as when one connection
//!   closes while another one opens. With millions of timers this measures main memory: the
//!   cancelled timer and its neighbours are not in the cache.
//! * `insert+fire`: time moves on, and every timer that fires is armed again.
//!
//! Ten million timers take gigabytes in some of the rivals, so they run only with
//! `WHEEL_BENCH_LARGE` set.
#![allow(missing_docs, unreachable_pub)]

mod rivals;

use std::hint::black_box;
use std::num::NonZeroU64;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use rivals::{Fires, Heap, Map, QuadWheel, Timers, TokioDelayQueue, Value};
use selvedge_timer_wheel::Wheel;

/// The farthest deadline: two minutes ahead, in ticks of 30 µs.
const SPREAD: u64 = 1 << 22;

/// A small random number generator (xorshift). It must be cheap beside the measured code.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn distance(&mut self) -> u64 {
        1 + self.next() % SPREAD
    }
}

fn value(i: u64) -> Value {
    (NonZeroU64::MIN, i)
}

fn sizes() -> Vec<u64> {
    let mut sizes = vec![1_000, 100_000];
    if std::env::var_os("WHEEL_BENCH_LARGE").is_some() {
        sizes.push(10_000_000);
    }
    sizes
}

fn armed<T: Timers>(size: u64) -> (T, Vec<T::Key>, Random) {
    let (mut timers, mut random) = (T::new(), Random(0x9e37_79b9_7f4a_7c15));
    let keys = (0..size).map(|i| timers.insert(random.distance(), value(i))).collect();
    (timers, keys, random)
}

fn insert_cancel<T: Timers>(group: &mut BenchmarkGroup<'_, WallTime>, size: u64) {
    let (mut timers, _, mut random) = armed::<T>(size);
    group.bench_function(BenchmarkId::new(T::NAME, size), |bencher| {
        bencher.iter(|| {
            let key = timers.insert(random.distance(), value(0));
            black_box(timers.cancel(black_box(key)))
        });
    });
}

fn replace<T: Timers>(group: &mut BenchmarkGroup<'_, WallTime>, size: u64) {
    let (mut timers, mut keys, mut random) = armed::<T>(size);
    group.bench_function(BenchmarkId::new(T::NAME, size), |bencher| {
        bencher.iter(|| {
            let pick = usize::try_from(random.next() % size).expect("sizes are small");
            black_box(timers.cancel(keys[pick]));
            keys[pick] = timers.insert(random.distance(), value(0));
        });
    });
}

fn insert_fire<T: Fires>(group: &mut BenchmarkGroup<'_, WallTime>, size: u64) {
    let (mut timers, _, mut random) = armed::<T>(size);
    let mut now = 0;
    let mut again = Vec::new();
    group.bench_function(BenchmarkId::new(T::NAME, size), |bencher| {
        bencher.iter_custom(|timers_to_fire| {
            let mut fired = 0;
            let start = std::time::Instant::now();
            while fired < timers_to_fire {
                now += (SPREAD / size / 2).max(1);
                timers.fire(now, |value| again.push(value));
                fired += again.len() as u64;
                for value in again.drain(..) {
                    timers.insert(now + random.distance(), value);
                }
            }
            // A tick may fire more timers than were requested, so the time is scaled down.
            let share = u128::from(timers_to_fire) * start.elapsed().as_nanos() / u128::from(fired.max(1));
            Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
        });
    });
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insert+cancel");
    for size in sizes() {
        insert_cancel::<Wheel<Value>>(&mut group, size);
        insert_cancel::<Heap>(&mut group, size);
        insert_cancel::<Map>(&mut group, size);
        insert_cancel::<QuadWheel>(&mut group, size);
        insert_cancel::<TokioDelayQueue>(&mut group, size);
    }
    group.finish();
    let mut group = criterion.benchmark_group("replace");
    for size in sizes() {
        replace::<Wheel<Value>>(&mut group, size);
        replace::<Heap>(&mut group, size);
        replace::<Map>(&mut group, size);
        replace::<QuadWheel>(&mut group, size);
        replace::<TokioDelayQueue>(&mut group, size);
    }
    group.finish();
    let mut group = criterion.benchmark_group("insert+fire");
    for size in sizes() {
        insert_fire::<Wheel<Value>>(&mut group, size);
        insert_fire::<Heap>(&mut group, size);
        insert_fire::<Map>(&mut group, size);
        insert_fire::<QuadWheel>(&mut group, size);
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
