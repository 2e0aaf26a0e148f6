//! A server that computes: which arrangement answers more requests, and keeps `/healthz` quick?
//!
//! * [`Peer`] lists the arrangements: a runtime, and the place where its handlers compute.
//!   `bridges` contains those places that lie beside tokio.
//! * [`Load`] lists what is asked of them. The servers and the client are those of
//!   [`served`](crate::served); `first_burst` is about a process that computes for the first time.
//! * `goals` says what Selvedge is to reach, [`Table`] shows the numbers, and [`plot`] draws some.

mod bridges;
mod first_burst;
mod goals;
mod loads;
mod peer;
mod plot;
mod table;

pub use self::first_burst::answer;
pub use self::loads::Load;
pub use self::peer::Peer;
pub use self::plot::plot;
pub use self::table::{Table, judge, to_json};
