//! Selvedge beside its rivals: which runtime does the same work in less time, later by less, or in fewer bytes?
//!
//! * [`rival`] says what a runtime has to offer to take part; [`rivals`] holds the participants.
//! * `served` is about sockets and HTTP: the table of `make bench-http`.
//! * `scale` is about Selvedge alone: the table of `make bench-scale`.
//! * [`workloads`] holds the rows: each is one function, generic over the runtime.
//! * [`neutral`] holds what the workloads use besides the runtime, the same for everybody.
//! * [`process`], [`heap`] and [`stats`] measure; [`probe`] measures in a process of its own what needs one.
//! * [`report`] runs interleaved rounds and prints the table.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measurements are counts and nanoseconds far below the limits, shown with a few digits"
)]

pub mod heap;
pub mod neutral;
pub mod probe;
pub mod process;
pub mod report;
pub mod rival;
pub mod rivals;
#[cfg(all(unix, feature = "selvedge"))]
pub mod scale;
#[cfg(unix)]
pub mod served;
pub mod stats;
pub mod workloads;
