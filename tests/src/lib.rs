//! Which helpers do all tests share?
//!
//! No test orders events by sleeping. Tests in virtual time use [`settle`]: the clock advances only
//! when no task can run.

pub mod lifecycle;
pub mod storms;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
/// For tests that name `selvedge` through this crate.
pub use selvedge;
use selvedge::{CancelledError, Error, EventLoop, ExceptionContext, Result};

/// Longer than any test may take. In virtual time it passes at once.
pub const LONG: Duration = Duration::from_hours(1);

/// A moment of virtual time.
pub const MOMENT: Duration = Duration::from_millis(1);

/// In virtual time: returns when all other tasks are suspended.
pub async fn settle() -> Result<()> {
    selvedge::sleep(MOMENT).await
}

/// Counts coroutines that have begun.
#[derive(Clone, Default)]
pub struct Begun(Arc<AtomicUsize>);

impl Begun {
    /// Returns a coroutine that is counted at its first step.
    pub fn counts<C: Future>(&self, coro: C) -> impl Future<Output = C::Output> + use<C> {
        let begun = self.clone();
        async move {
            begun.0.fetch_add(1, Ordering::SeqCst);
            coro.await
        }
    }

    /// Waits until `count` coroutines have begun. A task that has begun receives a cancellation
    /// request; one that has not begun would never run.
    pub fn are(&self, count: usize) -> impl Future<Output = Result<()>> + use<> {
        let begun = self.clone();
        async move {
            while begun.0.load(Ordering::SeqCst) < count {
                selvedge::sleep(MOMENT).await?;
            }
            Ok(())
        }
    }
}

/// A future of another crate that never ends, and never receives a cancellation request.
pub async fn foreign() {
    std::future::pending::<()>().await;
}

/// The message of a cancellation.
pub fn message_of(error: &Error) -> Option<&str> {
    error.downcast_ref::<CancelledError>().expect("this is no cancellation").message()
}

/// The events of a test, in order, recorded by any task or thread.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Vec<String>>>);

impl Trace {
    /// An empty trace.
    pub fn new() -> Trace {
        Trace::default()
    }

    /// Records an event.
    pub fn tell(&self, what: impl Into<String>) {
        self.0.lock().push(what.into());
    }

    /// Records the result of an await.
    pub fn tell_result<T: fmt::Debug>(&self, who: &str, result: &Result<T>) {
        match result {
            Ok(value) => self.tell(format!("{who}: {value:?}")),
            Err(error) if error.is_cancelled() => self.tell(format!("{who}: cancelled")),
            Err(error) => self.tell(format!("{who}: {error:?}")),
        }
    }

    /// The events so far.
    pub fn events(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

/// Counts its drops.
#[derive(Clone, Default)]
pub struct Drops(Arc<AtomicUsize>);

impl Drops {
    /// A counter with no drops yet.
    pub fn new() -> Drops {
        Drops::default()
    }

    /// Returns a value whose drop is counted.
    pub fn counted(&self) -> Counted {
        Counted(self.clone())
    }

    /// The number of drops so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// See [`Drops::counted`].
pub struct Counted(Drops);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Collects the reports that the loop's exception handler receives.
#[derive(Clone, Default)]
pub struct Reports(Arc<Mutex<Vec<ExceptionContext>>>);

impl Reports {
    /// Replaces the loop's exception handler.
    pub fn of(event_loop: &EventLoop) -> Reports {
        let reports = Reports::default();
        let sink = reports.clone();
        event_loop.set_exception_handler(move |_, context| sink.0.lock().push(context.clone()));
        reports
    }

    /// Adds a report. For a handler that also does other work.
    pub fn note(&self, context: &ExceptionContext) {
        self.0.lock().push(context.clone());
    }

    /// The messages so far.
    pub fn messages(&self) -> Vec<String> {
        self.0.lock().iter().map(|context| context.message().to_owned()).collect()
    }

    /// The reports so far.
    pub fn all(&self) -> Vec<ExceptionContext> {
        self.0.lock().clone()
    }
}

/// Is pending once without being a leaf of this library, then ends.
#[derive(Default)]
pub struct ForeignYield(bool);

impl Future for ForeignYield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
