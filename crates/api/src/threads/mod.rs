//! How do tasks and plain threads work together?

mod blocking;
mod concurrent;
mod executor;
mod spin;

pub use self::blocking::{BlockingTask, ToThread, to_thread};
pub use self::concurrent::{ConcurrentFuture, run_coroutine_threadsafe};
pub use self::executor::ThreadPoolExecutor;
