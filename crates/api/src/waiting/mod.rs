//! What can a coroutine await?

mod cancellable;
mod deadline;
mod gather;
mod shield;
mod sleep;
mod timeout;
mod wait_for;

pub use self::cancellable::{Cancellable, cancellable};
pub use self::gather::{Gather, GatherInput, GatherResults, gather};
pub use self::shield::{Shield, ShieldRef, shield};
pub use self::sleep::{Sleep, sleep};
pub use self::timeout::{Timeout, TimeoutBlock, timeout, timeout_at};
pub use self::wait_for::{WaitFor, wait_for};
