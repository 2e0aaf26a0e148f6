//! How do tasks and plain threads work together?

mod blocking;
mod concurrent;
mod executor;
// Under the models no time passes, so a spin would never end.
#[cfg_attr(selvedge_loom, path = "../model/spin.rs")]
mod spin;

pub use self::blocking::{BlockingTask, ToThread, to_thread};
pub use self::concurrent::{ConcurrentFuture, run_coroutine_threadsafe};
pub use self::executor::ThreadPoolExecutor;
