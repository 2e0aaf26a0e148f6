//! Which error types does the library define?

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use selvedge_scheduler::contain::discard;

use super::{Error, tree};

/// The await that returned this error was cancelled.
///
/// Clean up and pass the error on with `?`. A coroutine may refuse to end; then it should call
/// [`uncancel`](crate::TaskHandle::uncancel).
///
/// # Examples
///
/// ```
/// use selvedge::CancelledError;
///
/// # selvedge::run(async {
/// let task = selvedge::create_task(selvedge::sleep(std::time::Duration::MAX));
/// task.cancel_with("enough");
/// let error = task.await.unwrap_err();
/// let cancelled: &CancelledError = error.downcast_ref().expect("it was cancelled");
/// assert_eq!(cancelled.message(), Some("enough"));
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct CancelledError {
    message: Option<Arc<str>>,
}

impl CancelledError {
    /// A cancellation without a message.
    pub const fn new() -> CancelledError {
        CancelledError { message: None }
    }

    /// A cancellation with a message.
    pub fn with_message(message: impl Into<Arc<str>>) -> CancelledError {
        CancelledError { message: Some(message.into()) }
    }

    /// The message that was passed to [`cancel_with`](crate::Task::cancel_with).
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    pub(crate) fn from_message(message: Option<Arc<str>>) -> CancelledError {
        CancelledError { message }
    }

    pub(crate) fn into_message(self) -> Option<Arc<str>> {
        self.message
    }
}

impl fmt::Display for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "cancelled: {message}"),
            None => f.write_str("cancelled"),
        }
    }
}

impl fmt::Debug for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "CancelledError({message:?})"),
            None => f.write_str("CancelledError"),
        }
    }
}

impl StdError for CancelledError {}

/// A deadline passed before the work was done. [`Error::is_timeout`] checks for it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct TimeoutError(());

impl TimeoutError {
    /// A missed deadline.
    pub const fn new() -> TimeoutError {
        TimeoutError(())
    }
}

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed before the work was done")
    }
}

impl fmt::Debug for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TimeoutError")
    }
}

impl StdError for TimeoutError {}

/// The user pressed Ctrl-C while [`run`](crate::run) was waiting.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct KeyboardInterrupt(());

impl KeyboardInterrupt {
    pub(crate) const fn new() -> KeyboardInterrupt {
        KeyboardInterrupt(())
    }
}

impl fmt::Display for KeyboardInterrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted from the keyboard")
    }
}

impl fmt::Debug for KeyboardInterrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyboardInterrupt")
    }
}

impl StdError for KeyboardInterrupt {}

/// Defines an error that carries only a message.
macro_rules! message_error {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name {
            message: String,
        }

        impl $name {
            /// An error with this message.
            pub fn new(message: impl Into<String>) -> $name {
                $name { message: message.into() }
            }

            /// What went wrong.
            pub fn message(&self) -> &str {
                &self.message
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.message)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.message)
            }
        }

        impl StdError for $name {}
    };
}

message_error! {
    /// A future or task was asked for a value that it does not have yet, or was given a second
    /// result.
    InvalidStateError
}

message_error! {
    /// The library was used where that is not possible: outside a loop, after closing it, or with
    /// meaningless values.
    RuntimeError
}

message_error! {
    /// A task panicked. This is the task's error; the worker thread that ran the task continues.
    PanicError
}

impl PanicError {
    /// The error for a caught panic. The payload is the user's value, whose drop may panic again:
    /// that panic is caught too.
    pub(crate) fn from_payload(payload: Box<dyn Any + Send>) -> PanicError {
        let error = PanicError::read(&*payload);
        discard(payload);
        error
    }

    /// Reads the message of `panic!`; any other payload has no message to show.
    fn read(payload: &(dyn Any + Send)) -> PanicError {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            text
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.as_str()
        } else {
            "the panic carried no message"
        };
        PanicError::new(message)
    }
}

/// Several errors at once: those of the children of a [`task_group`](crate::task_group). Instead of
/// Python's `except*`, inspect [`exceptions`](ExceptionGroup::exceptions).
///
/// Groups may contain groups, as those of nested task groups do. At any depth, dropping and
/// printing them takes no recursion. At most a hundred errors are printed, and then the number of
/// the others. Code that walks such a group should use a list of open groups too, instead of
/// recursion.
///
/// # Examples
///
/// ```
/// use selvedge::{Error, ExceptionGroup};
///
/// let errors = vec![Error::msg("one"), Error::msg("two")];
/// let error = Error::from(ExceptionGroup::new("two tasks failed", errors));
/// let group: &ExceptionGroup = error.downcast_ref().expect("it is one");
/// assert_eq!(group.exceptions().len(), 2);
/// assert_eq!(error.to_string(), "two tasks failed (2 sub-exceptions); one; two");
/// ```
#[derive(Clone)]
pub struct ExceptionGroup {
    message: String,
    exceptions: Vec<Error>,
}

impl ExceptionGroup {
    /// A group of errors under one message.
    pub fn new(message: impl Into<String>, exceptions: Vec<Error>) -> ExceptionGroup {
        ExceptionGroup { message: message.into(), exceptions }
    }

    /// The message of the group.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The errors, in the order in which they happened.
    pub fn exceptions(&self) -> &[Error] {
        &self.exceptions
    }

    /// The error, if there is exactly one.
    pub fn single(&self) -> Option<&Error> {
        match &*self.exceptions {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl fmt::Display for ExceptionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tree::display(self, f)
    }
}

impl fmt::Debug for ExceptionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tree::debug(self, f)
    }
}

impl StdError for ExceptionGroup {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.single().map(|error| error.as_std() as &(dyn StdError + 'static))
    }
}

/// The error that [`Error::msg`] makes.
pub(super) struct Message(pub(super) String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for Message {}
