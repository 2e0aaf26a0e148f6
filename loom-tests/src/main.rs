//! Which models hold, over how many interleavings, and do they fail if the code is wrong?
//!
//! Each model is a small program over shipped code: the scheduler's code, or the library's code on
//! top of it. [loom](https://docs.rs/loom) runs it in all orders that its bounds allow. Each model
//! has controls. A control is a fault that is built into the shipped code behind a switch, and the
//! model must find it. A model that cannot fail proves nothing.
//!
//! ```text
//! make loom                       all models and controls
//! make loom LOOM_ARGS=timer       those with `timer` in their name
//! make loom LOOM_ARGS=--deep      with wider bounds, for by hand
//! ```
//!
//! Each model and each control runs in its own process, because loom ends the process when it finds
//! a deadlock.

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
