//! What has been written and not been sent, and what is to happen when it is?

use std::io;
use std::net::Shutdown;

use super::buffer::Buffer;
use super::error::IncompleteReadError;
use crate::error::{Error, Result, RuntimeError};
use crate::net::{Bytes, Done};

/// Above so many unsent bytes `drain` waits …
pub(super) const HIGH_WATER: usize = 64 * 1024;
/// … until there are so few.
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
    /// Somebody sends what lies here.
    is_sending: bool,
    /// There was more than the high-water mark, and has not been so little as the low one since.
    is_paused: bool,
    error: Option<Error>,
    /// How the peer was missed after that, or before: by whoever read.
    missed: Option<Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing more is written; the peer is told when the rest is sent.
    Ended,
    /// When the rest is sent, both directions end.
    Closing,
    Closed,
}

/// What the caller is to do when it has released the lock.
#[derive(Debug)]
#[must_use]
pub(super) enum Duty {
    Nothing,
    /// Have somebody send the rest.
    Send,
    /// All has been sent: shut this down.
    ShutDown(Shutdown),
    /// It cannot be sent.
    Fail(Error),
}

/// How an attempt to send went.
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

    /// Sends what there is room for if nothing waits to be sent before it, and keeps the rest.
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

    /// Sends what there is room for.
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

    /// After an attempt: whether somebody who waits for less to be here may go on.
    pub(super) fn resumes(&mut self) -> bool {
        let resumes = self.is_paused && self.bytes.len() <= LOW_WATER;
        self.is_paused &= !resumes;
        resumes
    }

    /// Nobody sends any longer, as all is sent.
    pub(super) fn all_sent(&mut self) -> Duty {
        if !self.bytes.is_empty() {
            // Something was written since.
            return Duty::Send;
        }
        self.is_sending = false;
        self.finish()
    }

    /// Nothing more is written.
    pub(super) fn end(&mut self) -> Result<Duty> {
        self.check()?;
        if self.phase == Phase::Ended {
            return Ok(Duty::Nothing);
        }
        self.phase = Phase::Ended;
        Ok(self.finish())
    }

    /// Nothing more is written or read.
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

    /// What lies here is not sent any more. False if it was over before.
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

    /// The peer ended in the middle of what somebody read.
    pub(super) fn note_missed(&mut self, error: &Error) {
        self.missed = Some(error.clone());
    }

    /// Whether `error`, with which a coroutine failed, says no more than that this connection's
    /// peer has gone. The same kind of error may come from another connection, and then it is one.
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

    /// The error of a connection that cannot be written to any more.
    pub(super) fn check(&self) -> Result<()> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.is_closing() => {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "Connection lost").into())
            }
            None => Ok(()),
        }
    }

    /// What ended the connection in both directions. (A broken pipe follows an end that the peer
    /// has sent.)
    pub(super) fn reset(&self) -> Option<Error> {
        self.error.clone().filter(|error| error.io_kind() != Some(io::ErrorKind::BrokenPipe))
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Closed)
    }

    /// How `wait_closed` ends; `None`: not yet.
    pub(super) fn closed(&self) -> Option<Result<()>> {
        (self.phase == Phase::Closed).then(|| self.error.clone().map_or(Ok(()), Err))
    }

    /// How `drain` ends; `None`: not yet.
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
