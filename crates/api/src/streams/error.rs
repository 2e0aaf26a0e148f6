//! Which errors can reading a stream return?

use std::error::Error as StdError;
use std::fmt;

/// The stream ended before everything that was asked for had come. asyncio's class of the same
/// name.
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
    /// `partial` was read of the `expected` bytes; `None` if the expected length is unknown, as
    /// before a separator.
    pub fn new(partial: Vec<u8>, expected: impl Into<Option<usize>>) -> IncompleteReadError {
        IncompleteReadError { partial, expected: expected.into() }
    }

    /// The bytes that were read before the end. They are no longer in the reader.
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// How many bytes were asked for, if that is known.
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

/// No separator came within the reader's limit. asyncio's class of the same name.
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
/// // All bytes are still in the reader.
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

    /// How many bytes can be read that are not part of a separator.
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
