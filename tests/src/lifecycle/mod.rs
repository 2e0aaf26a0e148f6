//! Which promises hold in random programs of tasks that spawn, group, gather, shield, time out,
//! cancel, drop, fail and panic?
//!
//! A program is decoded from bytes, so that a property test, a fuzzer and the stress program share
//! it. It runs on its own loop, and is cancelled until all its tasks have ended. These promises
//! must hold:
//!
//! * Every task ends, and every handle resolves.
//! * Every future, and every output, is dropped exactly once.
//! * A group ends after all its tasks.
//! * A result that is ready is returned, whatever was cancelled and whichever deadline has passed.
//! * A task that only this program cancels has counted as many requests as were made and not taken
//!   back.

mod program;
mod world;

pub use program::{Program, Step, decode};
pub use world::{Settings, run};
