//! What can a coroutine await?

mod as_completed;
mod cancellable;
mod deadline;
mod gather;
mod shield;
mod sleep;
mod task_group;
mod timeout;
mod wait;
mod wait_for;

pub use self::as_completed::{AsCompleted, NextCompleted, as_completed};
pub use self::cancellable::{Cancellable, cancellable};
pub use self::gather::{Gather, GatherInput, GatherResults, gather};
pub use self::shield::{Shield, ShieldRef, shield};
pub use self::sleep::{Sleep, sleep};
pub use self::task_group::{TaskGroup, TaskGroupBlock, task_group};
pub use self::timeout::{Timeout, TimeoutBlock, timeout, timeout_at};
pub use self::wait::{ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, ReturnWhen, Wait, Waitable, wait};
pub use self::wait_for::{WaitFor, wait_for};
