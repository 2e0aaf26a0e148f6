//! Signal handlers: who is called, and what the signal does when nobody is.
//!
//! Signals are the process's, and `cargo test` runs these tests side by side in one: so each has a signal of its own.
//!
//! Not under `make tsan`: see `interrupt.rs`.
#![cfg(all(unix, not(selvedge_tsan)))]

mod default_action;
mod delivery;
mod errors;
