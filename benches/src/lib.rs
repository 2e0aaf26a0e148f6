//! How does Selvedge compare with its rivals: which runtime does the same work in less time, with
//! less delay, or in fewer bytes?
//!
//! * [`rival`] defines what a runtime must offer to take part; [`rivals`] contains the
//!   participants.
//! * `served` is about sockets and HTTP: the table of `make bench-http`.
//! * `scale` is about Selvedge alone: the table of `make bench-scale`.
//! * [`workloads`] contains the rows: each is one function, generic over the runtime.
//! * [`neutral`] contains what the workloads use besides the runtime, the same for all of them.
//! * [`process`], [`heap`] and [`stats`] measure; [`probe`] runs measurements that need their own
//!   process.
//! * [`report`] runs interleaved rounds and prints the table.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measurements are counts and nanoseconds far below the limits, shown with a few digits"
)]

pub mod heap;
pub mod neutral;
pub mod options;
#[cfg(unix)]
pub mod peers;
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
