//! What is a request to stop, apart from the task that it is made to?
//!
//! | file | question |
//! |---|---|
//! | `state.rs` | what was requested of one scope, and how much of it was delivered? |
//! | `route.rs` | how does a request travel along tasks that await each other? |
//! | `foreign.rs` | which leaves does a wake of their task not reach? |
//!
//! These are data: they know neither tasks nor scopes. `slot` keeps them with each task, `cancel`
//! brings a request to an await.

mod foreign;
mod route;
mod state;

pub(crate) use self::foreign::{Call, Entry, ForeignWakers, ForeignWakersOwner};
pub(crate) use self::route::{InHand, Meeting, Route, UnderWay};
pub(crate) use self::state::{CancelState, Delivery, Request, Requests};
