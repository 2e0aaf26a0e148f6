//! What stops virtual time between the end of main and the next step of its runner?
//!
//! When main has ended, its worker may have nothing left to run, and a virtual clock would move on
//! before the calling thread has been woken: a task that sleeps for an hour would see the hour as
//! over instead of being cancelled. So main pauses the clock as its last action, on its worker, and
//! the runner ends the pause when it has cancelled the other tasks.
//!
//! The pause begins in a destructor, because that runs however main ends: with a value, a panic, or
//! cancelled before its first step.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use selvedge_scheduler::{ClockPause, Scheduler};

pin_project! {
    /// Main, and the clock pause at its end.
    pub(super) struct PausesAtEnd<C> {
        #[pin]
        main: C,
        // Dropped after the values that main captured, whose destructors are part of main.
        at_end: AtEnd,
    }
}

/// Where the runner finds the clock pause.
#[derive(Clone, Debug, Default)]
pub(super) struct MainsPause(Arc<Mutex<Option<ClockPause>>>);

struct AtEnd(MainsPause);

impl MainsPause {
    /// Returns a future that runs `main` and begins the clock pause when it ends.
    pub(super) fn around<C>(&self, main: C) -> PausesAtEnd<C> {
        PausesAtEnd { main, at_end: AtEnd(self.clone()) }
    }

    /// Ends the clock pause.
    pub(super) fn end(&self) {
        let hold = self.0.lock().take();
        drop(hold);
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        // On another thread the loop is being closed, and time no longer matters.
        let hold = Scheduler::with_current(|scheduler| scheduler.map(Scheduler::pause_clock));
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
