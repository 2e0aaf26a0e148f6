//! What does the scheduler poll when it runs a task?

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use selvedge_scheduler::{Outcome, TaskRef};

use crate::cancel::{Patience, call_task};
use crate::capture;
use crate::contain;
use crate::coroutine::Coroutine;
use crate::error::{CancelledError, EVENT_LOOP_IS_CLOSED, Error, PanicError, Result};
use crate::event_loop::report;
use crate::request::Requests;
use crate::slot::{TaskRefExt, TaskSlot};
use crate::start::StartHeld;

pin_project! {
    /// A coroutine as a task, and the outermost frame around it. It needs no `Leaf`: the task's own
    /// cancel state shows undelivered requests, at one load per poll.
    pub(crate) struct TaskBody<C> {
        #[pin]
        coro: C,
        started: bool,
        patience: Patience,
    }
}

impl<C> TaskBody<C> {
    pub(crate) fn new(coro: C) -> TaskBody<C> {
        TaskBody { coro, started: false, patience: Patience::default() }
    }
}

impl<C: Coroutine> Future for TaskBody<C> {
    type Output = Ended<C::Item>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let began = requests();
        let is_capture = capture::is_on();
        if !*this.started && (is_capture || began.is_some_and(Requests::has_to_wait)) {
            // Neither a call-graph capture nor a wake for a rescinded request may run the first step.
            return Poll::Pending;
        }
        // Not in a capture: that polls this task inside the poll of the capturing task, which may
        // just have created children.
        let _held = (!is_capture).then(|| StartHeld);
        let result = if !std::mem::replace(this.started, true) && began.is_some_and(Requests::is_pending) {
            // Cancelled before the first step: the body never runs.
            Err(take_request())
        } else {
            if began.is_some_and(Requests::is_pending) && !is_capture {
                with_slot(call_task);
            }
            match this.coro.poll(cx) {
                Poll::Ready(result) => {
                    with_slot(|slot| slot.foreign_wakers_if_any().map(|wakers| wakers.wake_all()));
                    result
                }
                Poll::Pending if began.is_some_and(is_untaken) && !is_capture => {
                    if this.patience.is_left_for_called(cx) {
                        return Poll::Pending;
                    }
                    // Nothing inside could take the request. The scheduler drops the coroutine when
                    // it sees this result.
                    Err(take_request())
                }
                Poll::Pending => return Poll::Pending,
            }
        };
        if let Err(error) = &result {
            with_slot(|slot| slot.record_failure(error));
        }
        Poll::Ready(Ended(result))
    }
}

fn with_slot<R>(f: impl FnOnce(&TaskSlot) -> R) -> Option<R> {
    TaskRef::with_current(|task| task?.slot::<TaskSlot>().map(f))
}

fn requests() -> Option<Requests> {
    with_slot(|slot| slot.requests().load())
}

/// Whether the request that was pending when the poll began has been neither taken nor rescinded.
fn is_untaken(began: Requests) -> bool {
    began.is_pending() && requests().is_some_and(|now| began.is_still_pending_in(now))
}

fn take_request() -> Error {
    let message = with_slot(|slot| {
        let (_, message, route) = slot.deliver();
        if let Some(route) = route {
            route.settle();
        }
        message
    });
    CancelledError::from_message(message.flatten()).into()
}

/// Records the error and returns it as the outcome. Must not panic (see [`Outcome`]), so a missing
/// slot is ignored.
fn failed<T>(task: &TaskRef, error: Error) -> Ended<T> {
    if let Some(slot) = task.slot::<TaskSlot>() {
        slot.record_failure(&error);
    }
    Ended(Err(error))
}

/// What a task ended with.
pub(crate) struct Ended<T>(pub(crate) Result<T>);

impl<T: Send + 'static> Outcome for Ended<T> {
    fn panicked(task: &TaskRef, payload: Box<dyn Any + Send>) -> Self {
        failed(task, PanicError::from_payload(payload).into())
    }

    fn closed(task: &TaskRef) -> Self {
        failed(task, CancelledError::with_message(EVENT_LOOP_IS_CLOSED).into())
    }

    fn abandoned(self, task: &TaskRef) {
        let error = match self.0 {
            Err(error) => error,
            // The value may hold a task, whose value holds the next: the drops must not nest on the
            // stack without bound.
            Ok(value) => return contain::drop_flat(value),
        };
        if !error.is_cancelled() && !task.task_slot().is_retrieved() {
            report::never_retrieved(task, error);
        }
    }
}
