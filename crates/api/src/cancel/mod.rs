//! How does a request to stop reach the await at which a task is suspended?
//!
//! * A **scope** ([`Scope`]) is what a request reaches. Every task has a root scope, which lies in its slot; a timeout or a task
//!   group opens one for what it polls. A [`RequestWord`] counts what was asked of it.
//! * A **chain** ([`chain`]) is the current task's root scope and the scopes opened inside it, as seen by whoever is polled now.
//! * A **leaf** ([`Leaf`]) is an awaitable of this library. It asks, once a poll, whether the chain holds news for it.
//! * A **frame** ([`Frame`]) polls something that may not be a leaf, and gives up on it when nobody inside took the news.
//!
//! The order inside a leaf's poll is the whole contract: first a result that is already there, then the news, then waiting. So a
//! request never costs a result, and a loop over results that are there cannot outrun a request: the first await that has to
//! wait hears of it.

mod chain;
mod frame;
mod leaf;
mod scope;
mod word;

pub(crate) use self::chain::DeliveredTo;
pub(crate) use self::frame::{Frame, FramePoll, ScopedFrame};
pub(crate) use self::leaf::Leaf;
pub(crate) use self::word::{Request, RequestWord, Requests};
