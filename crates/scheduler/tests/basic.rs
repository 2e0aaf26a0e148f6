//! Do tasks run, can they be joined, and do they end with the scheduler?
#![allow(missing_docs)]

mod common;

use common::{End, block_on, end, join, run, spawn, spawn_here, start, with_workers, yield_now};
use std::time::Duration;

#[test]
fn smoke() {
    for workers in [1, 2, 8] {
        assert_eq!(with_workers(workers, async { 40 + 2 }), 42);
    }
}

#[test]
fn many_tasks_are_all_joined() {
    for workers in [1, 2, 4] {
        let sum = with_workers(workers, async {
            let handles: Vec<_> = (0..20_000u64).map(|n| spawn_here(async move { n })).collect();
            let mut sum = 0;
            for handle in handles {
                sum += join(handle).await;
            }
            sum
        });
        assert_eq!(sum, 19_999 * 20_000 / 2);
    }
}

#[test]
fn yields_come_back() {
    let done = with_workers(2, async {
        let handles: Vec<_> = (0..100)
            .map(|_| {
                spawn_here(async {
                    for _ in 0..1000 {
                        yield_now().await;
                    }
                    1
                })
            })
            .collect();
        let mut done = 0;
        for handle in handles {
            done += join(handle).await;
        }
        done
    });
    assert_eq!(done, 100);
}

#[test]
fn suspended_tasks_end_when_the_scheduler_closes() {
    let scheduler = start(2);
    let handles: Vec<_> = (0..1000).map(|_| spawn(&scheduler, std::future::pending::<()>())).collect();
    run(&scheduler, yield_now());
    assert_eq!(scheduler.close(Duration::from_secs(20)), []);
    for handle in handles {
        assert_eq!(block_on(end(handle)), End::Closed);
    }
    assert_eq!(block_on(end(spawn(&scheduler, async {}))), End::Closed);
}
