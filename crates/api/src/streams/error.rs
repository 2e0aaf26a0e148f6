//! What can go wrong with what was read?

use std::error::Error as StdError;
use std::fmt;

/// The stream ended before all that was asked for had come. asyncio's class of that name.
///
/// # Examples
///
/// ```
/// use selvedge::IncompleteReadError;
/// use selvedge::streams::StreamReader;
///
/// # selvedge::run(async {
/// let (mut reader, feed) = StreamReader::with_feed(1024)?;
/// feed.feed_data(b"half")?;
/// feed.feed_eof();
/// let error = reader.readexactly(8).await.unwrap_err();
/// let incomplete: &IncompleteReadError = error.downcast_ref().expect("it ended early");
/// assert_eq!((incomplete.partial(), incomplete.expected()), (&b"half"[..], Some(8)));
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IncompleteReadError {
    partial: Vec<u8>,
    expected: Option<usize>,
}

impl IncompleteReadError {
    /// So much was read of what was expected; `None` if nobody knows how much that is, as before a
    /// separator.
    pub fn new(partial: Vec<u8>, expected: impl Into<Option<usize>>) -> IncompleteReadError {
        IncompleteReadError { partial, expected: expected.into() }
    }

    /// What was read before the end. It is not in the reader any more.
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// How much was asked for, if that was a number.
    pub fn expected(&self) -> Option<usize> {
        self.expected
    }
}

impl fmt::Display for IncompleteReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = self.partial.len();
        match self.expected {
            Some(expected) => write!(f, "{read} bytes read on a total of {expected} expected bytes"),
            None => write!(f, "{read} bytes read, and the stream ended before a separator"),
        }
    }
}

impl fmt::Debug for IncompleteReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncompleteReadError({self})")
    }
}

impl StdError for IncompleteReadError {}

/// No separator came within the reader's limit. asyncio's class of that name.
///
/// # Examples
///
/// ```
/// use selvedge::LimitOverrunError;
/// use selvedge::streams::StreamReader;
///
/// # selvedge::run(async {
/// let (mut reader, feed) = StreamReader::with_feed(4)?;
/// feed.feed_data(b"too long\n")?;
/// let error = reader.readuntil(b"\n").await.unwrap_err();
/// let overrun: &LimitOverrunError = error.downcast_ref().expect("it is too long");
/// // It is all still there.
/// assert_eq!(reader.readexactly(overrun.consumed()).await?, b"too long");
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LimitOverrunError {
    message: &'static str,
    consumed: usize,
}

impl LimitOverrunError {
    pub(super) fn new(message: &'static str, consumed: usize) -> LimitOverrunError {
        LimitOverrunError { message, consumed }
    }

    /// So many bytes can be read that belong to no separator.
    pub fn consumed(&self) -> usize {
        self.consumed
    }
}

impl fmt::Display for LimitOverrunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes before it)", self.message, self.consumed)
    }
}

impl fmt::Debug for LimitOverrunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LimitOverrunError({self})")
    }
}

impl StdError for LimitOverrunError {}
