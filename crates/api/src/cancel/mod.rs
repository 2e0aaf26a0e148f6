//! How does a request to stop reach the await at which a task is suspended?
//!
//! * A **scope** ([`Scope`]) is what a request reaches. Every task has a root scope, which lies in its slot; a timeout or a task
//!   group opens one for what it polls. A [`CancelState`] counts what was asked of it.
//! * A **scope stack** ([`scope_stack`]) is the current task's root scope and the scopes opened inside it, as seen by whoever is polled now.
//! * A **leaf** ([`Leaf`]) is an awaitable of this library. It asks, once a poll, whether the stack holds news for it.
//! * A **route** ([`Route`]) is the way of a request that is passed from task to task; a circle ends it, and it joins one that is under way.
//! * **Foreign wakers** (`foreign.rs`) are those of leaves that waking the task does not reach.
//! * A **frame** ([`Frame`]) polls something that may not be a leaf, and gives up on it when nobody inside took the news.
//!
//! The order inside a leaf's poll is the whole contract: first a result that is already the leaf's own (its timer has fired, the task
//! it awaits is done, the lock was handed to it), then the news, then taking what is free, then waiting. So a request never costs a
//! result, and a loop over a queue that is never empty cannot outrun a request: nothing belongs to a leaf before its first poll.

mod foreign;
mod frame;
mod leaf;
mod route;
mod scope;
mod scope_stack;
mod state;

pub(crate) use self::foreign::{ForeignWakers, ForeignWakersOwner};
pub(crate) use self::frame::{Frame, FramePoll, Patience, ScopedFrame};
pub(crate) use self::leaf::{Leaf, Taken};
pub(crate) use self::route::{Meeting, Route, UnderWay};
pub(crate) use self::scope::Scope;
pub(crate) use self::scope_stack::{DeliveredTo, Outside, call_task};
pub(crate) use self::state::{CancelState, Delivery, Request, Requests};
