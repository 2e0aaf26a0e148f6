//! Where does the memory of tasks come from?
//!
//! Tasks begin and end by the million, in few sizes, and often end on another thread than the one
//! that made them. General allocators handle this pattern worst. So a cell's memory is kept for the
//! next task: on a shelf of the thread, whose surplus moves in batches to a depot that all threads
//! share. Both are bounded; the depot is emptied when all workers are idle, and at `close`.
//!
//! Each free block holds a pointer to the next one, behind the words of a cell that stale pointers
//! lead to. A cell becomes a block only where that link is written, so an allocation that is on no
//! shelf cannot be freed through a link. Sizes are rounded up to a multiple of sixteen plus eight,
//! which fits malloc's chunks.
//!
//! Free blocks are poisoned for `AddressSanitizer`, so that it reports any access to a freed cell.
//! Only the link stays readable, because `LeakSanitizer` follows it.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

use parking_lot::Mutex;

/// The number of blocks that move between shelf and depot together.
const BATCH: usize = 64;
/// A shelf holds fewer blocks than this of each size.
const SHELF_MAX: usize = 2 * BATCH;
/// The number of size classes. Larger cells use the allocator directly.
const CLASSES: usize = 33;
/// The most bytes that the depot keeps of one size.
const DEPOT_BYTES: usize = 8 << 20;
/// The offset of a free block's link. It is not the offset of a cell's state word, because stale
/// pointers lead there.
const LINK: usize = 16;

/// Moves `value` into an allocation of its own.
#[inline]
pub(super) fn put<T>(value: T) -> NonNull<T> {
    let room = match class_of(Layout::new::<T>()) {
        Some(class) => take(class),
        None => allocate(Layout::new::<T>()),
    };
    let room = room.cast::<T>();
    // SAFETY: this function owns the allocation exclusively, and it has `T`'s size and alignment.
    unsafe { room.write(value) };
    room
}

/// Frees an allocation.
///
/// # Safety
///
/// `room` must come from `put` with the same `T`, and its value must have been dropped.
#[inline]
pub(super) unsafe fn free<T>(room: NonNull<T>) {
    let Some(class) = class_of(Layout::new::<T>()) else {
        // SAFETY: `put` allocated it with this layout.
        unsafe { dealloc(room.cast().as_ptr(), Layout::new::<T>()) };
        return;
    };
    let room = room.cast();
    // SAFETY: the caller gives up the allocation, and it has the size of its class.
    let shelved = SHELF.try_with(|shelf| shelf.put(class, unsafe { Room::new(room) }));
    if shelved.is_err() {
        // The thread is ending, and its shelf is gone. An allocation that is on no shelf has no
        // link: it is freed alone.
        //
        // SAFETY: all allocations of a class are made with its layout.
        unsafe { dealloc(room.cast().as_ptr(), layout_of(class)) };
    }
}

#[inline]
fn take(class: usize) -> NonNull<()> {
    let shelved = SHELF.try_with(|shelf| shelf.take(class).or_else(|| take_from_depot(shelf, class)));
    // A thread that is ending has no shelf and uses the allocator.
    let room = shelved.ok().flatten();
    room.map_or_else(|| allocate(layout_of(class)), |room| room.0)
}

/// Frees the depot's blocks, as long as `goes_on`. Shelves keep theirs: fewer than `SHELF_MAX` blocks
/// of each size.
pub(crate) fn trim(goes_on: impl Fn() -> bool) {
    for (class, depot) in DEPOT.classes.iter().enumerate() {
        while goes_on() {
            let Some(batch) = depot.lock().pop() else { break };
            batch.release(class);
        }
    }
}

#[inline]
const fn class_of(layout: Layout) -> Option<usize> {
    let class = (layout.size() + 7) / 16;
    if class > 0 && class < CLASSES && layout.align() <= 16 { Some(class) } else { None }
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

/// Memory for a cell of some class. It holds no value, and no other pointer to it exists.
struct Room(NonNull<()>);

/// An allocation that waits to be used again. Its link is written, so it may be the first of a
/// chain.
struct Block(NonNull<()>);

struct Link {
    next: Option<Block>,
}

// SAFETY: this value owns the free block, and memory may be freed on any thread.
unsafe impl Send for Block {}

impl Room {
    /// # Safety
    ///
    /// `room` must have the size and alignment of a class, and the caller must own it exclusively.
    #[inline]
    unsafe fn new(room: NonNull<()>) -> Self {
        Self(room)
    }

    /// The only way to make a block: its link is written here.
    #[inline]
    fn link(self, class: usize, next: Option<Block>) -> Block {
        poison::all_but_link(self.0, layout_of(class).size());
        let block = Block(self.0);
        block.set_next(next);
        block
    }
}

impl Block {
    #[inline]
    fn link(&self) -> NonNull<Link> {
        // SAFETY: the smallest class has space for a link at this offset.
        unsafe { self.0.byte_add(LINK) }.cast()
    }

    #[inline]
    fn set_next(&self, next: Option<Block>) {
        // SAFETY: this value owns the block, and overwriting a link needs no destructor.
        unsafe { self.link().write(Link { next }) };
    }

    #[inline]
    fn take_next(&self) -> Option<Block> {
        // SAFETY: this value owns the block, and its link was written when it was made; it is not
        // read again before it is written.
        unsafe { self.link().read() }.next
    }

    /// Removes the block from its chain.
    #[inline]
    fn unlink(self, class: usize) -> (Room, Option<Block>) {
        let next = self.take_next();
        poison::nothing(self.0, layout_of(class).size());
        (Room(self.0), next)
    }

    /// Frees the chain.
    fn release(self, class: usize) {
        let mut block = Some(self);
        while let Some(one) = block {
            let (room, next) = one.unlink(class);
            // SAFETY: all allocations of a class are made with its layout.
            unsafe { dealloc(room.0.cast().as_ptr(), layout_of(class)) };
            block = next;
        }
    }
}

/// Without `AddressSanitizer` nothing is poisoned.
#[cfg(not(selvedge_asan))]
mod poison {
    use std::ptr::NonNull;

    #[inline]
    pub(super) fn all_but_link(_room: NonNull<()>, _size: usize) {}

    #[inline]
    pub(super) fn nothing(_room: NonNull<()>, _size: usize) {}
}

#[cfg(selvedge_asan)]
mod poison {
    use std::ffi::c_void;
    use std::ptr::NonNull;

    use super::{LINK, Link};

    unsafe extern "C" {
        fn __asan_poison_memory_region(address: *const c_void, size: usize);
        fn __asan_unpoison_memory_region(address: *const c_void, size: usize);
        #[cfg(test)]
        fn __asan_address_is_poisoned(address: *const c_void) -> std::ffi::c_int;
    }

    /// The link stays readable: through it `LeakSanitizer` finds the rest of a chain.
    pub(super) fn all_but_link(room: NonNull<()>, size: usize) {
        let room = room.as_ptr().cast::<c_void>();
        let behind = LINK + size_of::<Link>();
        // SAFETY: the caller's allocation has this size; only the sanitizer's shadow memory
        // changes.
        unsafe { __asan_poison_memory_region(room, LINK) };
        // SAFETY: as above.
        let rest = unsafe { room.byte_add(behind) };
        // SAFETY: as above.
        unsafe { __asan_poison_memory_region(rest, size - behind) };
    }

    pub(super) fn nothing(room: NonNull<()>, size: usize) {
        // SAFETY: as above.
        unsafe { __asan_unpoison_memory_region(room.as_ptr().cast(), size) };
    }

    #[cfg(test)]
    pub(super) fn is_poisoned(room: NonNull<()>, at: usize) -> bool {
        // SAFETY: this only reads the sanitizer's shadow memory.
        unsafe { __asan_address_is_poisoned(room.as_ptr().cast::<c_void>().wrapping_byte_add(at)) != 0 }
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
    fn take(&self, class: usize) -> Option<Room> {
        // SAFETY: a shelf belongs to its thread alone, and no method of it calls another one or
        // foreign code while this reference lives.
        let stacks = unsafe { &mut *self.0.get() };
        let stack = &mut stacks[class];
        let (room, rest) = stack.top.take()?.unlink(class);
        stack.top = rest;
        stack.len -= 1;
        Some(room)
    }

    #[inline]
    fn put(&self, class: usize, room: Room) {
        // SAFETY: as in `take`.
        let stacks = unsafe { &mut *self.0.get() };
        let stack = &mut stacks[class];
        stack.top = Some(room.link(class, stack.top.take()));
        stack.len += 1;
        if stack.len < SHELF_MAX {
            return;
        }
        stack.len -= BATCH;
        let batch = split(&mut stack.top);
        // The shelf is no longer borrowed: what follows may call the allocator, which is foreign
        // code.
        put_into_depot(class, batch);
    }
}

/// Removes the upper blocks, which were used last; the lower ones stay.
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
    /// A second pointer to the next block. The caller must use only one of the two.
    fn peek_next(&self) -> Option<Block> {
        // SAFETY: this value owns the block, and its link is written; reading it does not change
        // the chain.
        let link = unsafe { self.link().as_ref() };
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

/// The blocks that threads pass to each other, in batches.
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

/// Puts a batch on the thread's shelf, whose stack for this size is empty, and takes one block of
/// it.
#[cold]
fn take_from_depot(shelf: &Shelf, class: usize) -> Option<Room> {
    let batch = DEPOT.classes[class].lock().pop()?;
    let (room, rest) = batch.unlink(class);
    shelf.restock(class, rest);
    Some(room)
}

impl Shelf {
    /// Only for an empty stack.
    fn restock(&self, class: usize, blocks: Option<Block>) {
        // SAFETY: as in `take`.
        let stacks = unsafe { &mut *self.0.get() };
        stacks[class] = Stack { top: blocks, len: BATCH - 1 };
    }
}

#[cfg(all(test, not(selvedge_loom)))]
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
                // SAFETY: the test owns the allocation until it frees it below.
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
        let taken = SHELF.with(|shelf| take_from_depot(shelf, class));
        let taken = taken.expect("the other thread left more than its shelf holds");
        // SAFETY: it was taken from the depot for this caller, has this size, and holds no value.
        unsafe { free(taken.0.cast::<[u64; 40]>()) };
        trim(|| true);
        assert!(DEPOT.classes[class].lock().is_empty());
    }

    struct SendPtr(NonNull<[u64; 40]>);
    // SAFETY: the test hands each pointer to one thread.
    unsafe impl Send for SendPtr {}

    /// One allocation is freed when the thread's shelf is gone, and one is made then.
    #[test]
    fn a_thread_that_is_ending_has_no_shelf_and_needs_none() {
        struct Late(Option<NonNull<[u64; 13]>>);

        impl Drop for Late {
            fn drop(&mut self) {
                if let Some(room) = self.0 {
                    assert!(SHELF.try_with(|_| ()).is_err(), "this destructor was registered first");
                    // SAFETY: it came from `put` with the same type, which has no destructor.
                    unsafe { free(room) };
                    let taken = put([2_u64; 13]);
                    // SAFETY: as above.
                    unsafe { free(taken) };
                }
            }
        }

        std::thread_local! {
            static LATE: std::cell::RefCell<Late> = const { std::cell::RefCell::new(Late(None)) };
        }
        let ending = || LATE.with(|late| late.borrow_mut().0 = Some(put([1_u64; 13])));
        // A batch in the depot must not be split for it.
        put_into_depot(class_of(Layout::new::<[u64; 13]>()).expect("small enough"), a_batch());
        std::thread::spawn(ending).join().expect("no panic");
    }

    fn a_batch() -> Block {
        let class = class_of(Layout::new::<[u64; 13]>()).expect("small enough");
        let room = || {
            // SAFETY: the allocation is new, and has the layout of the class.
            unsafe { Room::new(allocate(layout_of(class))) }
        };
        let chain = (0..BATCH).fold(None, |chain, _| Some(room().link(class, chain)));
        chain.expect("a batch is not empty")
    }

    #[cfg(selvedge_asan)]
    #[test]
    fn what_lies_in_a_free_room_is_out_of_bounds() {
        let room = put([1_u64; 13]).cast();
        assert!((0..104).all(|at| !poison::is_poisoned(room, at)));
        // SAFETY: it came from `put` with the same type, which has no destructor.
        unsafe { free(room.cast::<[u64; 13]>()) };
        assert!((0..104).all(|at| poison::is_poisoned(room, at) != (LINK..LINK + 8).contains(&at)));
        let again = put([1_u64; 13]);
        assert_eq!(again.cast(), room);
        assert!((0..104).all(|at| !poison::is_poisoned(room, at)));
        // SAFETY: as above.
        unsafe { free(again) };
    }

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
