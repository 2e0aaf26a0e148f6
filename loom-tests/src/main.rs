//! Which models hold, over how many interleavings, and would they notice if the code were wrong?
//!
//! Each model is a small program over shipped code, the scheduler's or the library's on top of it, run by [loom](https://docs.rs/loom) in all orders
//! that its bounds allow. Each has controls: faults that are built into the shipped code behind a switch, and that the model must
//! find. A model that cannot fail proves nothing.
//!
//! ```text
//! make loom                       all models and controls
//! make loom LOOM_ARGS=timer       those with `timer` in their name
//! make loom LOOM_ARGS=--deep      with wider bounds, for by hand
//! ```
//!
//! Each model and each control runs in a process of its own: what loom calls a deadlock ends it.

#[cfg(selvedge_loom)]
mod models;
#[cfg(selvedge_loom)]
mod runner;
#[cfg(selvedge_loom)]
mod support;

use std::process::ExitCode;

#[cfg(selvedge_loom)]
fn main() -> ExitCode {
    runner::main()
}

#[cfg(not(selvedge_loom))]
fn main() -> ExitCode {
    eprintln!("The models need a build of their own: run `make loom`, which sets `--cfg selvedge_loom`.");
    ExitCode::from(2)
}

#[cfg(not(selvedge_loom))]
#[test]
#[ignore = "the models need a build of their own: run `make loom`"]
fn models() {}
