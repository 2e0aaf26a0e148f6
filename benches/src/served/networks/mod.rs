//! Each participant's own sockets.

mod async_io;
#[cfg(feature = "selvedge")]
mod selvedge;
mod tokio;
