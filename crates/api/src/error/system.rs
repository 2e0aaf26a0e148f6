//! How does an error of the operating system keep its kind and number when a message is added?

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::{Standard, call};

/// An error of the operating system with a more helpful message. It keeps the original.
struct Retold {
    told: String,
    original: io::Error,
}

/// The same error with another message. It keeps its kind, and
/// [`Error::raw_os_error`](super::Error::raw_os_error) finds its number.
pub(crate) fn retold(original: io::Error, tell: impl FnOnce(&io::Error) -> String) -> io::Error {
    let told = tell(&original);
    io::Error::new(original.kind(), Retold { told, original })
}

impl fmt::Display for Retold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

/// Prints only the text, because a program whose `main` fails prints its error by `Debug`.
impl fmt::Debug for Retold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.told, f)
    }
}

impl StdError for Retold {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.original)
    }
}

/// More causes than any real error has. An error that names itself as its cause would never end.
const MOST_CAUSES: usize = 1_000_000;

/// `error` and its causes.
pub(super) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error)).take(MOST_CAUSES)
}

fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(io) = error.downcast_ref::<io::Error>() {
        // `source` of an `io::Error` skips the error that it contains.
        io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
    } else if let Some(Standard(error)) = error.downcast_ref() {
        Some(error.as_std())
    } else {
        // This is the user's code: if it panics, no cause is known.
        call(|| error.source()).unwrap_or_default()
    }
}

/// The first number of the operating system among `error` and its causes.
pub(super) fn number(error: &(dyn StdError + 'static)) -> Option<i32> {
    causes(error).find_map(|error| error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error))
}
