//! The whole program: for clients that behave and for those that do not, for a person at Ctrl-C, and for a browser.

mod browser;
#[path = "../../src/client.rs"]
mod client;
mod server;
mod serving;
