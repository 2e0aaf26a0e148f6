//! What is the error type of a coroutine?

mod foreign;
mod kinds;
mod system;
mod tree;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use selvedge_scheduler::contain::Contained;

pub(crate) use self::foreign::call;
pub use self::kinds::{
    CancelledError, ExceptionGroup, InvalidStateError, KeyboardInterrupt, PanicError, RuntimeError,
    TimeoutError,
};
pub(crate) use self::system::retold;

/// What a coroutine returns. Where Python raises, Rust returns `Err`, and `?` unwinds.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of what needs a running loop where there is none.
pub(crate) fn no_running_loop() -> Error {
    RuntimeError::new("no running event loop").into()
}

/// The message of every function that a closed loop refuses, as in asyncio.
pub(crate) const EVENT_LOOP_IS_CLOSED: &str = "Event loop is closed";

/// Any error, one pointer wide and cheap to clone.
///
/// `?` converts every [`std::error::Error`] into it. The original type can be recovered
/// ([`is`](Error::is), [`downcast_ref`](Error::downcast_ref)); the errors of this library have
/// predicates of their own ([`is_cancelled`](Error::is_cancelled),
/// [`is_timeout`](Error::is_timeout), [`is_panic`](Error::is_panic)). Clones share one value, as in
/// Python all awaiters of a task share its exception object.
///
/// Printing it never panics: if the error's own `Display` or `Debug` panics, the text says so
/// instead. Dropping it never panics either. Deeply nested errors and [groups](ExceptionGroup) need
/// no additional stack for either.
///
/// `Error` is not itself a `std::error::Error`, because that would rule out the blanket conversion.
/// [`as_std`](Error::as_std) lends it as one, and it converts into `Box<dyn std::error::Error +
/// Send + Sync>`.
///
/// # Examples
///
/// ```
/// use selvedge::{CancelledError, Error, Result};
///
/// fn parse(text: &str) -> Result<u32> {
///     Ok(text.parse::<u32>()?)
/// }
///
/// let error = parse("many").unwrap_err();
/// assert!(error.is::<std::num::ParseIntError>());
/// assert!(!error.is_cancelled());
/// assert!(Error::from(CancelledError::new()).is_cancelled());
/// ```
#[derive(Clone)]
pub struct Error(Repr);

/// A cancellation without a message is by far the most frequent error of a program that shuts down
/// or times out. It needs neither an allocation nor a shared reference count on which all workers
/// would contend.
#[derive(Clone)]
enum Repr {
    Cancelled,
    Shared(Arc<Shared>),
}

/// The library's own kinds are stored in the one allocation; only foreign errors need a second one,
/// for their type.
enum Shared {
    Cancelled(CancelledError),
    Timeout(TimeoutError),
    Panic(PanicError),
    Runtime(RuntimeError),
    InvalidState(InvalidStateError),
    Foreign(Contained<Box<dyn StdError + Send + Sync>>),
}

static PLAIN_CANCELLATION: CancelledError = CancelledError::new();

impl Error {
    /// An error that consists of a message only.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(selvedge::Error::msg("no route").to_string(), "no route");
    /// ```
    pub fn msg(message: impl fmt::Display) -> Error {
        Error::from(kinds::Message(message.to_string()))
    }

    /// Makes an error from a box whose type is already erased. A box that was made from an `Error`
    /// turns back into it.
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync>) -> Error {
        match error.downcast::<Standard>() {
            Ok(own) => own.0,
            Err(foreign) => Error(Repr::Shared(Arc::new(Shared::Foreign(Contained::new(foreign))))),
        }
    }

    /// Whether this was made from an `E`. Only the error itself is checked, not its causes.
    pub fn is<E: StdError + 'static>(&self) -> bool {
        self.as_std().is::<E>()
    }

    /// The `E` from which this was made; `None` if it was made from another type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.as_std().downcast_ref::<E>()
    }

    /// Whether both are clones of one error.
    pub(crate) fn is_same(&self, other: &Error) -> bool {
        matches!((&self.0, &other.0), (Repr::Shared(one), Repr::Shared(other)) if Arc::ptr_eq(one, other))
    }

    /// Whether this is a [`CancelledError`].
    pub fn is_cancelled(&self) -> bool {
        match &self.0 {
            Repr::Cancelled => true,
            Repr::Shared(shared) => matches!(**shared, Shared::Cancelled(_)),
        }
    }

    /// Whether this is a [`TimeoutError`].
    pub fn is_timeout(&self) -> bool {
        matches!(self.shared(), Some(Shared::Timeout(_)))
    }

    /// Whether this is a [`PanicError`].
    pub fn is_panic(&self) -> bool {
        matches!(self.shared(), Some(Shared::Panic(_)))
    }

    /// The kind of the [`io::Error`] from which this was made; `None` if it was made from another
    /// type.
    ///
    /// What Python expresses by the subclass of `OSError` (`ConnectionResetError`,
    /// `BrokenPipeError` …) Rust expresses by the kind. A [`TimeoutError`] is not an `io::Error`:
    /// use [`is_timeout`](Error::is_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// #[selvedge::main]
    /// async fn main() -> selvedge::Result<()> {
    ///     let taken = selvedge::net::TcpListener::bind("127.0.0.1:0").await?;
    ///     let refused = selvedge::net::TcpListener::bind(taken.local_addr()?).await.unwrap_err();
    ///     assert_eq!(refused.io_kind(), Some(ErrorKind::AddrInUse));
    ///
    ///     let late = selvedge::wait_for(selvedge::sleep(Duration::MAX), Duration::ZERO).await.unwrap_err();
    ///     assert_eq!(late.io_kind(), None);
    ///     Ok(())
    /// }
    /// ```
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.downcast_ref::<io::Error>().map(io::Error::kind)
    }

    /// The operating system's error number, Python's `errno`; `None` if this error does not come
    /// from the operating system.
    ///
    /// The error and its causes ([`source`](Error::source)) are searched to any depth, and the
    /// first number counts. Messages that this library adds (which address could not be bound) hide
    /// no number, and an [`ExceptionGroup`] of one error has the number of that error.
    ///
    /// # Examples
    ///
    /// ```
    /// #[selvedge::main]
    /// async fn main() -> selvedge::Result<()> {
    ///     let nowhere = std::path::Path::new("/no/such/socket");
    ///     # #[cfg(unix)]
    ///     let missing = selvedge::net::UnixStream::connect(nowhere).await.unwrap_err();
    ///     # #[cfg(not(unix))]
    ///     # let missing = selvedge::Error::from(std::fs::File::open(nowhere).unwrap_err());
    ///     assert_eq!(missing.raw_os_error(), Some(2)); // ENOENT
    ///     assert_eq!(selvedge::Error::msg("no route").raw_os_error(), None);
    ///     Ok(())
    /// }
    /// ```
    pub fn raw_os_error(&self) -> Option<i32> {
        system::number(self.as_std())
    }

    /// The error's own cause, if it has one.
    pub fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.as_std().source()
    }

    /// Lends the error as a standard one.
    pub fn as_std(&self) -> &(dyn StdError + Send + Sync + 'static) {
        match self.shared() {
            None => &PLAIN_CANCELLATION,
            Some(Shared::Cancelled(error)) => error,
            Some(Shared::Timeout(error)) => error,
            Some(Shared::Panic(error)) => error,
            Some(Shared::Runtime(error)) => error,
            Some(Shared::InvalidState(error)) => error,
            Some(Shared::Foreign(error)) => &**error.get(),
        }
    }

    /// Prints the error by its trait called `name`.
    fn print(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        print: impl FnOnce(&(dyn StdError + 'static), &mut fmt::Formatter<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let error = self.as_std();
        match self.shared() {
            Some(Shared::Foreign(_)) => {
                foreign::print_error(f, name, |f| print(error, f), || system::causes(error).skip(1).count())
            }
            _ => print(error, f),
        }
    }

    /// The address of its value; `None` for the one kind that has no allocation.
    fn address(&self) -> Option<usize> {
        self.shared().map(|shared| std::ptr::from_ref(shared).addr())
    }

    fn shared(&self) -> Option<&Shared> {
        match &self.0 {
            Repr::Cancelled => None,
            Repr::Shared(shared) => Some(shared),
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Error {
        // The comparisons below are resolved at compile time for each `E`; `Option` lets the value
        // be moved out safely.
        let mut error = Some(error);
        let any: &mut dyn Any = &mut error;
        let io = any.downcast_ref::<Option<io::Error>>().and_then(Option::as_ref);
        let inner = io.and_then(io::Error::get_ref);
        if let Some(Standard(own)) = inner.and_then(|inner| inner.downcast_ref()) {
            return own.clone();
        }
        let shared = if let Some(own) = take::<CancelledError>(any) {
            if own.message().is_none() {
                return Error(Repr::Cancelled);
            }
            Shared::Cancelled(own)
        } else if let Some(own) = take::<TimeoutError>(any) {
            Shared::Timeout(own)
        } else if let Some(own) = take::<PanicError>(any) {
            Shared::Panic(own)
        } else if let Some(own) = take::<RuntimeError>(any) {
            Shared::Runtime(own)
        } else if let Some(own) = take::<InvalidStateError>(any) {
            Shared::InvalidState(own)
        } else {
            Shared::Foreign(Contained::new(Box::new(error.expect("only a type of our own is taken out"))))
        };
        Error(Repr::Shared(Arc::new(shared)))
    }
}

fn take<T: 'static>(option: &mut dyn Any) -> Option<T> {
    option.downcast_mut::<Option<T>>()?.take()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, "Display", fmt::Display::fmt)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, "Debug", fmt::Debug::fmt)
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        Box::new(Standard(error))
    }
}

/// For traits whose errors are those of the operating system. `?` turns it back into the original.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error.0 {
            Repr::Shared(shared) => match Arc::try_unwrap(shared) {
                Ok(Shared::Foreign(foreign)) => match foreign.into_inner().downcast::<io::Error>() {
                    Ok(io) => *io,
                    Err(foreign) => io::Error::other(Standard(Error::from_boxed(foreign))),
                },
                Ok(shared) => io::Error::other(Standard(Error(Repr::Shared(Arc::new(shared))))),
                Err(shared) => io::Error::other(Standard(Error(Repr::Shared(shared)))),
            },
            Repr::Cancelled => io::Error::other(Standard(error)),
        }
    }
}

impl From<Error> for Box<dyn StdError> {
    fn from(error: Error) -> Self {
        Box::new(Standard(error))
    }
}

/// An [`Error`] as a standard error.
struct Standard(Error);

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for Standard {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn own_kinds_survive_the_conversion() {
        assert!(Error::from(TimeoutError::new()).is_timeout());
        assert!(Error::from(PanicError::new("oh")).is_panic());
        assert!(Error::from(RuntimeError::new("no")).is::<RuntimeError>());
        assert!(Error::from(InvalidStateError::new("no")).is::<InvalidStateError>());
        let told = Error::from(CancelledError::with_message("enough"));
        assert!(told.is_cancelled());
        assert_eq!(told.downcast_ref::<CancelledError>().unwrap().message(), Some("enough"));
        assert!(Error::from(CancelledError::new()).is::<CancelledError>());
    }

    #[test]
    fn a_foreign_error_keeps_its_type_and_source() {
        let error = Error::from(std::io::Error::other("disk"));
        assert!(error.is::<std::io::Error>());
        assert_eq!(error.to_string(), "disk");
        assert_eq!(io::Error::from(error).to_string(), "disk");
        assert_eq!(Error::msg("plain").to_string(), "plain");
    }

    #[test]
    fn the_systems_number_is_found_however_deep_it_lies() {
        let refused = || io::Error::from_raw_os_error(111);
        let group = |errors| Error::from(ExceptionGroup::new("some", errors));
        let boxed = |error: Error| Error::from_boxed(error.into());
        let errors = [
            refused().into(),
            io::Error::other(refused()).into(),
            retold(refused(), |error| format!("{error}: there")).into(),
            retold(retold(refused(), |_| "here".into()), |_| "there".into()).into(),
            boxed(refused().into()),
            group(vec![io::Error::other(refused()).into()]),
            boxed(group(vec![boxed(refused().into())])),
        ];
        assert_eq!(errors.each_ref().map(Error::raw_os_error), [Some(111); 7]);
        assert_eq!(group(vec![refused().into(), refused().into()]).raw_os_error(), None);
        assert_eq!(Error::from(CancelledError::new()).raw_os_error(), None);
    }

    #[test]
    fn a_retold_error_keeps_its_kind_and_the_original() {
        let error = Error::from(retold(io::Error::from_raw_os_error(13), |error| format!("{error}: there")));
        assert_eq!(error.io_kind(), Some(io::ErrorKind::PermissionDenied));
        let original = error.source().expect("it is kept");
        assert!(original.downcast_ref::<io::Error>().is_some_and(|error| error.raw_os_error() == Some(13)));
        assert!(original.source().is_none());
        assert_eq!(error.to_string(), format!("{original}: there"));
        assert_eq!(
            format!("{error:?}"),
            format!("Custom {{ kind: PermissionDenied, error: {:?} }}", error.to_string())
        );
    }

    #[test]
    fn an_error_survives_the_way_through_the_operating_systems_kind() {
        let through = |error: Error| Error::from(io::Error::from(error));
        assert!(through(CancelledError::new().into()).is_cancelled());
        assert!(through(TimeoutError::new().into()).is_timeout());
        assert_eq!(through(io::Error::from(io::ErrorKind::AddrInUse).into()).to_string(), "address in use");
        assert_eq!(io::Error::from(Error::from(CancelledError::new())).kind(), io::ErrorKind::Other);
    }
}
