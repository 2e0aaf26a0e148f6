//! Where does the memory of tasks come from?
//!
//! Tasks come and go by the million, in few sizes, and often end on another thread than the one that made them: what general allocators
//! do worst. So a cell's memory is kept for the next task: first on a shelf of the thread, a batch at a time in a depot that
//! all threads share. What is kept is bounded, and the depot is emptied when the program rests.
//!
//! Each free block begins with a pointer to the next one. Sizes are rounded up to eight more than a multiple of sixteen, which is what fits
//! malloc's chunks.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

use parking_lot::Mutex;

/// Blocks that move between shelf and depot together.
const BATCH: usize = 64;
/// A shelf never holds more of one size.
const SHELF_MAX: usize = 2 * BATCH;
/// Larger cells come from the allocator and go back to it.
const CLASSES: usize = 33;
/// What the depot keeps of one size at the most, in bytes.
const DEPOT_BYTES: usize = 8 << 20;
/// Models and sanitizers must see each cell come and go.
const RECYCLES: bool = cfg!(not(any(selvedge_loom, selvedge_sanitize)));

/// Moves `value` into a room of its own.
#[inline]
pub(super) fn put<T>(value: T) -> NonNull<T> {
    let room = match class_of(Layout::new::<T>()) {
        Some(class) => SHELF
            .try_with(|shelf| shelf.take(class))
            .unwrap_or(None)
            .or_else(|| take_from_depot(class))
            .unwrap_or_else(|| allocate(layout_of(class))),
        None => allocate(Layout::new::<T>()),
    };
    let room = room.cast::<T>();
    // SAFETY: the room is ours alone, and has `T`'s size and alignment.
    unsafe { room.write(value) };
    room
}

/// Gives a room back.
///
/// # Safety
///
/// `room` must come from `put` with the same `T`, and what lies in it must have been dropped.
#[inline]
pub(super) unsafe fn free<T>(room: NonNull<T>) {
    let Some(class) = class_of(Layout::new::<T>()) else {
        // SAFETY: `put` allocated it with this layout.
        unsafe { dealloc(room.cast().as_ptr(), Layout::new::<T>()) };
        return;
    };
    // SAFETY: the caller gives the room away; it is large enough for a link.
    let block = unsafe { Block::new(room.cast()) };
    let mut block = Some(block);
    let _ = SHELF.try_with(|shelf| shelf.put(class, block.take().expect("put once")));
    // The thread is ending.
    if let Some(block) = block {
        block.release(class);
    }
}

/// Frees what the depot holds. Shelves keep theirs: they are small.
pub(crate) fn trim() {
    for (class, depot) in DEPOT.classes.iter().enumerate() {
        let batches = std::mem::take(&mut *depot.lock());
        for batch in batches {
            batch.release(class);
        }
    }
}

#[inline]
const fn class_of(layout: Layout) -> Option<usize> {
    let class = (layout.size() + 7) / 16;
    if RECYCLES && class > 0 && class < CLASSES && layout.align() <= 16 { Some(class) } else { None }
}

const fn layout_of(class: usize) -> Layout {
    match Layout::from_size_align(16 * class + 8, 16) {
        Ok(layout) => layout,
        Err(_) => panic!("sixteen is a power of two"),
    }
}

#[cold]
fn allocate(layout: Layout) -> NonNull<()> {
    // SAFETY: no layout here has size zero: a cell has a header.
    let room = unsafe { alloc(layout) };
    NonNull::new(room.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

/// A free block, which may be the first of a chain.
struct Block(NonNull<Link>);

struct Link {
    next: Option<Block>,
}

// SAFETY: a free block belongs to whoever holds this, and memory may be freed on any thread.
unsafe impl Send for Block {}

impl Block {
    /// # Safety
    ///
    /// `room` must be large enough for a link, aligned for it, and nobody else's.
    #[inline]
    unsafe fn new(room: NonNull<Link>) -> Self {
        Self(room)
    }

    #[inline]
    fn set_next(&self, next: Option<Block>) {
        // SAFETY: the block is ours, and a link has no destructor to run on what lay there.
        unsafe { self.0.write(Link { next }) };
    }

    #[inline]
    fn take_next(&self) -> Option<Block> {
        // SAFETY: the block is ours, and its link was written when it joined its chain; it is not read again before it is written.
        unsafe { self.0.read() }.next
    }

    /// Frees the chain.
    fn release(self, class: usize) {
        let mut block = Some(self);
        while let Some(one) = block {
            block = one.take_next();
            // SAFETY: all rooms of a class are allocated with its layout.
            unsafe { dealloc(one.0.cast().as_ptr(), layout_of(class)) };
        }
    }
}

/// A thread's free blocks.
struct Shelf(UnsafeCell<[Stack; CLASSES]>);

struct Stack {
    top: Option<Block>,
    len: usize,
}

std::thread_local! {
    static SHELF: Shelf = const { Shelf(UnsafeCell::new([const { Stack { top: None, len: 0 } }; CLASSES])) };
}

impl Shelf {
    #[inline]
    fn take(&self, class: usize) -> Option<NonNull<()>> {
        // SAFETY: a shelf is its thread's alone, and no method of it calls another one or foreign code while this lives.
        let stacks = unsafe { &mut *self.0.get() };
        let stack = &mut stacks[class];
        let block = stack.top.take()?;
        stack.top = block.take_next();
        stack.len -= 1;
        Some(block.0.cast())
    }

    #[inline]
    fn put(&self, class: usize, block: Block) {
        // SAFETY: as in `take`.
        let stacks = unsafe { &mut *self.0.get() };
        let stack = &mut stacks[class];
        block.set_next(stack.top.take());
        stack.top = Some(block);
        stack.len += 1;
        if stack.len < SHELF_MAX {
            return;
        }
        stack.len -= BATCH;
        let batch = split(&mut stack.top);
        // The shelf is let go: what follows may call the allocator, which is foreign code.
        put_into_depot(class, batch);
    }
}

/// Takes the upper blocks off, which are the ones touched last; the lower ones stay.
#[cold]
fn split(top: &mut Option<Block>) -> Block {
    let batch = top.take().expect("a full shelf is not empty");
    let mut last = Block(batch.0);
    for _ in 1..BATCH {
        last = last.peek_next().expect("a full shelf holds more than a batch");
    }
    *top = last.take_next();
    last.set_next(None);
    batch
}

impl Block {
    /// A second name for the next block. The caller must use only one of them.
    fn peek_next(&self) -> Option<Block> {
        // SAFETY: the block is ours and its link is written; reading it does not change the chain.
        let link = unsafe { self.0.as_ref() };
        link.next.as_ref().map(|next| Block(next.0))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for (class, stack) in self.0.get_mut().iter_mut().enumerate() {
            if let Some(block) = stack.top.take() {
                block.release(class);
            }
        }
    }
}

/// What threads leave to each other, in batches.
struct Depot {
    classes: [Mutex<Vec<Block>>; CLASSES],
}

static DEPOT: Depot = Depot { classes: [const { Mutex::new(Vec::new()) }; CLASSES] };

#[cold]
fn put_into_depot(class: usize, batch: Block) {
    let most = DEPOT_BYTES / (layout_of(class).size() * BATCH);
    let mut depot = DEPOT.classes[class].lock();
    if depot.len() < most {
        depot.push(batch);
        return;
    }
    drop(depot);
    batch.release(class);
}

/// Puts a batch on the thread's shelf and takes one block of it.
#[cold]
fn take_from_depot(class: usize) -> Option<NonNull<()>> {
    let batch = DEPOT.classes[class].lock().pop()?;
    let first = batch.0.cast();
    let rest = batch.take_next();
    let mut rest = Some(rest);
    let _ = SHELF.try_with(|shelf| shelf.restock(class, rest.take().expect("restocked once")));
    if let Some(Some(block)) = rest {
        block.release(class);
    }
    Some(first)
}

impl Shelf {
    /// Only for an empty stack.
    fn restock(&self, class: usize, blocks: Option<Block>) {
        // SAFETY: as in `take`.
        let stacks = unsafe { &mut *self.0.get() };
        stacks[class] = Stack { top: blocks, len: BATCH - 1 };
    }
}

#[cfg(all(test, not(any(selvedge_loom, selvedge_sanitize))))]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_reused_and_never_given_out_twice() {
        let mut rooms = std::collections::HashSet::new();
        for _ in 0..3 {
            let held: Vec<_> = (0..10 * BATCH as u64).map(|n| put([n; 13])).collect();
            let distinct: std::collections::HashSet<_> = held.iter().copied().collect();
            assert_eq!(distinct.len(), held.len());
            for (n, room) in held.iter().enumerate() {
                // SAFETY: the room is ours until it is freed below.
                assert_eq!(unsafe { room.as_ref() }, &[n as u64; 13]);
            }
            rooms.extend(distinct);
            for room in held {
                // SAFETY: it came from `put` with the same type, which has no destructor.
                unsafe { free(room) };
            }
        }
        assert!(rooms.len() <= 11 * BATCH, "each round used the rooms of the first one: {}", rooms.len());
    }

    #[test]
    fn rooms_change_threads_through_the_depot() {
        let rooms: Vec<_> = (0..10 * BATCH as u64).map(|n| SendPtr(put([n; 40]))).collect();
        std::thread::spawn(move || {
            for SendPtr(room) in rooms {
                // SAFETY: it came from `put` with the same type, which has no destructor.
                unsafe { free(room) };
            }
        })
        .join()
        .expect("no panic");
        let class = class_of(Layout::new::<[u64; 40]>()).expect("small enough");
        let taken = take_from_depot(class).expect("the other thread left more than its shelf holds");
        // SAFETY: it came out of the depot for this caller, has this size, and nothing lies in it.
        unsafe { free(taken.cast::<[u64; 40]>()) };
        trim();
        assert!(DEPOT.classes[class].lock().is_empty());
    }

    struct SendPtr(NonNull<[u64; 40]>);
    // SAFETY: the test hands each pointer to one thread.
    unsafe impl Send for SendPtr {}

    #[test]
    fn classes_fit() {
        for size in [1, 8, 9, 56, 104, 105, 520] {
            let layout = Layout::from_size_align(size, 8).expect("valid");
            if let Some(class) = class_of(layout) {
                assert!(layout_of(class).size() >= size && layout_of(class).size() < size + 16);
            }
        }
        assert_eq!(layout_of(class_of(Layout::new::<[u64; 13]>()).expect("small enough")).size(), 104);
    }
}
