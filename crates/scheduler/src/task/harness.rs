//! What happens around a poll: the future's turn, its panic, its end?

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

/// What a poll leaves to the holder of the right to poll.
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
    // SAFETY: used during this poll only, in which the task is not complete.
    let waker = unsafe { waker::borrowed(task) };
    let mut cx = Context::from_waker(&waker);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: rule *Runner*: nobody else touches the stage, and it holds the future.
        cell.stage.with_mut(|stage| unsafe { poll_future(stage, &mut cx) })
    }));
    // SAFETY: the task is not complete before this function says so; the reference is never given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    if end.is_notable() {
        end.note(&this);
    }
    // Nothing that follows may unwind: there would be no output to tell of it.
    let output = match polled {
        Ok(Poll::Pending) => {
            if entered.woke_itself() {
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
    // SAFETY: still the runner; the future has ended.
    unsafe { finish::<F, S>(task, output, entered) };
    Polled::Done
}

/// # Safety
///
/// `stage` must hold the future, pinned there, and be the caller's alone.
#[inline]
unsafe fn poll_future<F: Future>(stage: *mut Stage<F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    // SAFETY: the caller vouches for the pointer.
    let stage = unsafe { &mut *stage };
    // SAFETY: the caller vouches for the future in it.
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

/// Drops the future, puts the output in its place, and tells whoever waits.
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
    // SAFETY: the caller names the type; the runtime's reference is dropped only at the end of this function.
    let cell = unsafe { task.cast::<Cell<F, S>>().as_ref() };
    let header = &cell.header;
    // SAFETY: the runtime's reference is held to the end of this function; this one is never given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: rule *Runner*; the future is not used after this.
        cell.stage.with_mut(|stage| unsafe { drop_future(stage) });
    }));
    let output = match dropped {
        Ok(()) => output,
        // A destructor that panics is a panic of its task, and outlives the result that it had.
        Err(payload) => {
            silently(|| drop(output));
            or_abort(|| F::Output::panicked(&this, payload))
        }
    };
    // SAFETY: rule *Home*: this is the runner, and the task is still registered.
    let shard = unsafe { header.home.shard() };
    // SAFETY: as above.
    let shard = unsafe { shard.as_ref() };
    // SAFETY: as above; the runner strikes it out once, here.
    unsafe { shard.remove(header.home) };

    if header.state.load().has_handle() {
        cell.stage.with_mut(|stage| {
            // SAFETY: rule *Runner*: nobody else touches the stage.
            let stage = unsafe { &mut *stage };
            // The future is gone: nothing is overwritten that should be dropped.
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
    // The slot's destructor is foreign code, and may ask for the current task: not for one whose cell is being freed.
    drop(entered);
    // SAFETY: the runtime's reference, which ends with the task.
    drop(unsafe { TaskRef::from_raw(task) });
}

/// Completes a task whose output is in place while somebody waits for it, or while its handle is being dropped.
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
        // SAFETY: rule *Join waker*: the flag is set for good, and this is the runner.
        cell.header.join_waker.with(|waker| unsafe { wake_joiner(waker) });
    }
    if !before.has_handle() {
        // SAFETY: the handle went before the task completed, so the output stayed the runner's.
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
    // SAFETY: the caller vouches for it.
    let waker = unsafe { &*waker };
    // SAFETY: the caller is the runner, and does this once.
    silently(|| unsafe { waker.wake() });
}

/// # Safety
///
/// `stage` must hold the future and be the caller's alone.
unsafe fn drop_future<F: Future>(stage: *mut Stage<F>) {
    // SAFETY: the caller vouches for the pointer.
    let stage = unsafe { &mut *stage };
    // SAFETY: the caller vouches for the future in it.
    let future = unsafe { &mut stage.future };
    // SAFETY: the caller vouches for the future, and does not use it again.
    unsafe { ManuallyDrop::drop(future) };
}

/// # Safety
///
/// `task` must be a `Cell<F, S>` whose stage holds the output, and that output must be the caller's. It is gone afterwards.
pub(super) unsafe fn abandon<F, S>(task: NonNull<Header>)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    // SAFETY: the caller names the type.
    let room = unsafe { output::<F, S>(task) }.cast::<F::Output>();
    // SAFETY: the caller vouches for the output, which leaves its room here.
    let output = unsafe { room.read() };
    // SAFETY: the caller keeps the cell alive; this reference is never given back.
    let this = ManuallyDrop::new(unsafe { TaskRef::from_raw(task) });
    silently(|| output.abandoned(&this));
}

/// # Safety
///
/// `task` must be a `Cell<F, S>`.
pub(super) unsafe fn output<F: Future, S>(task: NonNull<Header>) -> NonNull<()> {
    // SAFETY: the caller names the type.
    let cell = unsafe { task.cast::<Cell<F, S>>().as_ref() };
    // A union's fields lie at its beginning.
    cell.stage.with_mut(|stage| NonNull::new(stage.cast()).expect("a field has an address"))
}

/// # Safety
///
/// `task` must be a `Cell<F, S>` to which no reference is left, and whose stage is empty.
pub(super) unsafe fn dealloc<F: Future, S>(task: NonNull<Header>) {
    let cell = task.cast::<Cell<F, S>>();
    // SAFETY: nobody else can reach the cell.
    let header = unsafe { &mut *task.as_ptr() };
    if header.state.load().has_join_waker() {
        // SAFETY: as above. With the flag the task's runner has woken the joiner.
        header.join_waker.with_mut(|waker| unsafe { &mut *waker }.forget_task());
    }
    #[cfg(selvedge_loom)]
    // SAFETY: as below.
    unsafe {
        super::model::seal(cell);
    }
    // SAFETY: the cell is valid and nobody else can reach it. Its stage drops nothing by itself.
    silently(|| unsafe { cell.drop_in_place() });
    // SAFETY: `new_task` got the room from there, and what lay in it has been dropped.
    unsafe { alloc::free(cell) };
}

/// Makes an output. One that cannot be made leaves a task without an end, which nobody could be told: better none of it.
fn or_abort<R>(make: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or_else(|_| {
        eprintln!("selvedge: `Outcome::panicked` or `Outcome::closed` panicked, which they must not");
        std::process::abort()
    })
}

/// Drops one reference, and the cell with the last.
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
        // SAFETY: no reference is left, so neither runtime nor handle are: the stage is empty.
        Unref::Dealloc => unsafe { (vtable.dealloc)(task) },
        Unref::Nothing => {}
    }
}
