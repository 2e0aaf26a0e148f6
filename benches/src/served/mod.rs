//! Who serves more, sooner, in fewer bytes: sockets and HTTP?
//!
//! * [`network`] says what a runtime has to offer beyond [`Rival`](crate::rival::Rival); `networks` holds the participants' own sockets.
//! * `server` holds what is served: one function each for echo and HTTP, generic over the runtime.
//! * [`client`] is who asks: a process of its own, the same for all, without any runtime.
//! * `load` starts that process, and `rows` says what is measured with it.

pub mod client;
mod load;
pub mod network;
mod networks;
mod rows;
mod server;

pub use self::rows::{answer, entries};
