//! What happens around a poll: how are panics caught, and how does a task end?

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::alloc;
use super::cell::{Cell, Header, Stage};
use super::join_waker::JoinWaker;
use super::state::{EndPoll, Unref};
use super::{Outcome, PollEnd, Slot, TaskRef, current, waker};
use crate::contain::silently;

/// What the holder of the right to poll must do after a poll.
#[must_use]
pub(super) enum Polled {
    /// The right is used up: the task waits to be woken, or is complete.
    Done,
    /// The right is still there: the task must be queued again.
    Requeue,
}

/// # Safety
///
/// `task` must be a `Cell<F, S>`, and the caller must hold the right to poll it.
pub(super) unsafe fn poll<F, S>(task: NonNull<Header>, end: &dyn PollEnd) -> Polled
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    // SAFETY: the caller names the type, and rule *Runner* keeps the cell valid.
    let cell = unsafe { task.cast::<Cell<F, S>>().as_ref() };
    let state = &cell.header.state;
    let seen = state.begin_poll();
    let entered = current::Enter::new(task);
    // SAFETY: the waker is used during this poll only, in which the task is not complete.
    let waker = unsafe { waker::borrowed(task) };
    let mut cx = Context::from_waker(&waker);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: rule *Runner*: no other thread accesses the stage, and it holds the future.
        cell.stage.with_mut(|stage| unsafe { poll_future(stage, &mut cx) })
    }));
    // SAFETY: the task is not complete before this function completes it; the reference is never
    // given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    if end.is_notable() {
        end.note(&this);
    }
    // Nothing that follows may unwind: the task would be left without an output.
    let output = match polled {
        Ok(Poll::Pending) => {
            if entered.woke_itself() {
                if seen.is_first_poll() {
                    state.end_first_poll();
                }
                return Polled::Requeue;
            }
            drop(entered);
            return match state.end_poll(seen) {
                EndPoll::Idle => Polled::Done,
                EndPoll::Requeue => Polled::Requeue,
            };
        }
        Ok(Poll::Ready(output)) => output,
        Err(payload) => or_abort(|| F::Output::panicked(&this, payload)),
    };
    // SAFETY: this function still holds the right to poll, and the future has ended.
    unsafe { finish::<F, S>(task, output, entered) };
    Polled::Done
}

/// # Safety
///
/// `stage` must hold the future, pinned there, and the caller must have exclusive access.
#[inline]
unsafe fn poll_future<F: Future>(stage: *mut Stage<F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    // SAFETY: the caller guarantees that the pointer is valid.
    let stage = unsafe { &mut *stage };
    // SAFETY: the caller guarantees that the stage holds the future.
    let future = unsafe { &mut stage.future };
    // SAFETY: a cell never moves, and its future is dropped in place.
    unsafe { Pin::new_unchecked(&mut **future) }.poll(cx)
}

/// # Safety
///
/// As for [`poll`].
pub(super) unsafe fn cancel<F, S>(task: NonNull<Header>)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    let entered = current::Enter::new(task);
    // SAFETY: the task is not complete; the reference is never given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    let output = or_abort(|| F::Output::closed(&this));
    // SAFETY: the caller is the runner, and the future has not been dropped.
    unsafe { finish::<F, S>(task, output, entered) };
}

/// Drops the future, puts the output in its place, and wakes the awaiter.
///
/// # Safety
///
/// As for [`poll`]; the right to poll is used up.
unsafe fn finish<F, S>(task: NonNull<Header>, output: F::Output, entered: current::Enter)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    // SAFETY: the caller names the type; the runtime's reference is dropped only at the end of this
    // function.
    let cell = unsafe { task.cast::<Cell<F, S>>().as_ref() };
    let header = &cell.header;
    // SAFETY: the runtime's reference is held to the end of this function; this one is never given
    // back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: rule *Runner*; the future is not used after this.
        cell.stage.with_mut(|stage| unsafe { drop_future(stage) });
    }));
    let output = match dropped {
        Ok(()) => output,
        // If the future's destructor panics, the task ends with that panic instead of its result.
        Err(payload) => {
            silently(|| drop(output));
            or_abort(|| F::Output::panicked(&this, payload))
        }
    };
    // SAFETY: rule *Home*: this function holds the right to poll, and the task is still registered.
    let shard = unsafe { header.home.shard() };
    // SAFETY: as above.
    let shard = unsafe { shard.as_ref() };
    // SAFETY: as above; the task is removed once, here.
    unsafe { shard.remove(header.home) };

    if header.state.load().has_handle() {
        cell.stage.with_mut(|stage| {
            // SAFETY: rule *Runner*: no other thread accesses the stage.
            let stage = unsafe { &mut *stage };
            // The future has been dropped: the write overwrites no value that needs a drop.
            stage.output = ManuallyDrop::new(output);
        });
        if header.state.complete_quietly() {
            return;
        }
        // SAFETY: the output is in place, and the runtime's reference is still held.
        unsafe { complete_loudly::<F, S>(cell, task) };
    } else {
        silently(|| output.abandoned(&this));
        let before = header.state.complete();
        notify_slot(&cell.slot, before.is_watched(), &this);
    }
    // The slot's destructor is foreign code, which may read the current task: it must not be this
    // one, whose cell is being freed.
    drop(entered);
    // SAFETY: the runtime's reference, which ends with the task.
    drop(unsafe { TaskRef::from_raw(task) });
}

/// Completes a task whose output is in place while an awaiter or watcher exists, or while its
/// handle is being dropped.
///
/// # Safety
///
/// The caller is the runner and holds the runtime's reference.
unsafe fn complete_loudly<F, S>(cell: &Cell<F, S>, task: NonNull<Header>)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    let before = cell.header.state.complete();
    if before.has_join_waker() {
        // SAFETY: rule *Join waker*: the flag no longer changes, and the caller is the runner.
        cell.header.join_waker.with(|waker| unsafe { wake_joiner(waker) });
    }
    if !before.has_handle() {
        // SAFETY: the handle was dropped before the task completed, so the output stayed the
        // runner's.
        unsafe { abandon::<F, S>(task) };
    }
    // SAFETY: the runtime's reference is still held; this one is never given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    notify_slot(&cell.slot, before.is_watched(), &this);
}

fn notify_slot<S: Slot>(slot: &S, watched: bool, task: &TaskRef) {
    if watched {
        silently(|| slot.completed(task));
    }
}

/// # Safety
///
/// `waker` must be readable; otherwise as for [`JoinWaker::wake`].
unsafe fn wake_joiner(waker: *const JoinWaker) {
    // SAFETY: the caller guarantees it.
    let waker = unsafe { &*waker };
    // SAFETY: the caller is the runner, and calls this once.
    silently(|| unsafe { waker.wake() });
}

/// # Safety
///
/// `stage` must hold the future, and the caller must have exclusive access.
unsafe fn drop_future<F: Future>(stage: *mut Stage<F>) {
    // SAFETY: the caller guarantees that the pointer is valid.
    let stage = unsafe { &mut *stage };
    // SAFETY: the caller guarantees that the stage holds the future.
    let future = unsafe { &mut stage.future };
    // SAFETY: the caller guarantees that the stage holds the future, and does not use it again.
    unsafe { ManuallyDrop::drop(future) };
}

/// # Safety
///
/// `task` must be a `Cell<F, S>` whose stage holds the output, and the output must belong to the
/// caller. The output no longer exists afterwards.
pub(super) unsafe fn abandon<F, S>(task: NonNull<Header>)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    // SAFETY: the caller names the type.
    let room = unsafe { output::<F, S>(task) }.cast::<F::Output>();
    // SAFETY: the caller guarantees the output, which is moved out of the stage here.
    let output = unsafe { room.read() };
    // SAFETY: the caller keeps the cell alive; this reference is never given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    silently(|| output.abandoned(&this));
}

/// # Safety
///
/// `task` must be a `Cell<F, S>`.
pub(super) unsafe fn output<F: Future, S: Slot>(task: NonNull<Header>) -> NonNull<()> {
    // SAFETY: the caller names the type.
    let cell = unsafe { task.cast::<Cell<F, S>>().as_ref() };
    // The fields of a union are at its beginning.
    cell.stage.with_mut(|stage| NonNull::new(stage.cast()).expect("a field has an address"))
}

/// # Safety
///
/// `task` must be a `Cell<F, S>` to which no reference is left, and whose stage is empty.
pub(super) unsafe fn dealloc<F: Future, S: Slot>(task: NonNull<Header>) {
    let cell = task.cast::<Cell<F, S>>();
    // SAFETY: no other thread can reach the cell.
    let header = unsafe { &mut *task.as_ptr() };
    if header.state.load().has_join_waker() {
        // SAFETY: as above. Because the flag is set, the task's runner has woken the awaiter.
        header.join_waker.with_mut(|waker| unsafe { &mut *waker }.forget_task());
    }
    #[cfg(selvedge_loom)]
    // SAFETY: as below.
    unsafe {
        super::model::seal(cell);
    }
    // SAFETY: the cell is valid and no other thread can reach it. The drops of its stage and of the
    // handle's data do nothing.
    silently(|| unsafe { cell.drop_in_place() });
    // SAFETY: `new_task` made the allocation with `alloc::put`, and its value has been dropped.
    unsafe { alloc::free(cell) };
}

/// Makes an output. If that panics, the task would have no end and its awaiter would wait for ever,
/// so the process is aborted.
fn or_abort<R>(make: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| {
        eprintln!("selvedge: `Outcome::panicked` or `Outcome::closed` panicked, which they must not");
        std::process::abort()
    })
}

/// Drops a reference, and with the last one the cell.
///
/// # Safety
///
/// The caller owns a reference to `task`, and gives it up.
#[inline]
pub(super) unsafe fn drop_ref(task: NonNull<Header>) {
    // SAFETY: rule *Alive*.
    let header = unsafe { task.as_ref() };
    let vtable = header.vtable;
    match header.state.drop_ref() {
        // SAFETY: no reference is left, so neither the runtime nor a handle has one: the stage is
        // empty.
        Unref::Dealloc => unsafe { (vtable.dealloc)(task) },
        Unref::Nothing => {}
    }
}
