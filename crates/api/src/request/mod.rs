//! What is a request to stop, independent of the task that it is made to?
//!
//! | file | question |
//! |---|---|
//! | `state.rs` | what was requested of one scope, and how much of it was delivered? |
//! | `route.rs` | how does a request travel along tasks that await each other? |
//! | `foreign.rs` | how does a request reach leaves that are not polled when their task is woken? |
//!
//! These are plain data, which depend on neither tasks nor scopes. `slot` keeps them with each
//! task, and `cancel` brings a request to an await.

mod foreign;
mod route;
mod state;

pub(crate) use self::foreign::{Call, Entry, ForeignWakers, ForeignWakersOwner};
pub(crate) use self::route::{InHand, Meeting, Route, UnderWay};
pub(crate) use self::state::{CancelState, Delivery, Request, Requests};
