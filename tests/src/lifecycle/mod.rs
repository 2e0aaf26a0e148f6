//! Random programs of tasks that spawn, group, gather, shield, time out, cancel, drop, fail and panic; and what must hold whatever they do.
//!
//! A program is decoded from bytes, so that a property test, a fuzzer and the stress program share it. It runs on a loop of its own, and is
//! cancelled until nothing is left of it. These must hold:
//!
//! * Every task ends, and every handle resolves.
//! * Every future, and every output, is dropped exactly once.
//! * A group ends after all its tasks.
//! * What is ready is returned, whatever was cancelled and whichever deadline is past.
//! * A task that only this program cancels has counted as many requests as were made and not taken back.

mod program;
mod world;

pub use program::{Program, Step, decode};
pub use world::{Settings, run};
