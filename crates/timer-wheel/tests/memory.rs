//! How much memory does a timer take, and does a cancelled one return it?
//!
//! These tests are a separate binary, because they replace the allocator. They count per thread,
//! because the test harness allocates at any time.
#![allow(missing_docs, clippy::cast_precision_loss, clippy::cast_possible_truncation)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::Waker;

use selvedge_timer_wheel::{Key, Wheel};

struct Counting;

thread_local! {
    /// Negative if the thread frees what other threads allocated.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is passed unchanged to the system's allocator; the counter neither allocates
// nor touches memory that is handed out.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get().wrapping_add_unsigned(layout.size()));
        // SAFETY: the caller's obligations are those of this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get().wrapping_sub_unsigned(layout.size()));
        // SAFETY: the caller's obligations are those of this call, and `pointer` came from `System`
        // in `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const TIMERS: u64 = 100_000;

fn held() -> isize {
    BYTES.get()
}

/// A spread of deadlines over seconds to minutes in ticks of some µs.
fn deadline(i: u64) -> u64 {
    i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

fn bytes_per_timer<T>(value: impl Fn() -> T) -> f64 {
    let before = held();
    let mut wheel = Wheel::new(0);
    assert_eq!(held(), before, "a new wheel allocates nothing");
    wheel.insert(1_000, value());
    let idle = held() - before;
    assert!(idle < 4096, "one timer takes {idle} bytes");
    for i in 1..TIMERS {
        wheel.insert(deadline(i), value());
    }
    let bytes = held() - before;
    drop(wheel);
    assert_eq!(held(), before, "a dropped wheel leaves nothing behind");
    bytes as f64 / TIMERS as f64
}

fn churn_needs_no_more_room() {
    let mut wheel = Wheel::new(0);
    let mut keys: Vec<Key> = (0..TIMERS).map(|i| wheel.insert(deadline(i), i)).collect();
    let before = held();
    for i in 0..TIMERS {
        // Many timers leave before many come, so the wheel must have remembered every freed node.
        let first = (i * 7_919 % TIMERS) as usize;
        let few = &mut keys[first..(first + 10).min(TIMERS as usize)];
        for &key in &*few {
            assert!(wheel.cancel(key).is_some());
        }
        few.fill_with(|| wheel.insert(deadline(i), i));
        wheel.reschedule(few[0], deadline(i + 1));
    }
    assert_eq!(held(), before, "the room of a cancelled timer is used again");
}

#[test]
fn memory() {
    let waker = bytes_per_timer(|| Waker::noop().clone());
    let plain = bytes_per_timer(|| [0_u64; 2]);
    println!("bytes per timer: {waker:.2} with a Waker, {plain:.2} with 16 bytes that have no niche");
    assert!(waker <= 48.0);
    assert!(plain <= 49.0);
    churn_needs_no_more_room();
}
