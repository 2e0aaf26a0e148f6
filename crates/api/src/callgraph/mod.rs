//! Who awaits whom, and where does each stand? Found out only when somebody asks.
//!
//! Nothing is written down while tasks run: neither spawning, polling, waking nor awaiting keeps a record for this module. All it finds out it
//! asks of the tasks themselves, at the moment of the question:
//!
//! ```text
//! asker, on a worker                              the suspended task
//! C1 switch the thread's capture on (`capture`)
//! C2 claim the right to poll (`Scheduler::look`)
//! C3 poll                          ------------>  C4 each leaf that is reached says what it waits for, and is pending
//! C5 switch the capture off        <------------  C6 the poll ends pending, as it began
//! ```
//!
//! **States.** A task is *suspended* (claimed and asked, as above), *running* or *ready* (somebody else holds the right to poll it, and may hold it for
//! long: it is not waited for, and said to be so), or *done*. Capture is a switch of the thread, on between C1 and C5 only.
//!
//! **Who owns what.** The right to poll belongs to the asker from C2 to C6, as if it had woken the task and were its worker; nobody else polls it
//! meanwhile. The notes belong to the asking thread. A leaf owns nothing more than without this: not a byte.
//!
//! **Why a poll for nothing changes nothing.**
//!
//! * A leaf that is asked does not look whether it could go on, and takes no request: it neither arms, registers, delivers nor consumes. What it had
//!   armed and registered stays so, and wakes the task later; a wake that comes during C3 leads to another poll, as always.
//! * So the code between awaits does not run: no leaf is ever ready in a capture. A future of another crate is polled as it is, which
//!   the contract of `Future` allows at any time. Should one be ready even so, the task goes on as it would have, on the asker's thread.
//! * A leaf that is reached for the first time by this (behind such a future) has nothing armed yet. It asks for another poll of its task,
//!   an ordinary one, and so does one that was moved to another place ([`Leaf::was_polled_here`](crate::cancel::Leaf::was_polled_here)).
//! * Frames do not give up on content that took no request: it was not given the chance to.
//!
//! The edges are the leaves' answers turned round. A survey asks every task of the loop, so it costs a poll for each; then the tasks that turn
//! up in the graph are asked once more, with their stack of functions (`frames`). Between the two, other workers go on: the graph is what was seen,
//! not what is.
//!
//! Rejected: a set of awaiters in each task, as asyncio has it (a lock and an allocation for each await); reading the waker of whoever awaits a task
//! (it belongs to the handle, which may be replacing it); queueing the task for capture (on a single worker nobody would come to it before
//! the asker has ended); a location in each leaf (eight bytes for each await that is suspended, when the caller's location comes with the poll).

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
