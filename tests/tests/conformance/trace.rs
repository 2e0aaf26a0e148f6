//! What happened in a scenario, and when?

use std::fmt::{Debug, Write};
use std::future::{Future, IntoFuture};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use parking_lot::Mutex;
use selvedge::{
    CancelledError, Error, EventLoop, ExceptionGroup, IncompleteReadError, InvalidStateError,
    LimitOverrunError, Result, RuntimeError,
};

/// The record of a scenario, to which each of its tasks adds lines. It is `Copy`, which keeps the
/// scenarios as short as their twins: the lines are in a list that lives as long as the test
/// binary.
#[derive(Clone, Copy)]
pub(crate) struct Trace(&'static Record);

struct Record {
    lines: Mutex<Vec<String>>,
    event_loop: Mutex<Option<EventLoop>>,
}

/// Keeps the records reachable, so that no tool reports them as a leak.
static ALL: Mutex<Vec<&'static Record>> = Mutex::new(Vec::new());

impl Trace {
    /// A trace with the time of a loop.
    pub(crate) fn on(event_loop: EventLoop) -> Trace {
        let record = Record { lines: Mutex::default(), event_loop: Mutex::new(Some(event_loop)) };
        let record: &'static Record = Box::leak(Box::new(record));
        ALL.lock().push(record);
        let trace = Trace(record);
        if let Some(event_loop) = &*record.event_loop.lock() {
            event_loop.set_exception_handler(move |_, context| {
                trace.tell(format!("report: {}", context.message()));
            });
        }
        trace
    }

    /// Records an event.
    pub(crate) fn tell(self, what: impl AsRef<str>) {
        let now = self.0.event_loop.lock().as_ref().expect("the scenario is running").time();
        // Rounded as the recorder rounds.
        let ms = (now.as_micros() + 500) / 1000;
        self.0.lines.lock().push(format!("{ms} {}", what.as_ref()));
    }

    /// Records a value.
    pub(crate) fn value(self, who: &str, value: impl Debug) {
        self.tell(format!("{who}: {value:?}"));
    }

    /// Records the result of an await or a call.
    pub(crate) fn result<T: Debug>(self, who: &str, result: &Result<T>) {
        match result {
            Ok(value) => self.value(who, value),
            Err(error) => self.error(who, error),
        }
    }

    /// Records an error.
    pub(crate) fn error(self, who: &str, error: &Error) {
        self.tell(format!("{who}: {}", describe(error)));
    }

    /// Awaits, and records the result.
    pub(crate) async fn outcome<A, T>(self, who: &str, aw: A) -> Option<T>
    where
        A: IntoFuture<Output = Result<T>>,
        T: Debug,
    {
        let result = aw.await;
        self.result(who, &result);
        result.ok()
    }

    /// [`outcome`](Self::outcome) as a coroutine of its own.
    pub(crate) async fn told<T: Debug>(
        self,
        who: &'static str,
        aw: impl Future<Output = Result<T>>,
    ) -> Result<()> {
        self.outcome(who, aw).await;
        Ok(())
    }

    /// Ends the trace, and returns its lines.
    pub(crate) fn finish(self) -> Vec<String> {
        drop(self.0.event_loop.lock().take());
        std::mem::take(&mut *self.0.lines.lock())
    }
}

/// Describes an error in the words of the recorder.
pub(crate) fn describe(error: &Error) -> String {
    if let Some(cancelled) = error.downcast_ref::<CancelledError>() {
        return cancelled.message().map_or_else(|| "cancelled".into(), |it| format!("cancelled {it}"));
    }
    if let Some(group) = error.downcast_ref::<ExceptionGroup>() {
        let mut all = String::from("group[");
        for (index, exception) in group.exceptions().iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(all, "{comma}{}", describe(exception)).expect("strings take everything");
        }
        return all + "]";
    }
    if let Some(incomplete) = error.downcast_ref::<IncompleteReadError>() {
        let partial = String::from_utf8_lossy(incomplete.partial());
        let expected = incomplete.expected().map_or("some".into(), |expected| expected.to_string());
        return format!("incomplete {partial:?} of {expected}");
    }
    if let Some(overrun) = error.downcast_ref::<LimitOverrunError>() {
        return format!("overrun after {}", overrun.consumed());
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection lost".into(),
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => "refused".into(),
            _ => format!("error {error}"),
        };
    }
    if error.is_timeout() {
        "timeout".into()
    } else if error.is::<InvalidStateError>() {
        "invalid state".into()
    } else if error.is::<RuntimeError>() {
        "misuse".into()
    } else {
        format!("error {error}")
    }
}

/// A result among values, as the recorder shows an exception among values.
pub(crate) struct Shown<'a, T>(pub(crate) &'a Result<T>);

impl<T: Debug> Debug for Shown<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Ok(value) => value.fmt(f),
            Err(error) => f.write_str(&describe(error)),
        }
    }
}

/// A cell in which one task passes a value to another.
pub(crate) type Cell<T> = Arc<Mutex<Option<T>>>;
