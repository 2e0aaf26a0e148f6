//! How many bytes of heap are in use?
//!
//! A global allocator that forwards to the system's and counts while counting is on. The timed rows
//! run with counting off: then it costs one load and one branch per call, the same for every
//! runtime.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

// Relaxed throughout: the counters publish nothing. `in_use` is read when no other thread
// allocates.
static COUNTING: AtomicBool = AtomicBool::new(false);
static IN_USE: AtomicIsize = AtomicIsize::new(0);

/// Install it with `#[global_allocator]` in the binary that calls [`in_use`].
pub struct Counting;

/// Starts to count. Counting cannot be switched off: a process that counts does no timing.
pub fn start_counting() {
    COUNTING.store(true, Relaxed);
}

/// Bytes allocated and not freed since [`start_counting`]. A block counts with the size that
/// `malloc` returns for it, which may be larger than the requested size.
pub fn in_use() -> isize {
    IN_USE.load(Relaxed)
}

/// The usable size of a block from glibc's `malloc`, which adds a word in front and rounds up to
/// two words, at least four. The size is computed by this rule, so that the rows do not depend on
/// the machine's allocator. Alignment counts only where it rounds up the size.
fn usable_size(bytes: usize) -> isize {
    const WORD: usize = size_of::<usize>();
    ((bytes + WORD).next_multiple_of(2 * WORD).max(4 * WORD) - WORD).cast_signed()
}

fn count(taken: usize, returned: usize) {
    if COUNTING.load(Relaxed) {
        let size = |bytes| if bytes == 0 { 0 } else { usable_size(bytes) };
        IN_USE.fetch_add(size(taken) - size(returned), Relaxed);
    }
}

// SAFETY: every call is forwarded unchanged to `System`, which keeps the contract; counting neither
// allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's obligations are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's obligations are those of `System`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: `block` came from `System` with this layout, because all blocks do.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, layout.size());
        // SAFETY: `block` came from `System` with this layout, because all blocks do.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
