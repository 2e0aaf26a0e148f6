//! How is a task laid out in memory?
//!
//! Header, handle's data and slot are kept small: with the api's slot, a trivial parked task takes 88
//! bytes. malloc's next size is 104.

use std::mem::{ManuallyDrop, offset_of};
use std::ptr::NonNull;

use super::alloc;
use super::harness;
use super::join_waker::JoinWaker;
use super::page::Home;
use super::slot_type::SlotType;
use super::state::State;
use super::{JoinHandle, Outcome, PollEnd, Runnable, Slot, TaskRef};
use crate::sync::UnsafeCell;

/// The beginning of every task, whatever its future.
#[repr(C)]
pub(super) struct Header {
    pub(super) state: State,
    pub(super) vtable: &'static Vtable,
    pub(super) home: Home,
    pub(super) join_waker: UnsafeCell<JoinWaker>,
}

/// A whole task. The handle's data and the slot follow the header, so that they are found without
/// the future's type.
#[repr(C)]
pub(super) struct Cell<F: Future, S: Slot> {
    pub(super) header: Header,
    pub(super) for_handle: ForHandle<S::ForHandle>,
    pub(super) slot: S,
    pub(super) stage: UnsafeCell<Stage<F>>,
}

/// The data of the handle, which drops it (rule *For handle*).
pub(super) type ForHandle<A> = UnsafeCell<ManuallyDrop<A>>;

/// The future and its output use the same memory one after the other. The state word says which of
/// them is there (rules *Runner*, *Output*).
pub(super) union Stage<F: Future> {
    pub(super) future: ManuallyDrop<F>,
    pub(super) output: ManuallyDrop<F::Output>,
}

pub(super) type PollFn = unsafe fn(NonNull<Header>, &dyn PollEnd) -> harness::Polled;

/// The functions that depend on the types of future and slot.
pub(super) struct Vtable {
    /// Polls once; the caller's `Runnable` is used up unless the answer is `Polled::Requeue`.
    pub(super) poll: PollFn,
    /// Drops the unfinished future and completes the task with `Outcome::closed`; uses up the
    /// caller's `Runnable`.
    pub(super) cancel: unsafe fn(NonNull<Header>),
    /// Hands the output, which must be there, to `Outcome::abandoned`.
    pub(super) abandon: unsafe fn(NonNull<Header>),
    /// The address of the output.
    pub(super) output: unsafe fn(NonNull<Header>) -> NonNull<()>,
    /// Frees the cell, whose stage must be empty.
    pub(super) dealloc: unsafe fn(NonNull<Header>),
    pub(super) slot_type: SlotType,
    pub(super) future_name: fn() -> &'static str,
}

trait HasVtable {
    const VTABLE: Vtable;
}

impl<F, S> HasVtable for Cell<F, S>
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    const VTABLE: Vtable = Vtable {
        poll: harness::poll::<F, S>,
        cancel: harness::cancel::<F, S>,
        abandon: harness::abandon::<F, S>,
        output: harness::output::<F, S>,
        dealloc: harness::dealloc::<F, S>,
        slot_type: SlotType::of::<S>(),
        future_name: std::any::type_name::<F>,
    };
}

impl Header {
    /// Where the handle's data of type `A` lies in a cell.
    #[inline]
    pub(super) const fn for_handle_offset<A>() -> usize {
        size_of::<Header>().next_multiple_of(align_of::<ForHandle<A>>())
    }

    /// Where a slot of type `S` lies in a cell.
    #[inline]
    pub(super) const fn slot_offset<S: Slot>() -> usize {
        let behind = Self::for_handle_offset::<S::ForHandle>() + size_of::<ForHandle<S::ForHandle>>();
        behind.next_multiple_of(align_of::<S>())
    }
}

/// Allocates a task. Returns the right to poll it, and the handle that owns its output. The task
/// must be registered before it is polled or dropped.
pub(super) fn new_task<F, S>(
    future: F,
    slot: S,
    weight: u8,
) -> (Runnable, JoinHandle<F::Output, S::ForHandle>)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    const {
        assert!(offset_of!(Cell<F, S>, for_handle) == Header::for_handle_offset::<S::ForHandle>());
        assert!(offset_of!(Cell<F, S>, slot) == Header::slot_offset::<S>());
    }
    let cell = Cell {
        header: Header {
            state: State::new(weight),
            vtable: &<Cell<F, S> as HasVtable>::VTABLE,
            home: Home::NONE,
            join_waker: UnsafeCell::new(JoinWaker::none()),
        },
        for_handle: UnsafeCell::new(ManuallyDrop::new(S::ForHandle::default())),
        slot,
        stage: UnsafeCell::new(Stage { future: ManuallyDrop::new(future) }),
    };
    let ptr = alloc::put(cell).cast::<Header>();
    // SAFETY: a new task begins queued and with two references: the right of the first wake becomes
    // the runnable; one reference is the runtime's, the other becomes the handle's.
    let runnable = unsafe { Runnable::from_raw(ptr) };
    // SAFETY: as above.
    let task = unsafe { TaskRef::from_raw(ptr) };
    // SAFETY: the task is new, and the caller's types are the cell's.
    (runnable, unsafe { JoinHandle::new(task) })
}

/// Identifies the type of a task's future, for records by type.
pub(crate) fn kind_of<F, S>() -> usize
where
    F: Future + Send + 'static,
    F::Output: Outcome,
    S: Slot,
{
    harness::poll::<F, S> as PollFn as usize
}
