//! Which written bytes are still unsent, and what happens once they are sent?

use std::io;
use std::net::Shutdown;

use super::buffer::Buffer;
use super::error::IncompleteReadError;
use crate::error::{Error, Result, RuntimeError};
use crate::net::{Bytes, Done};

/// With more unsent bytes than this, `drain` waits …
pub(super) const HIGH_WATER: usize = 64 * 1024;
/// … until no more than this are left.
pub(super) const LOW_WATER: usize = HIGH_WATER / 4;

/// The writing side of a connection; guarded by a lock.
///
/// ```text
/// Open ──end──▶ Ended ──close──▶ Closing ──all is sent──▶ Closed
///   └────────────close──────────────▲          fail, abort: from everywhere
/// ```
pub(super) struct Outgoing {
    bytes: Buffer,
    phase: Phase,
    /// A background task is sending `bytes`.
    is_sending: bool,
    /// The unsent bytes have exceeded the high-water mark, and have not fallen to the low-water
    /// mark since.
    is_paused: bool,
    error: Option<Error>,
    /// The reader's error about the peer's end, if a coroutine got one.
    missed: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is written; the peer sees the end when the rest is sent.
    Ended,
    /// When the rest is sent, both directions end.
    Closing,
    Closed,
}

/// What the caller must do after it has released the lock.
#[derive(Debug)]
#[must_use]
pub(super) enum Duty {
    Nothing,
    /// Start a background task that sends the rest.
    Send,
    /// Everything is sent: shut this down.
    ShutDown(Shutdown),
    /// The bytes cannot be sent.
    Fail(Error),
}

/// The result of an io operation that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Some,
    All,
}

impl Outgoing {
    pub(super) fn new() -> Outgoing {
        let bytes = Buffer::default();
        Outgoing { bytes, phase: Phase::Open, is_sending: false, is_paused: false, error: None, missed: None }
    }

    /// Sends as much as there is space for, unless earlier bytes still wait, and keeps the rest.
    pub(super) fn write<'a>(
        &mut self,
        slices: impl Iterator<Item = &'a [u8]>,
        mut try_write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> Result<Duty> {
        self.check()?;
        if self.phase == Phase::Ended {
            return Err(RuntimeError::new("Cannot call write() after write_eof()").into());
        }
        for mut bytes in slices {
            if self.bytes.is_empty() && !bytes.is_empty() {
                match try_write(bytes) {
                    Ok(n) => bytes = &bytes[n..],
                    Err(error) if is_temporary(&error) => {}
                    Err(error) => return Ok(Duty::Fail(error.into())),
                }
            }
            if !bytes.is_empty() {
                self.bytes.push(bytes);
            }
        }
        self.is_paused |= self.bytes.len() > HIGH_WATER;
        let starts = !self.bytes.is_empty() && !self.is_sending;
        self.is_sending |= starts;
        Ok(if starts { Duty::Send } else { Duty::Nothing })
    }

    /// Sends as much as there is space for.
    pub(super) fn send(&mut self, to: &dyn Bytes) -> io::Result<Done<Sent>> {
        if self.bytes.is_empty() {
            return Ok(Done::whole(Sent::All));
        }
        let written = to.write_once(self.bytes.bytes())?;
        if written.value == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.consume(written.value);
        Ok(written.map(|_| if self.bytes.is_empty() { Sent::All } else { Sent::Some }))
    }

    /// Called after a send. True if the tasks that wait in `drain` may continue.
    pub(super) fn resumes(&mut self) -> bool {
        let resumes = self.is_paused && self.bytes.len() <= LOW_WATER;
        self.is_paused &= !resumes;
        resumes
    }

    /// The background task has sent everything it knows of.
    pub(super) fn all_sent(&mut self) -> Duty {
        if !self.bytes.is_empty() {
            // More was written since.
            return Duty::Send;
        }
        self.is_sending = false;
        self.finish()
    }

    /// Ends writing; what was written is still sent.
    pub(super) fn end(&mut self) -> Result<Duty> {
        self.check()?;
        if self.phase == Phase::Ended {
            return Ok(Duty::Nothing);
        }
        self.phase = Phase::Ended;
        Ok(self.finish())
    }

    /// Ends writing and reading; what was written is still sent.
    pub(super) fn close(&mut self) -> Duty {
        if self.is_closing() {
            return Duty::Nothing;
        }
        self.phase = Phase::Closing;
        self.finish()
    }

    fn finish(&mut self) -> Duty {
        match self.phase {
            Phase::Ended if !self.is_sending => Duty::ShutDown(Shutdown::Write),
            Phase::Closing if !self.is_sending => {
                self.phase = Phase::Closed;
                Duty::ShutDown(Shutdown::Both)
            }
            _ => Duty::Nothing,
        }
    }

    /// Discards the unsent bytes. False if the connection was closed already.
    pub(super) fn abort(&mut self, error: Option<Error>) -> bool {
        let is_first = self.phase != Phase::Closed;
        if is_first {
            self.phase = Phase::Closed;
            self.error = error;
            self.is_paused = false;
            self.bytes.clear();
        } else if error.is_some() {
            self.missed = error;
        }
        is_first
    }

    /// Records an error of the reader: the stream ended in the middle of a piece.
    pub(super) fn note_missed(&mut self, error: &Error) {
        self.missed = Some(error.clone());
    }

    /// Whether `error`, with which a coroutine failed, only means that the peer of this connection
    /// has gone. An error of the same kind may come from another connection; that one is reported.
    pub(super) fn is_loss(&self, error: &Error) -> bool {
        use io::ErrorKind as Kind;
        let is_gone = |kind: io::ErrorKind| {
            matches!(
                kind,
                Kind::BrokenPipe
                    | Kind::ConnectionAborted
                    | Kind::ConnectionReset
                    | Kind::HostUnreachable
                    | Kind::NetworkDown
                    | Kind::NetworkUnreachable
                    | Kind::TimedOut
            )
        };
        let ours = [&self.error, &self.missed].into_iter().flatten().any(|ours| ours.is_same(error));
        ours && (error.io_kind().is_some_and(is_gone) || error.is::<IncompleteReadError>())
    }

    /// The error of a connection that can no longer be written to.
    pub(super) fn check(&self) -> Result<()> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.is_closing() => {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "Connection lost").into())
            }
            None => Ok(()),
        }
    }

    /// The error that ended the connection in both directions. (A broken pipe only follows an end
    /// that the peer has sent.)
    pub(super) fn reset(&self) -> Option<Error> {
        self.error.clone().filter(|error| error.io_kind() != Some(io::ErrorKind::BrokenPipe))
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Closed)
    }

    /// The result of `wait_closed`; `None`: not closed yet.
    pub(super) fn closed(&self) -> Option<Result<()>> {
        (self.phase == Phase::Closed).then(|| self.error.clone().map_or(Ok(()), Err))
    }

    /// The result of `drain`; `None`: it must wait.
    pub(super) fn drained(&self) -> Option<Result<()>> {
        match self.check() {
            Ok(()) if self.is_paused => None,
            result => Some(result),
        }
    }

    pub(super) fn unsent(&self) -> usize {
        self.bytes.len()
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
