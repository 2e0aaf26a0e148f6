//! What keeps virtual time still between main's end and whatever its runner does next?
//!
//! When main has ended, its worker may have nothing left to run, and a virtual clock would move on before the calling thread has been woken: a task that sleeps
//! for an hour would be told that the hour is over instead of being cancelled. So main takes a hold on the time as its last act, on its worker,
//! and the runner lets go of it when it has asked the others to stop.
//!
//! It is taken in a destructor, because that runs however main ends: with a value, a panic, or cancelled before its first step.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use selvedge_scheduler::{Scheduler, TimeHold};

pin_project! {
    /// Main, with its last act.
    pub(super) struct PausesAtEnd<C> {
        #[pin]
        main: C,
        // Dropped after what main captured, whose destructors are still main's.
        at_end: AtEnd,
    }
}

/// Where the runner finds the hold.
#[derive(Clone, Debug, Default)]
pub(super) struct MainsPause(Arc<Mutex<Option<TimeHold>>>);

struct AtEnd(MainsPause);

impl MainsPause {
    /// Lets `main` take the hold when it ends.
    pub(super) fn around<C>(&self, main: C) -> PausesAtEnd<C> {
        PausesAtEnd { main, at_end: AtEnd(self.clone()) }
    }

    /// Time may move on.
    pub(super) fn end(&self) {
        let hold = self.0.lock().take();
        drop(hold);
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        // On another thread the loop is being closed; there is no time to hold any more.
        let hold = Scheduler::with_current(|scheduler| scheduler.map(Scheduler::hold_time));
        *self.0.0.lock() = hold;
    }
}

impl<C: Future> Future for PausesAtEnd<C> {
    type Output = C::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().main.poll(cx)
    }
}
