//! How does a program read a stream in pieces: bytes, lines, up to a separator?

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use selvedge_scheduler::Direction;

use super::buffer::Buffer;
use super::feed::{self, Fed, StreamFeed};
use super::link::Link;
use super::separator::{Search, Separator};
use super::{IncompleteReadError, LimitOverrunError};
use crate::cancel::Leaf;
use crate::error::{Error, Result, RuntimeError};

/// The default [limit](StreamReader) of a reader, in bytes: asyncio's.
pub const DEFAULT_LIMIT: usize = 64 * 1024;

/// The size of a connection's first read. Each read that is filled completely doubles the size …
const FIRST_CHUNK: usize = 4 * 1024;
/// … up to this.
const LARGEST_CHUNK: usize = 64 * 1024;

/// The reading side of a connection: asyncio's class of the same name.
///
/// It reads from the socket only when the program asks for more than the reader already holds, and
/// holds at most twice its **limit** unless [`readexactly`](Self::readexactly) needs more. The
/// limit is also the longest piece that [`readuntil`](Self::readuntil) and
/// [`readline`](Self::readline) return, not counting the separator. Bytes that the program does not
/// ask for stay with the operating system, which slows the peer down.
///
/// Its methods take `&mut self`, so two coroutines cannot read from it at once; asyncio detects
/// this only at run time ("`read()` called while another coroutine is already waiting for incoming
/// data").
///
/// # Examples
///
/// ```
/// use selvedge::streams::StreamReader;
///
/// # selvedge::run(async {
/// // One that is fed by hand; see `open_connection` and `start_server` for those of connections.
/// let (mut reader, feed) = StreamReader::with_feed(1024)?;
/// feed.feed_data(b"one line\nsome bytes, and the rest")?;
/// feed.feed_eof();
/// assert_eq!(reader.readline().await?, b"one line\n");
/// assert_eq!(reader.readexactly(10).await?, b"some bytes");
/// assert_eq!(reader.readuntil(b", ").await?, b", ");
/// assert_eq!(reader.read(100).await?, b"and the rest");
/// assert_eq!(reader.read(100).await?, b"");
/// assert!(reader.at_eof());
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// A second reader at the same time is refused:
///
/// ```compile_fail,E0499
/// # async fn f(mut reader: selvedge::streams::StreamReader) -> selvedge::Result<()> {
/// let one = reader.readline();
/// let other = reader.readline();
/// selvedge::gather((async { one.await }, async { other.await })).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`CancelledError`](crate::CancelledError); [`std::io::Error`] (`ConnectionReset` …) once the
/// bytes that came before the error have been read, and on each call after that.
///
/// # Cancellation
///
/// No byte is lost: what a method has read before it was cancelled stays in the reader, and the
/// next call returns it. A method that finds enough bytes in the reader can be cancelled too.
pub struct StreamReader {
    source: Source,
    buffer: Buffer,
    limit: usize,
    chunk: usize,
    /// The stream has ended; no more bytes will come.
    is_over: bool,
    /// The error that ended the stream, if any.
    error: Option<Error>,
}

enum Source {
    Link(Arc<Link>),
    Feed(Arc<Fed>),
}

impl StreamReader {
    /// A reader without a socket, and the feed that supplies its bytes.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the limit is zero.
    pub fn with_feed(limit: usize) -> Result<(StreamReader, StreamFeed)> {
        check_limit(limit)?;
        let (feed, source) = feed::new(limit);
        Ok((StreamReader::new(Source::Feed(source), limit), feed))
    }

    pub(super) fn of(link: Arc<Link>, limit: usize) -> StreamReader {
        StreamReader::new(Source::Link(link), limit)
    }

    fn new(source: Source, limit: usize) -> StreamReader {
        let buffer = Buffer::default();
        StreamReader { source, buffer, limit, chunk: FIRST_CHUNK, is_over: false, error: None }
    }

    /// Reads what is available, at most `n` bytes, and waits if there is nothing. The result is
    /// empty at the end of the stream, or if `n` is zero. asyncio's `read(-1)` is
    /// [`read_to_end`](Self::read_to_end).
    pub async fn read(&mut self, n: usize) -> Result<Vec<u8>> {
        if n > 0 && self.buffer.is_empty() {
            self.come(1).await?;
        } else {
            checkpoint().await?;
        }
        Ok(self.take(n))
    }

    /// Reads until the peer ends its side; asyncio's `read(-1)`. The peer decides how much that is.
    ///
    /// # Cancellation
    ///
    /// The bytes that have been read so far stay in the reader. (asyncio loses them.)
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        while self.come(usize::MAX).await? {}
        Ok(self.take(usize::MAX))
    }

    /// Reads `n` bytes.
    ///
    /// # Errors
    ///
    /// [`IncompleteReadError`], which holds the bytes that came, if the stream ends before that.
    pub async fn readexactly(&mut self, n: usize) -> Result<Vec<u8>> {
        if self.buffer.len() >= n {
            checkpoint().await?;
        }
        while self.buffer.len() < n {
            if !self.come(n).await? {
                return Err(self.ended_early(Some(n)));
            }
        }
        Ok(self.take(n))
    }

    /// Reads up to and including a separator. If there are [several](Separator), the one that ends
    /// first counts.
    ///
    /// # Errors
    ///
    /// [`IncompleteReadError`], which holds the bytes that came, if the stream ends before the
    /// separator. [`LimitOverrunError`] if the piece before the separator is longer than the limit;
    /// the bytes stay in the reader. [`RuntimeError`] if there is no separator, or an empty one.
    ///
    /// # Examples
    ///
    /// See [`Separator`].
    pub async fn readuntil<S: Separator + ?Sized>(&mut self, separator: &S) -> Result<Vec<u8>> {
        let mut search = Search::new(separator, self.limit)?;
        let mut found = search.look(self.buffer.bytes());
        if !matches!(found, Ok(None)) {
            checkpoint().await?;
        }
        loop {
            if let Some(length) = found? {
                return Ok(self.take(length));
            }
            if !self.come(1).await? {
                return Err(self.ended_early(None));
            }
            found = search.look(self.buffer.bytes());
        }
    }

    /// Reads a line with its `\n`. At the end of the stream it returns the rest, which may be
    /// empty.
    ///
    /// # Errors
    ///
    /// [`LimitOverrunError`] if the line is longer than the limit. The part of the line that has
    /// come is discarded. (asyncio raises a `ValueError`.)
    pub async fn readline(&mut self) -> Result<Vec<u8>> {
        let error = match self.readuntil(b"\n").await {
            Ok(line) => return Ok(line),
            Err(error) => error,
        };
        if let Some(incomplete) = error.downcast_ref::<IncompleteReadError>() {
            return Ok(incomplete.partial().to_vec());
        }
        if let Some(overrun) = error.downcast_ref::<LimitOverrunError>() {
            let line = overrun.consumed();
            let has_come = self.buffer.bytes().get(line) == Some(&b'\n');
            self.discard(if has_come { line + 1 } else { self.buffer.len() });
        }
        Err(error)
    }

    /// [`readline`](Self::readline), or `None` at the end: asyncio's `async for line in reader`.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// # let (mut reader, feed) = selvedge::streams::StreamReader::with_feed(1024)?;
    /// # feed.feed_data(b"one\ntwo")?;
    /// # drop(feed);
    /// let mut count = 0;
    /// while let Some(line) = reader.next_line().await? {
    ///     assert!(!line.is_empty());
    ///     count += 1;
    /// }
    /// # assert_eq!(count, 2);
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.readline().await?;
        Ok((!line.is_empty()).then_some(line))
    }

    /// Whether the end of the stream and all bytes before it have been read. (asyncio reads ahead,
    /// so its reader may know earlier.)
    pub fn at_eof(&self) -> bool {
        self.is_over && self.error.is_none() && self.buffer.is_empty()
    }

    /// How many bytes the reader has received from the socket that the program has not yet taken.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Waits for more bytes until the buffer holds `wanted`, in one or more calls. False: no more
    /// will come. All waits of the reader happen here.
    async fn come(&mut self, wanted: usize) -> Result<bool> {
        if self.is_over {
            checkpoint().await?;
            return self.error.clone().map_or(Ok(false), Err);
        }
        let came = match &self.source {
            Source::Link(link) => {
                let most = self.limit.saturating_mul(2).max(wanted) - self.buffer.len();
                let asked = most.clamp(1, self.chunk);
                let buffer = &mut self.buffer;
                let attempt = link.transport().operation(Direction::Read, |bytes| {
                    match bytes.read_once(buffer.room(asked)) {
                        Ok(read) => {
                            buffer.fill(read.value);
                            Ok(read)
                        }
                        Err(error) => {
                            buffer.rest();
                            Err(error)
                        }
                    }
                });
                let came = attempt.await;
                if matches!(came, Ok(n) if n == self.chunk) {
                    self.chunk = (2 * self.chunk).min(LARGEST_CHUNK);
                }
                came.map(|n| n > 0)
            }
            Source::Feed(fed) => fed.take_over(&mut self.buffer).await,
        };
        match came {
            Err(error) if !error.is_cancelled() => {
                self.is_over = true;
                self.error = Some(error.clone());
                if let Source::Link(link) = &self.source {
                    // A lost connection is lost in both directions.
                    link.abort(Some(error.clone()));
                }
                Err(error)
            }
            Ok(false) => {
                self.is_over = true;
                // The operating system reports a reset only once. If the writer got it, the error is
                // taken from there.
                if let Source::Link(link) = &self.source {
                    self.error = link.outgoing().with(|outgoing| outgoing.reset());
                }
                self.error.clone().map_or(Ok(false), Err)
            }
            came => came,
        }
    }

    fn ended_early(&mut self, expected: Option<usize>) -> Error {
        let error = Error::from(IncompleteReadError::new(self.take(usize::MAX), expected));
        if let Source::Link(link) = &self.source {
            link.outgoing().with(|outgoing| outgoing.note_missed(&error));
        }
        error
    }

    fn take(&mut self, n: usize) -> Vec<u8> {
        let taken = self.buffer.take(n);
        self.consumed(taken.len());
        taken
    }

    fn discard(&mut self, n: usize) {
        self.buffer.consume(n);
        self.consumed(n);
    }

    fn consumed(&self, n: usize) {
        if let Source::Feed(fed) = &self.source {
            fed.consumed(n);
        }
    }
}

pub(super) fn check_limit(limit: usize) -> Result<()> {
    if limit == 0 {
        return Err(RuntimeError::new("Limit cannot be <= 0").into());
    }
    Ok(())
}

/// Does not wait, but delivers a request, so that a loop over bytes that are already in the reader
/// can be cancelled.
async fn checkpoint() -> Result<()> {
    poll_fn(|cx| Poll::Ready(Leaf::new().cancelled(cx).map_or(Ok(()), Err))).await
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        if let Source::Feed(fed) = &self.source {
            fed.forsake();
        }
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StreamReader");
        shown.field("buffered", &self.buffered()).field("limit", &self.limit).field("eof", &self.is_over);
        shown.finish_non_exhaustive()
    }
}
