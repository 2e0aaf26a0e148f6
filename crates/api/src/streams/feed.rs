//! How does a program supply bytes to a reader that has no socket?

use std::fmt;
use std::sync::Arc;

use super::buffer::Buffer;
use super::watched::Watched;
use crate::error::{Error, Result, RuntimeError};

/// Feeds a [`StreamReader`](super::StreamReader) that has no socket, from any thread: for tests,
/// and for custom protocols. Corresponds to asyncio's `feed_data`, `feed_eof` and `set_exception`,
/// which are methods of the reader there.
///
/// Clones feed the same reader. The stream ends when all of them are dropped.
///
/// # Examples
///
/// ```
/// use selvedge::streams::StreamReader;
///
/// # selvedge::run(async {
/// let (mut reader, feed) = StreamReader::with_feed(1024)?;
/// let lines = selvedge::create_task(async move {
///     let mut lines = Vec::new();
///     while let Some(line) = reader.next_line().await? {
///         lines.push(String::from_utf8(line)?);
///     }
///     Ok(lines)
/// });
/// feed.feed_data(b"one\ntwo\nth")?;
/// feed.feed_data(b"ree")?;
/// feed.feed_eof();
/// assert_eq!(lines.await?, ["one\n", "two\n", "three"]);
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct StreamFeed(Arc<Feeding>);

/// Ends the stream when the last feed is dropped.
struct Feeding(Arc<Fed>);

/// The bytes that have been fed and not yet read.
pub(super) struct Fed(Watched<State>);

struct State {
    /// Bytes that the reader has not taken over yet.
    bytes: Buffer,
    /// The length of `bytes` plus that of the unread bytes in the reader.
    unread: usize,
    limit: usize,
    is_paused: bool,
    /// The reader has been dropped.
    is_unread_for_ever: bool,
    end: Option<Result<()>>,
}

pub(super) fn new(limit: usize) -> (StreamFeed, Arc<Fed>) {
    let bytes = Buffer::default();
    let state = State { bytes, unread: 0, limit, is_paused: false, is_unread_for_ever: false, end: None };
    let fed = Arc::new(Fed(Watched::new(state)));
    (StreamFeed(Arc::new(Feeding(Arc::clone(&fed)))), fed)
}

impl StreamFeed {
    /// Appends bytes, without an upper limit: see [`drain`](Self::drain).
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] after the end has been fed.
    pub fn feed_data(&self, bytes: &[u8]) -> Result<()> {
        self.state().change(|state| {
            if state.end.is_some() {
                return Err(RuntimeError::new("feed_data after feed_eof").into());
            }
            if !state.is_unread_for_ever {
                state.bytes.push(bytes);
                state.unread += bytes.len();
                state.is_paused |= state.unread > state.limit.saturating_mul(2);
            }
            Ok(())
        })
    }

    /// Ends the stream. Calling it again does nothing.
    pub fn feed_eof(&self) {
        self.0.0.end(Ok(()));
    }

    /// Ends the stream with an error. The reader returns it when everything that was fed before has
    /// been read. (asyncio's reader raises it at once, and its unread bytes are lost.)
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::streams::StreamReader;
    ///
    /// # selvedge::run(async {
    /// let (mut reader, feed) = StreamReader::with_feed(1024)?;
    /// feed.feed_data(b"whole\nha")?;
    /// feed.set_exception(selvedge::Error::msg("cut"));
    /// assert_eq!(reader.readline().await?, b"whole\n");
    /// assert_eq!(reader.readline().await.unwrap_err().to_string(), "cut");
    /// assert_eq!(reader.read(8).await?, b"ha");
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_exception(&self, error: impl Into<Error>) {
        self.0.0.end(Err(error.into()));
    }

    /// Whether more than twice the reader's limit is unread. It becomes false again when no more
    /// than the limit is unread. asyncio pauses the transport in between.
    pub fn is_paused(&self) -> bool {
        self.state().with(|state| state.is_paused)
    }

    /// Waits while the reader [has too much](Self::is_paused) unread. A task that feeds large
    /// amounts should call it after each piece.
    ///
    /// # Examples
    ///
    /// ```
    /// use selvedge::streams::StreamReader;
    ///
    /// # selvedge::run(async {
    /// let (mut reader, feed) = StreamReader::with_feed(4)?;
    /// let feeder = selvedge::create_task(async move {
    ///     for _ in 0..1000 {
    ///         feed.feed_data(b"0123456789")?;
    ///         feed.drain().await?;
    ///     }
    ///     Ok(())
    /// });
    /// assert_eq!(reader.read_to_end().await?.len(), 10_000);
    /// feeder.await
    /// # }).unwrap();
    /// ```
    pub async fn drain(&self) -> Result<()> {
        self.state().until(|state| (!state.is_paused).then_some(())).await
    }

    fn state(&self) -> &Watched<State> {
        &self.0.0.0
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.end(Ok(()));
    }
}

impl Fed {
    fn end(&self, how: Result<()>) {
        // A second end is dropped outside the lock: its error may run foreign code.
        let mut how = Some(how);
        self.0.change(|state| {
            if state.end.is_none() {
                state.end = how.take();
            }
        });
    }

    /// Waits for bytes, and moves them to `buffer`. False: no more will come.
    pub(super) async fn take_over(&self, buffer: &mut Buffer) -> Result<bool> {
        if self.0.with(|state| state.is_paused && state.bytes.is_empty()) {
            // The reader needs more bytes than the limit allows, so the pause must end, or both
            // would wait for ever.
            self.0.change(|state| state.is_paused = false);
        }
        let look = |state: &mut State| {
            if state.bytes.is_empty() {
                return state.end.clone().map(|end| end.map(|()| false));
            }
            if buffer.is_empty() {
                std::mem::swap(buffer, &mut state.bytes);
            } else {
                buffer.push(state.bytes.bytes());
                state.bytes.clear();
            }
            Some(Ok(true))
        };
        self.0.until(look).await?
    }

    /// The reader has returned `n` bytes to the program.
    pub(super) fn consumed(&self, n: usize) {
        let resumes = self.0.with(|state| {
            state.unread -= n;
            state.is_paused && state.unread <= state.limit
        });
        if resumes {
            self.0.change(|state| state.is_paused = state.unread > state.limit);
        }
    }

    /// The reader has been dropped: everything unread is discarded.
    pub(super) fn forsake(&self) {
        self.0.change(|state| {
            state.is_unread_for_ever = true;
            state.is_paused = false;
            state.bytes.clear();
        });
    }
}

impl fmt::Debug for StreamFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.state().with(|state| state.unread);
        f.debug_struct("StreamFeed").field("unread", &unread).finish_non_exhaustive()
    }
}
