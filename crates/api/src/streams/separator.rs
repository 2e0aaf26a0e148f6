//! Where does the next piece of a stream end?

use memchr::memmem;

use super::LimitOverrunError;
use crate::error::{Result, RuntimeError};

/// What ends a piece: bytes, or the first of several alternatives. Sealed: there is nothing to
/// implement.
///
/// # Examples
///
/// ```
/// use selvedge::streams::StreamReader;
///
/// # selvedge::run(async {
/// let (mut reader, feed) = StreamReader::with_feed(1024)?;
/// feed.feed_data(b"one\r\ntwo\nthree;")?;
/// assert_eq!(reader.readuntil(b"\r\n").await?, b"one\r\n");
/// let ends: &[&[u8]] = &[b"\r\n", b"\n", b";"];
/// assert_eq!(reader.readuntil(ends).await?, b"two\n");
/// assert_eq!(reader.readuntil(ends).await?, b"three;");
/// # Ok(())
/// # }).unwrap();
/// ```
pub trait Separator: sealed::Sealed {}

mod sealed {
    pub trait Sealed {
        #[doc(hidden)]
        fn each(&self) -> impl Iterator<Item = &[u8]>;
    }
}

macro_rules! separator {
    ($([$($generics:tt)*] $type:ty: |$self:ident| $each:expr;)*) => {
        $(
            impl<$($generics)*> Separator for $type {}
            impl<$($generics)*> sealed::Sealed for $type {
                fn each(&self) -> impl Iterator<Item = &[u8]> {
                    let $self = self;
                    $each
                }
            }
        )*
    };
}

separator! {
    [const N: usize] [u8; N]: |it| std::iter::once(&it[..]);
    [] [u8]: |it| std::iter::once(it);
    [] str: |it| std::iter::once(it.as_bytes());
    [] Vec<u8>: |it| std::iter::once(&it[..]);
    [const N: usize] [&[u8]; N]: |it| it.iter().copied();
    [] [&[u8]]: |it| it.iter().copied();
    [const N: usize] [&str; N]: |it| it.iter().map(|separator| separator.as_bytes());
    [] [&str]: |it| it.iter().map(|separator| separator.as_bytes());
}

impl<S: Separator + ?Sized> Separator for &S {}
impl<S: sealed::Sealed + ?Sized> sealed::Sealed for &S {
    fn each(&self) -> impl Iterator<Item = &[u8]> {
        (**self).each()
    }
}

/// Searches for separators in the bytes that have come so far. Each search starts where the last
/// one ended.
pub(super) struct Search<'a, S: ?Sized> {
    separator: &'a S,
    shortest: usize,
    longest: usize,
    limit: usize,
    /// No separator begins before here.
    offset: usize,
}

impl<'a, S: Separator + ?Sized> Search<'a, S> {
    pub(super) fn new(separator: &'a S, limit: usize) -> Result<Search<'a, S>> {
        let shortest = separator.each().map(<[u8]>::len).min().unwrap_or(0);
        if shortest == 0 {
            return Err(RuntimeError::new("Separator should be at least one-byte string").into());
        }
        let longest = separator.each().map(<[u8]>::len).max().unwrap_or(0);
        Ok(Search { separator, shortest, longest, limit, offset: 0 })
    }

    /// The length of the piece that ends first, including its separator; `None`: more bytes are
    /// needed.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Result<Option<usize>, LimitOverrunError> {
        if bytes.len() - self.offset < self.shortest {
            return Ok(None);
        }
        let ends = self.separator.each().filter_map(|separator| {
            memmem::find(&bytes[self.offset..], separator).map(|start| (self.offset + start, separator.len()))
        });
        if let Some((start, length)) = ends.min_by_key(|&(start, length)| (start + length, length)) {
            if start > self.limit {
                let message = "Separator is found, but chunk is longer than limit";
                return Err(LimitOverrunError::new(message, start));
            }
            return Ok(Some(start + length));
        }
        // The last bytes may be the beginning of the longest separator.
        self.offset = (bytes.len() + 1).saturating_sub(self.longest);
        if self.offset > self.limit {
            let message = "Separator is not found, and chunk exceed the limit";
            return Err(LimitOverrunError::new(message, self.offset));
        }
        Ok(None)
    }
}
