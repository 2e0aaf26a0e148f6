//! Which runtime serves more requests, sooner, in fewer bytes: sockets and HTTP?
//!
//! * [`network`] defines what a runtime must offer beyond [`Rival`](crate::rival::Rival);
//!   `networks` contains the participants' own sockets.
//! * `server` contains the servers: one function each for echo and HTTP, generic over the runtime.
//! * [`client`] sends the requests: a separate process, the same for all, without any runtime.
//! * `load` starts that process, and `rows` defines what is measured with it.
//! * [`tiles`] defines where a handler computes; the comparison in [`peers`](crate::peers) adds more
//!   ways.

pub mod client;
pub(crate) mod load;
pub mod network;
mod networks;
mod rows;
pub(crate) mod server;
pub mod tiles;

pub use self::rows::{answer, entries};
