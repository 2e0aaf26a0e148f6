//! What can be done with a task whose type is unknown?

use std::fmt;
use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::extra::ShutdownRequest;
use super::task_slot::TaskSlot;
use crate::error::{CancelledError, Error, InvalidStateError, Result};
use crate::request::{Request, Route};

/// What became of a request that was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request that was not passed on must be returned or given back"]
pub(crate) enum PassedOn {
    /// The task has the request; the await goes on until the task ends.
    Delivered,
    /// The task is done: its result is returned first, and the request is given back.
    TooLate,
    /// The tasks await each other in a circle, which the request has gone round: the await ends
    /// here, and takes the request.
    Circle,
}

/// asyncio's operations on a task, as methods of the scheduler's reference to it. The methods of
/// `Task` and `TaskHandle` call these.
pub(crate) trait TaskRefExt {
    /// # Panics
    ///
    /// If the task is one of the loop's own callbacks; no reference to those ever leaves the loop.
    fn task_slot(&self) -> &TaskSlot;
    fn cancel(&self, message: Option<Arc<str>>) -> bool {
        self.cancel_along(None, message)
    }
    /// [`cancel`](Self::cancel) with a request that another task passes on.
    fn cancel_along(&self, route: Option<Route>, message: Option<Arc<str>>) -> bool;
    /// Cancels this task because its loop is being shut down. Only the first call has an effect.
    fn request_shutdown(&self);
    /// Cancels this task with a request that another task took at the await of this one.
    fn pass_on(&self, route: &Route, error: &CancelledError) -> PassedOn;
    /// [`pass_on`](Self::pass_on) for a shutdown's request.
    fn pass_on_shutdown(&self, route: &Route) -> PassedOn;
    fn ended_cancelled(&self) -> bool;
    /// `None` if the task is not done or did not fail.
    fn failure(&self) -> Option<Error>;
    fn exception(&self) -> Result<Option<Error>>;
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl TaskRefExt for TaskRef {
    fn task_slot(&self) -> &TaskSlot {
        self.slot().expect("only tasks made by `create_task` are handed out")
    }

    fn cancel_along(&self, route: Option<Route>, message: Option<Arc<str>>) -> bool {
        if self.is_done() {
            return false;
        }
        match self.task_slot().request(message, route) {
            Request::First => self.wake(),
            // The caller that made the pending request has woken the task, or is about to.
            Request::Joined => {}
        }
        true
    }

    fn request_shutdown(&self) {
        if self.is_done() {
            return;
        }
        let route = Route::of_shutdown(self.task_slot().number());
        if let ShutdownRequest::New(Request::First) = self.task_slot().request_shutdown(route) {
            self.wake();
        }
    }

    fn pass_on(&self, route: &Route, error: &CancelledError) -> PassedOn {
        if route.is_of_shutdown() {
            return self.pass_on_shutdown(route);
        }
        if self.is_done() {
            return PassedOn::TooLate;
        }
        let Some(route) = route.clone().onward(self.task_slot().number()) else { return PassedOn::Circle };
        let message = error.clone().into_message();
        if self.cancel_along(Some(route), message) { PassedOn::Delivered } else { PassedOn::TooLate }
    }

    fn pass_on_shutdown(&self, route: &Route) -> PassedOn {
        if self.is_done() {
            return PassedOn::TooLate;
        }
        let Some(onward) = route.clone().onward(self.task_slot().number()) else { return PassedOn::Circle };
        match self.task_slot().request_shutdown(onward) {
            ShutdownRequest::New(Request::First) => {
                self.wake();
                PassedOn::Delivered
            }
            ShutdownRequest::New(Request::Joined) => PassedOn::Delivered,
            // The task has received the shutdown's request before, and will end or not. But it may
            // be waiting for the task that passes this request on.
            ShutdownRequest::Earlier(earlier) if route.link(&earlier) => PassedOn::Delivered,
            ShutdownRequest::Earlier(_) => PassedOn::Circle,
        }
    }

    fn ended_cancelled(&self) -> bool {
        self.is_done() && self.task_slot().requests().load().ended_cancelled()
    }

    fn failure(&self) -> Option<Error> {
        if self.is_done() { self.task_slot().failure() } else { None }
    }

    fn exception(&self) -> Result<Option<Error>> {
        if !self.is_done() {
            return Err(InvalidStateError::new("Exception is not set.").into());
        }
        match self.task_slot().failure() {
            Some(error) if error.is_cancelled() => Err(error),
            Some(error) => {
                self.task_slot().mark_retrieved();
                Ok(Some(error))
            }
            None => Ok(None),
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = self.task_slot();
        let state = match self.failure() {
            _ if !self.is_done() => "pending",
            Some(error) if error.is_cancelled() => "cancelled",
            Some(_) => "failed",
            None => "finished",
        };
        write!(
            f,
            "<Task {state} name={:?} coro={} created at {}>",
            slot.name(),
            coro_name(self),
            slot.created_at()
        )
    }
}

/// The type name of the coroutine itself, without what this library wraps around it.
pub(crate) fn coro_name(task: &TaskRef) -> &'static str {
    let full = task.future_name();
    let inner = full.split_once("TaskBody<").and_then(|(_, rest)| rest.strip_suffix('>'));
    let coro = inner.unwrap_or(full);
    coro.strip_prefix("selvedge::runner::clock_pause::PausesAtEnd<")
        .and_then(|main| main.strip_suffix('>'))
        .unwrap_or(coro)
}
