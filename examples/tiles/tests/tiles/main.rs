//! Does the whole program work: for clients that behave and for clients that do not, at Ctrl-C, and
//! in a browser?

mod browser;
#[path = "../../src/client.rs"]
mod client;
mod server;
mod serving;
