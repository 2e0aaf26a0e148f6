//! How are the runtimes compared in criterion? One criterion group per row, with one function per
//! runtime.

use std::time::Duration;

use criterion::{Criterion, Throughput as Elements};
use selvedge_benches::rival::Rival;
#[cfg(feature = "selvedge")]
use selvedge_benches::rivals::Selvedge;
use selvedge_benches::rivals::{AsyncExecutor, Tokio};
use selvedge_benches::workloads::Throughput;

/// The number of workers for which the targets hold.
const WORKERS: usize = 2;

pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

pub(crate) fn group<W: Throughput>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(W::ROW.name);
    group.throughput(Elements::Elements(W::UNITS));
    #[cfg(feature = "selvedge")]
    bench::<W, Selvedge>(&mut group);
    bench::<W, Tokio>(&mut group);
    bench::<W, AsyncExecutor>(&mut group);
    group.finish();
}

fn bench<W: Throughput, R: Rival>(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
) {
    let runtime = R::start(WORKERS);
    group.bench_function(R::NAME, |bencher| {
        bencher.iter_custom(|passes| (0..passes).map(|_| W::pass(&runtime, W::UNITS)).sum());
    });
}
