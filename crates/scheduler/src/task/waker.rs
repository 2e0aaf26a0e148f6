//! How does `std::task::Waker` reach a task?

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::Header;
use super::state::Wake;
use super::{Runnable, TaskRef, Why, current};

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// A waker for the duration of a poll. It uses the runner's right to the cell instead of counting a
/// reference.
///
/// # Safety
///
/// `task` must stay valid as long as the result is used.
#[inline]
pub(super) unsafe fn borrowed(task: NonNull<Header>) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(task.as_ptr().cast_const().cast(), &VTABLE);
    // SAFETY: the functions below keep `RawWakerVTable`'s contract, and the caller keeps the cell
    // alive; the result is never dropped, so no reference is given back that was not taken.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

/// Schedules `task` for one more poll.
///
/// # Safety
///
/// `task` must be valid (rule *Alive*).
#[inline]
pub(super) unsafe fn wake_task(task: NonNull<Header>) {
    if current::wake_if_current(task) {
        return;
    }
    // SAFETY: the caller guarantees that the cell is valid.
    let header = unsafe { task.as_ref() };
    match header.state.wake() {
        Wake::Submit { has_weight } => {
            // SAFETY: `wake` has given the caller the right to poll.
            unsafe { submit(task, Why::Woken { has_weight }) };
        }
        Wake::Nothing => {}
    }
}

/// Queues a task.
///
/// # Safety
///
/// The caller holds the right to poll `task`, and gives it up.
#[inline]
pub(super) unsafe fn submit(task: NonNull<Header>, why: Why) {
    // SAFETY: the task is not complete (rule *Runner*), so its cell is valid.
    let header = unsafe { task.as_ref() };
    let home = header.home;
    // SAFETY: rule *Home*.
    let (scheduler, schedule_here) = unsafe { home.scheduler() };
    // SAFETY: the right to poll becomes the runnable.
    let runnable = unsafe { Runnable::from_raw(task) };
    let Err(runnable) = schedule_here(scheduler, runnable, why) else { return };
    // A thread that is not a worker of that scheduler takes a reference to it while it notifies:
    // the task may run, complete and hold the last reference before that. Without a scheduler the
    // task is dropped, which cancels it.
    //
    // SAFETY: rule *Home*; this function holds the right to poll again.
    let shard = unsafe { home.shard() };
    // SAFETY: as above.
    let shard = unsafe { shard.as_ref() };
    match shard.owner().upgrade() {
        Some(owner) => owner.schedule(runnable, why),
        None => drop(runnable),
    }
}

/// As [`wake_task`], and drops a reference: mostly in one step.
///
/// # Safety
///
/// The caller owns a reference to `task`, and gives it up.
#[inline]
pub(super) unsafe fn wake_and_unref(task: NonNull<Header>) {
    if !current::wake_if_current(task) {
        // SAFETY: the caller owns a reference.
        let header = unsafe { task.as_ref() };
        match header.state.wake_and_unref() {
            Some(Wake::Submit { has_weight }) => {
                // SAFETY: as in `wake_task`; the right to poll keeps the task from completing, and
                // so the cell valid.
                return unsafe { submit(task, Why::Woken { has_weight }) };
            }
            Some(Wake::Nothing) => return,
            // SAFETY: the caller's reference is not given up yet.
            None => unsafe { wake_task(task) },
        }
    }
    // SAFETY: the caller's reference, given up here.
    drop(unsafe { TaskRef::from_raw(task) });
}

/// The task that `waker` wakes, if it is a task of this crate.
#[inline]
pub(super) fn task_of(waker: &Waker) -> Option<NonNull<Header>> {
    // A static has one address, so the comparison is exact.
    if std::ptr::eq(waker.vtable(), &raw const VTABLE) {
        NonNull::new(waker.data().cast_mut().cast::<Header>())
    } else {
        None
    }
}

/// Identifies tasks by their wakers; zero for a waker of anything else.
#[inline]
pub(crate) fn address_of(waker: &Waker) -> usize {
    task_of(waker).map_or(0, |task| task.addr().get())
}

/// Prefetches the memory of the task that `waker` wakes, which has been idle for some time. A
/// caller that is about to wake many tasks, each a cache miss, can wait for all misses at once
/// instead of one after the other.
#[inline]
pub(crate) fn prefetch(waker: &Waker) {
    /// Header, slot and most futures.
    const LINES: usize = 3;
    #[cfg(target_arch = "x86_64")]
    if let Some(task) = task_of(waker) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for line in 0..LINES {
            // SAFETY: a prefetch is a hint and may name any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(task.as_ptr().cast::<i8>().wrapping_add(64 * line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (waker, LINES);
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: a waker's data is the pointer it was made from, and the waker keeps the cell alive.
    let task = unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header>()) };
    // SAFETY: as above.
    unsafe { task.as_ref() }.state.add_ref();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: a waker's data is the pointer it was made from.
    let task = unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header>()) };
    // SAFETY: `wake` takes the waker by value, so its reference is given up here.
    unsafe { wake_and_unref(task) };
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: a waker's data is the pointer it was made from.
    let task = unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header>()) };
    // SAFETY: the waker keeps the cell alive.
    unsafe { wake_task(task) };
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: a waker's data is the pointer it was made from.
    let task = unsafe { NonNull::new_unchecked(data.cast_mut().cast::<Header>()) };
    // SAFETY: the waker's reference becomes the `TaskRef`, which gives it back.
    drop(unsafe { TaskRef::from_raw(task) });
}
