//! Which models hold, over how many interleavings, and do they fail if the code is wrong?
//!
//! Each model is a small program over shipped code, the scheduler's or the library's on top of it.
//! [loom](https://docs.rs/loom) runs it in all orders that its bounds allow. A model that cannot
//! fail proves nothing, so each has controls: faults that the model must find. The code that ships
//! has no faults and no switches for them. `faults/` has them as patches, which `make loom` applies
//! to a copy of the workspace; an environment variable switches one fault on.
//!
//! ```text
//! make loom                       all models and controls
//! make loom LOOM_ARGS=timer       those with `timer` in their name
//! make loom LOOM_ARGS=--deep      with wider bounds, for by hand
//! make faults-edit                a copy of the workspace with the faults, to change them
//! make faults-save                writes what was changed back to `faults/`
//! ```
//!
//! Each model and each control runs in its own process, because loom ends the process when it finds
//! a deadlock.

#[cfg(not(selvedge_loom))]
mod edit;
#[cfg(selvedge_loom)]
mod faulty;
#[cfg(selvedge_loom)]
mod models;
mod patches;
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
    let done = match std::env::args().nth(1).as_deref() {
        Some("faults-edit") => edit::begin(),
        Some("faults-save") => edit::save(),
        _ => Err("the models need a build with `--cfg selvedge_loom`: run `make loom`".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(not(selvedge_loom))]
#[test]
#[ignore = "the models need a build of their own: run `make loom`"]
fn models() {}
