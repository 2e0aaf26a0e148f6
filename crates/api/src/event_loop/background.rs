//! How does the library run work of its own on a loop?

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use selvedge_scheduler::{Outcome, Slot, TaskRef};

use super::{EventLoop, report};
use crate::error::PanicError;

impl EventLoop {
    /// Runs `work` on the loop's workers. It is not one of the program's tasks: it is neither
    /// listed nor cancelled, and when the loop is closed it is dropped, finished or not.
    pub(crate) fn run_in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.scheduler().spawn(Background(Box::pin(work)), BackgroundSlot));
    }
}

struct Background<F>(Pin<Box<F>>);

impl<F: Future<Output = ()>> Future for Background<F> {
    type Output = Over;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Over> {
        self.0.as_mut().poll(cx).map(|()| Over)
    }
}

struct BackgroundSlot;

impl Slot for BackgroundSlot {
    type ForHandle = ();

    fn completed(&self, _task: &TaskRef) {}
}

struct Over;

impl Outcome for Over {
    fn panicked(_task: &TaskRef, payload: Box<dyn Any + Send>) -> Self {
        report::callback_panicked(None, PanicError::from_payload(payload).into());
        Over
    }

    fn closed(_task: &TaskRef) -> Self {
        Over
    }

    fn abandoned(self, _task: &TaskRef) {}
}
