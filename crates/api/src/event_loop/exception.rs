//! What does an exception handler receive?

use std::fmt;

use crate::error::Error;
use crate::slot::{TaskHandle, TaskRefExt, coro_name};

/// An error that no caller can receive, and what is known about it. asyncio passes a dictionary
/// with these keys.
///
/// # Examples
///
/// ```
/// use selvedge::{Error, ExceptionContext};
///
/// let context = ExceptionContext::new("the cache is stale").with_exception(Error::msg("no answer"));
/// assert_eq!(context.message(), "the cache is stale");
/// assert_eq!(context.to_string(), "the cache is stale\n  error: \"no answer\"");
/// ```
#[derive(Clone, Debug)]
pub struct ExceptionContext {
    message: String,
    exception: Option<Error>,
    task: Option<TaskHandle>,
}

impl ExceptionContext {
    /// A report with this message.
    pub fn new(message: impl Into<String>) -> ExceptionContext {
        ExceptionContext { message: message.into(), exception: None, task: None }
    }

    /// Adds the error.
    #[must_use]
    pub fn with_exception(mut self, exception: Error) -> ExceptionContext {
        self.exception = Some(exception);
        self
    }

    /// Adds the task in which it happened.
    #[must_use]
    pub fn with_task(mut self, task: TaskHandle) -> ExceptionContext {
        self.task = Some(task);
        self
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The error, if there is one.
    pub fn exception(&self) -> Option<&Error> {
        self.exception.as_ref()
    }

    /// The task in which it happened, if it happened in a task.
    pub fn task(&self) -> Option<&TaskHandle> {
        self.task.as_ref()
    }
}

impl fmt::Display for ExceptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(task) = &self.task {
            let slot = task.task_ref().task_slot();
            write!(f, "\n  task: {:?}, made at {}", slot.name(), slot.created_at())?;
            write!(f, "\n  coroutine: {}", coro_name(task.task_ref()))?;
        }
        if let Some(exception) = &self.exception {
            write!(f, "\n  error: {exception:?}")?;
        }
        Ok(())
    }
}
