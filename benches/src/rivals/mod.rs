//! Which runtimes take part?

mod async_executor;
#[cfg(feature = "selvedge")]
mod selvedge;
mod tokio;

pub use self::async_executor::AsyncExecutor;
#[cfg(feature = "selvedge")]
pub use self::selvedge::Selvedge;
pub use self::tokio::Tokio;
