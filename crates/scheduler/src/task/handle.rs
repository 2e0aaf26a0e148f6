//! How does other code refer to a task: with a counted, untyped reference, or as the owner of its
//! output?

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::cell::{ForHandle, Header};
use super::join_waker::JoinWaker;
use super::page::Home;
use super::state::{Claim, DropHandle};
use super::{Runnable, Slot, current, harness, waker};
use crate::contain::silently;

/// Why the right to poll could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclaimed {
    /// The task is being polled, or is queued.
    Busy,
    /// The task is done.
    Complete,
}

/// A counted, untyped reference to a task. Equal and hashed by identity.
pub struct TaskRef(NonNull<Header>);

// SAFETY: a reference gives access to the atomic state word and to the slot, which is `Send +
// Sync`. The last reference may free the cell on any thread; its stage and the handle's data are
// empty by then, and wakers are `Send`.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// # Safety
    ///
    /// The caller owns a reference, and gives it up; or it wraps the result in `ManuallyDrop` and
    /// keeps the cell alive.
    #[inline]
    pub(super) unsafe fn from_raw(task: NonNull<Header>) -> Self {
        Self(task)
    }

    #[inline]
    pub(super) fn as_raw(&self) -> NonNull<Header> {
        self.0
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: rule *Alive*.
        unsafe { self.0.as_ref() }
    }

    /// Where the task is registered, or was.
    pub(super) fn home(&self) -> Home {
        self.header().home
    }

    /// Calls `f` with the task that the calling thread is polling. No reference is counted.
    #[inline]
    pub fn with_current<R>(f: impl FnOnce(Option<&TaskRef>) -> R) -> R {
        // The reference is never given back. A task is current only as long as its runner holds the
        // runtime's reference (rule *Alive*).
        let task = current::current().map(|task| ManuallyDrop::new(TaskRef(task)));
        f(task.as_deref())
    }

    /// Whether `waker` wakes this task and nothing else.
    #[inline]
    pub fn is_woken_by(&self, waker: &Waker) -> bool {
        waker::task_of(waker) == Some(self.0)
    }

    /// Whether this thread has woken the task that it is polling since the poll began. Another poll
    /// then follows.
    #[inline]
    pub fn current_has_woken_itself() -> bool {
        current::has_woken_itself()
    }

    /// The task that the calling thread is polling.
    pub fn current() -> Option<TaskRef> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method is not general enough over lifetimes"
        )]
        Self::with_current(|task| task.cloned())
    }

    /// The slot, if it has type `S`.
    #[inline]
    pub fn slot<S: Slot>(&self) -> Option<&S> {
        if !self.header().vtable.slot_type.is::<S>() {
            return None;
        }
        // SAFETY: the slot lies there within the same allocation (`new_task` checks the offset).
        let slot = unsafe { self.0.byte_add(Header::slot_offset::<S>()) };
        // SAFETY: its type is `S`, it is never changed, and it lives as long as this reference.
        Some(unsafe { slot.cast::<S>().as_ref() })
    }

    /// Whether the output exists, or has existed. A task that is done is never polled again.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.header().state.load().is_complete()
    }

    /// Whether the task is cpu-bound: its last polls were long, so it waits in the queue of the
    /// cpu-bound tasks.
    pub fn has_weight(&self) -> bool {
        self.header().state.load().has_weight()
    }

    /// Schedules one more poll. Nothing happens if the task is done.
    pub fn wake(&self) {
        // SAFETY: this reference keeps the cell alive.
        unsafe { waker::wake_task(self.0) };
    }

    /// Queues a task that was [spawned suspended](crate::Scheduler::spawn_suspended), behind all
    /// others. Does nothing if the task was woken or started before.
    pub fn start(&self) {
        match self.claim() {
            Ok(runnable) => runnable.schedule_new(),
            // The task was woken before; or it is being probed, and the probe would not queue it.
            Err(Unclaimed::Busy) => self.wake(),
            Err(Unclaimed::Complete) => {}
        }
    }

    /// Takes the right to poll, if the task is suspended.
    pub(crate) fn claim(&self) -> Result<Runnable, Unclaimed> {
        match self.header().state.claim() {
            // SAFETY: the claim has given the caller the right to poll.
            Claim::Granted => Ok(unsafe { Runnable::from_raw(self.0) }),
            Claim::Busy => Err(Unclaimed::Busy),
            Claim::Complete => Err(Unclaimed::Complete),
        }
    }

    /// Called before the right to poll, held since [`claim`](Self::claim), is given up without
    /// having answered any wake: if a wake has come meanwhile, the task is polled again.
    pub(crate) fn wake_again_if_woken(&self) {
        if self.header().state.is_woken_since_claim() {
            self.wake();
        }
    }

    /// The same value as [`address_of`](super::address_of) returns for the task's wakers.
    pub(crate) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// Requests one call of [`Slot::completed`]. True: too late, the task is done, and there will
    /// be no call because of this request.
    pub fn watch_completion(&self) -> bool {
        self.header().state.watch()
    }

    /// The name of the future's type.
    pub fn future_name(&self) -> &'static str {
        (self.header().vtable.future_name)()
    }

    /// A waker of this task.
    pub(crate) fn waker(&self) -> Waker {
        // SAFETY: this reference keeps the cell alive; the borrowed waker is only cloned.
        let borrowed = unsafe { waker::borrowed(self.0) };
        Waker::clone(&borrowed)
    }

    pub(crate) fn weight(&self) -> u8 {
        self.header().state.load().weight()
    }

    /// No poll of the task has ended yet.
    pub(crate) fn is_new(&self) -> bool {
        self.header().state.load().is_new()
    }

    /// Only the runner may call this.
    pub(crate) fn set_weight(&self, weight: u8) {
        self.header().state.set_weight(weight);
    }

    /// The type of the task's future, see `kind_of`.
    pub(crate) fn kind(&self) -> usize {
        self.header().vtable.poll as usize
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> Self {
        self.header().state.add_ref();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this value owns the reference, which ends here.
        unsafe { harness::drop_ref(self.0) };
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for TaskRef {}

impl Hash for TaskRef {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.0.hash(hasher);
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskRef")
            .field("future", &self.future_name())
            .field("state", &self.header().state)
            .finish_non_exhaustive()
    }
}

/// The owner of a task's output, and of its [`Slot::ForHandle`], which has type `A`. Dropping it
/// detaches the task, which continues.
pub struct JoinHandle<T, A = ()> {
    task: TaskRef,
    owns: PhantomData<fn() -> (T, A)>,
}

// SAFETY: the handle is the only way to the output, which it hands out by value or by reference:
// `T: Send` lets it change threads. It is the only way to its data, too: `A: Send`.
unsafe impl<T: Send, A: Send> Send for JoinHandle<T, A> {}
// SAFETY: a shared handle gives `&T` (`peek`) and nothing else of `T`, and nothing of `A`.
unsafe impl<T: Sync, A> Sync for JoinHandle<T, A> {}

impl<T, A> Unpin for JoinHandle<T, A> {}

impl<T, A> JoinHandle<T, A> {
    /// Takes over `task`'s HANDLE flag and the handle's data.
    ///
    /// # Safety
    ///
    /// `task` must be new: no other handle was made for it. Its output must have type `T`, and its
    /// slot's `ForHandle` must be `A`.
    pub(super) unsafe fn new(task: TaskRef) -> Self {
        Self { task, owns: PhantomData }
    }

    /// The handle's data.
    #[inline]
    pub fn data(&mut self) -> &mut A {
        // SAFETY: rule *For handle*: the result borrows the handle exclusively. The handle keeps the cell
        // alive, and only its drop empties the field.
        self.for_handle().with_mut(|field| unsafe { &mut **field })
    }

    #[inline]
    fn for_handle(&self) -> &ForHandle<A> {
        // SAFETY: the field lies there within the cell (`new_task` checks the offset).
        let field = unsafe { self.task.0.byte_add(Header::for_handle_offset::<A>()) };
        // SAFETY: `A` is its type, and the handle keeps the cell alive. The field is an `UnsafeCell`.
        unsafe { field.cast::<ForHandle<A>>().as_ref() }
    }

    /// The task.
    #[inline]
    pub fn task(&self) -> &TaskRef {
        &self.task
    }

    /// Ready as soon as the task is done; `None` if its output was taken before.
    #[inline]
    pub fn poll_join(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if !self.task.is_done() && self.wait(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(self.try_take())
    }

    /// Moves the output out, if it is there.
    #[inline]
    pub fn try_take(&mut self) -> Option<T> {
        let state = &self.task.header().state;
        let now = state.load();
        if !now.is_complete() || !now.has_handle() {
            return None;
        }
        // SAFETY: rule *Output*: complete with HANDLE, so the output exists and belongs to this
        // handle.
        let output = unsafe { self.output_ptr().read() };
        state.output_taken();
        Some(output)
    }

    /// The output, if it is there.
    pub fn peek(&self) -> Option<&T> {
        let now = self.task.header().state.load();
        if !now.is_complete() || !now.has_handle() {
            return None;
        }
        // SAFETY: rule *Output*; the output leaves its place through `&mut self` only.
        Some(unsafe { self.output_ptr().as_ref() })
    }

    fn output_ptr(&self) -> NonNull<T> {
        // SAFETY: the vtable belongs to this cell.
        unsafe { (self.task.header().vtable.output)(self.task.0) }.cast()
    }

    /// Stores a waker for the end of the task; false if the task is done.
    fn wait(&mut self, waker: &Waker) -> bool {
        let header = self.task.header();
        if header.state.load().has_join_waker() {
            // SAFETY: rule *Join waker*: with the flag every thread may read.
            let same = header.join_waker.with(|room| unsafe { would_wake(room, waker) });
            if same {
                return !self.task.is_done();
            }
            if !header.state.take_join_waker() {
                return false;
            }
        }
        let new = JoinWaker::new(waker);
        // The old waker's drop is foreign code: it runs once the field is consistent again.
        //
        // SAFETY: rule *Join waker*: the flag is not set, so the field belongs to this handle.
        let old = header.join_waker.with_mut(|room| unsafe { room.replace(new) });
        let waiting = header.state.set_join_waker();
        drop(old);
        waiting
    }
}

/// # Safety
///
/// `room` must be readable.
unsafe fn would_wake(room: *const JoinWaker, waker: &Waker) -> bool {
    // SAFETY: the caller guarantees it.
    unsafe { &*room }.will_wake(waker)
}

impl<T, A> Drop for JoinHandle<T, A> {
    fn drop(&mut self) {
        let header = self.task.header();
        match header.state.drop_handle() {
            // SAFETY: the output exists and belonged to this handle; nothing reads HANDLE after it.
            DropHandle::DropOutput => unsafe { (header.vtable.abandon)(self.task.0) },
            DropHandle::DropWaker => {
                // SAFETY: rule *Join waker*: the flag is off, and the handle still exists.
                let waker = header.join_waker.with_mut(|room| unsafe { room.replace(JoinWaker::none()) });
                // The waker may be foreign code.
                silently(|| drop(waker));
            }
            DropHandle::Nothing => {}
        }
        // SAFETY: rule *For handle*: this is the drop.
        let data = self.for_handle().with_mut(|field| unsafe { take_out(field) });
        // Foreign code. If it panics, the reference to the task is still dropped.
        drop(data);
    }
}

/// # Safety
///
/// The caller must have exclusive access to `field`, which is empty afterwards.
unsafe fn take_out<A>(field: *mut ManuallyDrop<A>) -> A {
    // SAFETY: the caller guarantees it.
    let field = unsafe { &mut *field };
    // SAFETY: as above; the content is not used again.
    unsafe { ManuallyDrop::take(field) }
}

impl<T, A> fmt::Debug for JoinHandle<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.task).finish()
    }
}
