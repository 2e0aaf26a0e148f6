//! What did the operating system say, and what do we say of it?

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::Standard;

/// An error of the operating system's in words that say more than its own, which is kept.
struct Retold {
    told: String,
    original: io::Error,
}

/// The same error, told in other words. It keeps its kind, and its number can be found ([`Error::raw_os_error`](super::Error::raw_os_error)).
pub(crate) fn retold(original: io::Error, tell: impl FnOnce(&io::Error) -> String) -> io::Error {
    let told = tell(&original);
    io::Error::new(original.kind(), Retold { told, original })
}

impl fmt::Display for Retold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

/// As the text alone: that is what a program prints whose `main` fails.
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

/// The first number of the operating system's among `error` and its causes.
pub(super) fn number(error: &(dyn StdError + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(error) = next {
        next = if let Some(io) = error.downcast_ref::<io::Error>() {
            if let Some(number) = io.raw_os_error() {
                return Some(number);
            }
            // Its `source` would leave out what it is made of.
            io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
        } else if let Some(Standard(error)) = error.downcast_ref() {
            Some(error.as_std())
        } else {
            error.source()
        };
    }
    None
}
