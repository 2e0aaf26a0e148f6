//! How is a stream read by pieces that the program understands?

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

/// The first read of a connection asks for so much; each that gets all it asked for doubles it …
const FIRST_CHUNK: usize = 4 * 1024;
/// … up to this.
const LARGEST_CHUNK: usize = 64 * 1024;

/// The reading side of a connection: asyncio's class of that name.
///
/// It reads from the socket when the program asks and what has come does not do, and holds at most twice its **limit** unless more is asked for by
/// [`readexactly`](Self::readexactly). The limit is also the longest piece that [`readuntil`](Self::readuntil) and [`readline`](Self::readline) return, without the
/// separator. What the program does not ask for stays with the operating system, which slows the peer down.
///
/// Its methods take `&mut self`, so two coroutines cannot read from it at once; asyncio finds out when it happens ("`read()` called while another
/// coroutine is already waiting for incoming data").
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
/// [`CancelledError`](crate::CancelledError); [`std::io::Error`] (`ConnectionReset` …) once what had come before it is read, and from then on
/// each time.
///
/// # Cancellation
///
/// No byte is lost: what a method has read before it was told lies in the reader, and the next one returns it. A method that finds what it needs
/// in the reader can be cancelled too.
pub struct StreamReader {
    source: Source,
    buffer: Buffer,
    limit: usize,
    chunk: usize,
    /// There is no more to come.
    is_over: bool,
    /// Why not.
    error: Option<Error>,
}

enum Source {
    Link(Arc<Link>),
    Feed(Arc<Fed>),
}

impl StreamReader {
    /// A reader that is fed by hand.
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

    /// Reads what is there, at most `n` bytes, and waits if there is nothing. Empty at the end of the stream, or if `n` is zero. asyncio's `read(-1)` is
    /// [`read_to_end`](Self::read_to_end).
    pub async fn read(&mut self, n: usize) -> Result<Vec<u8>> {
        if n > 0 && self.buffer.is_empty() {
            self.come(1).await?;
        } else {
            checkpoint().await?;
        }
        Ok(self.take(n))
    }

    /// Reads until the peer ends its side; asyncio's `read(-1)`. How much that is, is the peer's choice.
    ///
    /// # Cancellation
    ///
    /// What has been read so far stays in the reader. (asyncio loses it.)
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>> {
        while self.come(usize::MAX).await? {}
        Ok(self.take(usize::MAX))
    }

    /// Reads `n` bytes.
    ///
    /// # Errors
    ///
    /// [`IncompleteReadError`], which holds what there was, if the stream ends before that.
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

    /// Reads up to and including a separator: the one that ends first, if there are [several](Separator).
    ///
    /// # Errors
    ///
    /// [`IncompleteReadError`], which holds what there was, if the stream ends before that. [`LimitOverrunError`] if what comes before the separator is longer than
    /// the limit; it stays in the reader. [`RuntimeError`] if there is no separator, or an empty one.
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

    /// Reads a line with its `\n`; at the end of the stream what is left, which is empty when there is nothing.
    ///
    /// # Errors
    ///
    /// [`LimitOverrunError`] if the line is longer than the limit. It is gone then, as far as it has come. (asyncio calls that a `ValueError`.)
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

    /// The end has been read, and all that came before it. (asyncio reads ahead, so its reader may know earlier.)
    pub fn at_eof(&self) -> bool {
        self.is_over && self.error.is_none() && self.buffer.is_empty()
    }

    /// How many bytes have been read from the socket and not been asked for.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Waits for more bytes, on the way to `wanted` in all. False: there are none to come. All waiting happens here.
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
                    // What was lost is lost in both directions.
                    link.abort(Some(error.clone()));
                }
                Err(error)
            }
            Ok(false) => {
                self.is_over = true;
                // The operating system tells a reset once: to the writer, if that came first.
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

/// Waits for nothing; but a request arrives here, so that a loop over what is in the reader can be cancelled.
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
