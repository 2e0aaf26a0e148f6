//! Do signal handlers work: which one is called, and what does the signal do without a handler?
//!
//! Signals belong to the process, and `cargo test` runs these tests side by side in one process. So
//! each test has a signal of its own.
//!
//! Not under `make tsan`: see `interrupt.rs`.
#![cfg(all(unix, not(selvedge_tsan)))]

mod default_action;
mod delivery;
mod errors;
