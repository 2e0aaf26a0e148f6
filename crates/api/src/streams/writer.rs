//! How does a program write a stream without waiting for each piece?

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::link::Link;
use crate::error::Result;

/// The writing side of a connection: asyncio's class of the same name.
///
/// [`write`](Self::write) does not wait: bytes that the operating system does not take at once are
/// kept and sent in the background, even if no task waits for that. [`drain`](Self::drain) waits
/// while more than 64 KiB are kept. A task that calls it after each write never has more than that
/// plus one write in memory, however slow the peer is. Several tasks may write through one
/// reference; each write is sent whole.
///
/// Bytes that are unsent when the loop is closed are lost, and the peer sees an ordinary end, as
/// with asyncio: await [`wait_closed`](Self::wait_closed) before main returns.
///
/// Dropping the writer ends its direction when the rest is sent, as [`write_eof`](Self::write_eof)
/// does; the reader may continue. The connection is closed when both are dropped, or by
/// [`close`](Self::close).
///
/// # Examples
///
/// ```
/// use selvedge::{open_connection, start_server};
///
/// # selvedge::run(async {
/// let server = start_server(async |mut reader, writer| {
///     while let Some(line) = reader.next_line().await? {
///         writer.write(&line)?;
///         writer.drain().await?;
///     }
///     Ok(())
/// }, "127.0.0.1:0").await?;
///
/// let (mut reader, writer) = open_connection(&server.local_addrs()[..]).await?;
/// writer.writelines(["hello\n", "world\n"])?;
/// writer.write_eof()?;
/// assert_eq!(reader.read_to_end().await?, b"hello\nworld\n");
/// writer.close();
/// writer.wait_closed().await?;
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// A lost connection stays lost: each method returns the [`std::io::Error`] that ended it
/// (`BrokenPipe`, `ConnectionReset` …), also if it occurred while reading or in the background;
/// after [`close`](Self::close), `ConnectionReset` "Connection lost".
///
/// # Cancellation
///
/// Ends the wait. Bytes that were written are still sent.
pub struct StreamWriter {
    link: Arc<Link>,
}

impl StreamWriter {
    pub(super) fn of(link: Arc<Link>) -> StreamWriter {
        StreamWriter { link }
    }

    /// Sends `bytes`, now or in the background.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`](crate::RuntimeError) after [`write_eof`](Self::write_eof); the
    /// [`std::io::Error`] of a connection that is known to be lost. (asyncio drops the bytes in
    /// this case, and reports it at the next `drain`.) Success does not mean that the bytes will
    /// arrive.
    pub fn write(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.link.write(std::iter::once(bytes.as_ref()))
    }

    /// Sends several pieces, with no other task's bytes between them.
    pub fn writelines<I>(&self, pieces: I) -> Result<()>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let pieces: Vec<I::Item> = pieces.into_iter().collect();
        // `as_ref` is the program's code, which may use this writer or panic: never call it under
        // the lock.
        let pieces: Vec<&[u8]> = pieces.iter().map(AsRef::as_ref).collect();
        self.link.write(pieces.into_iter())
    }

    /// If more than 64 KiB are unsent, waits until no more than 16 KiB are; else it returns at
    /// once. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// The [`std::io::Error`] of a connection that is lost, `ConnectionReset` if it was closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// # let server = selvedge::start_server(async |mut reader, _| {
    /// #     assert_eq!(reader.read_to_end().await?.len(), 1_000_000);
    /// #     Ok(())
    /// # }, "127.0.0.1:0").await?;
    /// # let (_, writer) = selvedge::open_connection(&server.local_addrs()[..]).await?;
    /// for _ in 0..1000 {
    ///     writer.write([0; 1000])?;
    ///     writer.drain().await?;
    ///     assert!(writer.unsent() <= 64 * 1024);
    /// }
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn drain(&self) -> Result<()> {
        self.link.outgoing().until(|outgoing| outgoing.drained()).await?
    }

    /// Ends this direction when the rest is sent: the peer then reads the end, and may continue to
    /// write. Calling it again does nothing.
    ///
    /// # Errors
    ///
    /// The [`std::io::Error`] of a connection that is lost or closed.
    pub fn write_eof(&self) -> Result<()> {
        self.link.end()
    }

    /// Whether [`write_eof`](Self::write_eof) can be used: always with TCP and Unix sockets. For
    /// ported programs that check this.
    pub fn can_write_eof(&self) -> bool {
        true
    }

    /// Closes both directions when the rest is sent, in the background. Calling it again does
    /// nothing. A coroutine that reads gets the end of the stream.
    ///
    /// The descriptor is released when the reader and the writer are dropped too.
    pub fn close(&self) {
        self.link.close();
    }

    /// Whether [`close`](Self::close) was called, or the connection is known to be lost.
    pub fn is_closing(&self) -> bool {
        self.link.outgoing().with(|outgoing| outgoing.is_closing())
    }

    /// Waits until the connection is closed and the rest is sent, after [`close`](Self::close).
    /// Without a `close` it may wait for ever.
    ///
    /// # Errors
    ///
    /// The [`std::io::Error`] because of which the rest could not be sent.
    pub async fn wait_closed(&self) -> Result<()> {
        self.link.outgoing().until(|outgoing| outgoing.closed()).await?
    }

    /// Closes both directions at once, and drops unsent bytes. asyncio's
    /// `writer.transport.abort()`.
    pub fn abort(&self) {
        self.link.abort(None);
    }

    /// The number of unsent bytes. asyncio's `writer.transport.get_write_buffer_size()`.
    pub fn unsent(&self) -> usize {
        self.link.outgoing().with(|outgoing| outgoing.unsent())
    }

    /// The address of the peer when the connection began; `None` for a Unix socket. asyncio's
    /// `get_extra_info("peername")`.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.link.peer()
    }

    /// The address of this end; `None` for a Unix socket. asyncio's `get_extra_info("sockname")`.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.link.transport().local_addr()
    }
}

/// Access to the operating system's descriptor, for its options. asyncio's
/// `get_extra_info("socket")`.
#[cfg(unix)]
impl std::os::fd::AsFd for StreamWriter {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.link.transport().as_fd()
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        // This fails if the direction has ended already.
        let _ = self.link.end();
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StreamWriter");
        shown.field("peer", &self.peer_addr()).field("unsent", &self.unsent());
        shown.field("closing", &self.is_closing()).finish_non_exhaustive()
    }
}
