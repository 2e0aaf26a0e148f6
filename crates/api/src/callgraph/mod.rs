//! Which task awaits which, and where is each suspended?
//!
//! Nothing is recorded while tasks run: neither spawning, polling, waking nor awaiting keeps a
//! record for this module. All that it finds out it gets from the tasks themselves, at the moment
//! of the capture:
//!
//! ```text
//! the capturing task, on a worker                 the suspended task
//! C1 switch the thread's capture on (`capture.rs`)
//! C2 claim the right to poll (`Scheduler::probe`)
//! C3 poll                          ------------>  C4 each leaf notes what it waits for, and is pending
//! C5 switch the capture off        <------------  C6 the poll ends pending, as it began
//! ```
//!
//! **States.** A task is *suspended* (claimed and captured, as above), *running* or *ready*
//! (another thread holds the right to poll it, and may hold it for long: the capture does not wait
//! for it, and the graph says so), or *done*. The capture is a switch of the thread, on between C1
//! and C5 only.
//!
//! **Ownership.** The right to poll belongs to the capturing thread from C2 to C6, as if that
//! thread had woken the task and were its worker; no other thread polls the task meanwhile. The
//! notes belong to the capturing thread.
//!
//! **Cost.** Tasks and leaves have no byte more than without captures. The location of an await
//! comes with the poll as an argument, because the polls of leaves are `#[track_caller]`, and is
//! stored nowhere. The functions around the await come from a backtrace taken in the leaf.
//!
//! **Why a capturing poll changes nothing.**
//!
//! * In a capture a leaf does not check whether it could go on, and takes no request: it neither
//!   arms, registers, delivers nor consumes (`leaf.rs`). What it had armed and registered stays so,
//!   and wakes the task later; a wake that comes during C3 leads to another poll, as always.
//! * So the code between awaits does not run: no leaf is ever ready in a capture. A future of
//!   another crate is polled as it is, which the contract of `Future` allows at any time. If such a
//!   future is ready, the task goes on as it would have, on the capturing thread.
//! * A leaf that is reached for the first time by a capture (behind such a future) has nothing
//!   armed yet. It wakes its task for an ordinary poll, and so does one that was moved to another
//!   place ([`Leaf::was_polled_here`](crate::cancel::Leaf::was_polled_here)).
//! * Frames do not give up on content that took no request: it had no chance to.
//!
//! The edges of the graph are the leaves' notes, reversed. A survey captures every task of the
//! loop, so it costs a poll for each; then the tasks that turn up in the graph are captured once
//! more, with their stack of functions (`frames`). Between the two, other workers go on, so parts
//! of the graph may be out of date when it is done.
//!
//! Not shown: children inside a collection that polls only children that were woken
//! (`FuturesUnordered`), awaits of other crates, and the awaits of a task that is queued or running
//! at that moment.
//!
//! Rejected: a set of awaiters in each task, as asyncio has it (a lock and an allocation for each
//! await); reading the waker of the task that awaits (it belongs to the handle, which may be
//! replacing it); queueing the task for capture (on a single worker it would not be polled before
//! the capturing task has ended); a location in each leaf (eight bytes for each await that is
//! suspended, when the caller's location comes with the poll).

mod edges;
mod entry;
mod frames;
mod graph;
mod node;
mod stack;
mod survey;

pub use self::edges::{future_add_to_awaited_by, future_discard_from_awaited_by};
pub use self::entry::FrameCallGraphEntry;
pub use self::graph::{Activity, FutureCallGraph, capture_call_graph, format_call_graph, print_call_graph};
pub use self::node::AnyFuture;
pub(crate) use self::node::Shows;
