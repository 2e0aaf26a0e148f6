//! Which sockets does each participant use? Its own.

mod async_io;
#[cfg(feature = "selvedge")]
mod selvedge;
mod tokio;
