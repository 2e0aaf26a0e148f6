//! How does a request to stop reach the await at which a task is suspended?
//!
//! * A **scope** ([`Scope`]) is what a request reaches. Every task has a root scope, which is in
//!   its slot; a timeout or a task group opens one for what it polls. Each has a
//!   [`CancelState`](crate::request::CancelState).
//! * A **scope stack** ([`scope_stack`]) is the current task's root scope and the scopes opened
//!   inside it, as seen by the code that is polled now.
//! * A **leaf** is an awaitable of this library. It holds a [`Leaf`], its memory of requests, and in a
//!   poll that finds no value it checks whether the stack has a request that it has not seen. The
//!   order of its steps is in `leaf.rs`, one directory up.
//! * A **frame** ([`Frame`]) polls something that may not be a leaf, and gives up on it when
//!   nothing inside took the request.
//!
//! What a request is made of (its state, its route, foreign wakers) is in `request/`.

mod frame;
mod leaf;
mod scope;
mod scope_stack;

pub(crate) use self::frame::{Frame, FramePoll, Patience, ScopedFrame};
pub(crate) use self::leaf::{Leaf, Passed, Taken};
pub(crate) use self::scope::Scope;
pub(crate) use self::scope_stack::{DeliveredTo, Outside, call_task};
