//! Does memory return to where it was? This is a binary of its own, because the allocator counts
//! for the whole process, and one test, because tests run side by side.
#![allow(missing_docs)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::poll_fn;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::Poll;

use common::{End, block_on, close, end, join, run, spawn, spawn_here, start, threads, yield_now};
use selvedge_scheduler::{Scheduler, Timer};

struct Counting;

impl Counting {
    #[expect(clippy::cast_possible_wrap, reason = "the size of a layout is at most isize::MAX")]
    fn size(layout: Layout) -> isize {
        layout.size() as isize
    }
}

static BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(Self::size(layout), Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.fetch_sub(Self::size(layout), Ordering::Relaxed);
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn bytes() -> isize {
    BYTES.load(Ordering::Relaxed)
}

/// Tasks that are joined, detached, woken, and left suspended with timers. A quarter of the timers
/// fires.
fn churn(scheduler: &Scheduler) {
    run(scheduler, async {
        let tasks: Vec<_> = (0..1_000u64)
            .map(|n| {
                spawn_here(async move {
                    yield_now().await;
                    let now = Scheduler::with_current(|scheduler| scheduler.expect("on a worker").now());
                    let mut timer = Timer::new();
                    let far = now + 1_000_000_000 * (n + 1);
                    poll_fn(|cx| {
                        let deadline = if n % 4 == 0 { now + n } else { far };
                        let polled = timer.poll(deadline, cx);
                        if n % 4 == 0 { polled } else { Poll::Ready(Ok(())) }
                    })
                    .await
                    .expect("on a worker");
                    vec![n; 100]
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            if n % 2 == 0 {
                join(task).await;
            }
        }
    });
    while scheduler.live_tasks() > 0 {
        run(scheduler, yield_now());
    }
    assert_eq!(scheduler.metrics().timers_armed, 0);
}

/// A scheduler from start to end, with tasks that never end by themselves.
fn cycle() {
    let scheduler = start(2);
    let left: Vec<_> = (0..100)
        .map(|n| {
            spawn(&scheduler, async move {
                let mut timer = Timer::new();
                poll_fn(|cx| timer.poll(u64::MAX - 1 - n, cx)).await.expect("on a worker");
            })
        })
        .collect();
    run(&scheduler, async {
        for _ in 0..50 {
            join(spawn_here(yield_now())).await;
        }
    });
    scheduler.spawn_blocking(Box::new(|| {})).expect("a thread");
    close(&scheduler);
    for handle in left {
        assert_eq!(block_on(end(handle)), End::Closed);
    }
}

/// Of so many stretches of rounds, one must be flat.
const STRETCHES: usize = 6;

/// A leak grows with each round, and so in every stretch. Queues and slabs keep their memory and
/// grow until the largest number of tasks has been there at once, which depends on how the threads
/// meet.
fn assert_flat(what: &str, rounds: usize, slack: isize, mut round: impl FnMut()) {
    (0..rounds).for_each(|_| round());
    let mut growth = Vec::new();
    for _ in 0..STRETCHES {
        let before = bytes();
        (0..2 * rounds).for_each(|_| round());
        let mut grown = bytes() - before;
        // Threads that are about to end still hold some memory.
        for _ in 0..1_000 {
            if grown <= slack {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            grown = bytes() - before;
        }
        growth.push(grown);
    }
    panic!("{what}: every {} rounds bring more bytes: {growth:?}", 2 * rounds);
}

#[test]
fn memory_returns_to_its_baseline() {
    let scheduler = start(2);
    // If one task were lost per round, that would be more than 800 bytes times the rounds.
    assert_flat("churn", 30, 16_000, || churn(&scheduler));
    close(&scheduler);
    drop(scheduler);
    // A scheduler is far larger than the slack divided by the rounds.
    assert_flat("schedulers", 100, 16_000, cycle);
    assert!(threads() <= 8);
}
