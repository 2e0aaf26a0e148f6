//! What does every task carry for this library?

use std::panic::Location;
use std::sync::Arc;

use selvedge_scheduler::{RefOr, RefThenBox, Scheduler};

use super::extra::{Extra, ShutdownRequest};
use super::number;
use crate::context::Bindings;
use crate::error::{CancelledError, Error};
use crate::request::{CancelState, Delivery, ForeignWakers, Request, Route};

/// This crate's data in the cell of each task. It is small because every task has one. What only
/// some tasks need (a name, callbacks, an error) is in a box, the `Extra`, which is allocated when
/// it is first needed.
pub(crate) struct TaskSlot {
    requests: CancelState,
    /// The creator's context at creation: one reference to an immutable map.
    inherited: Option<Arc<Bindings>>,
    /// Where the task was created; once there is an `Extra`, that says it.
    extra: RefThenBox<Location<'static>, Extra>,
    number: u64,
}

impl TaskSlot {
    /// `inherited`: the map that is current where the task is created.
    pub(crate) fn new(created_at: &'static Location<'static>, inherited: Option<Arc<Bindings>>) -> TaskSlot {
        TaskSlot {
            requests: CancelState::new(),
            inherited,
            extra: RefThenBox::new(created_at),
            number: number::next(),
        }
    }

    #[inline]
    pub(crate) fn requests(&self) -> &CancelState {
        &self.requests
    }

    /// A number that distinguishes this task from every other one for the life of the process.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn created_at(&self) -> &'static Location<'static> {
        match self.extra.get() {
            RefOr::Ref(created_at) => created_at,
            RefOr::Boxed(extra) => extra.created_at(),
        }
    }

    pub(crate) fn inherited(&self) -> Option<&Arc<Bindings>> {
        self.inherited.as_ref()
    }

    /// The `Extra`, allocated now if the task has none.
    pub(crate) fn extra(&self) -> &Extra {
        self.extra.get_or_box(Extra::new)
    }

    /// The `Extra`, if anything ever needed it.
    pub(crate) fn extra_if_any(&self) -> Option<&Extra> {
        match self.extra.get() {
            RefOr::Ref(_) => None,
            RefOr::Boxed(extra) => Some(extra),
        }
    }

    /// Counts a request, and keeps its message and route if it is the first since the last delivery.
    pub(crate) fn request(&self, message: Option<Arc<str>>, route: Option<Route>) -> Request {
        let is_plain = message.is_none() && route.is_none();
        let extra = if is_plain { self.extra_if_any() } else { Some(self.extra()) };
        match extra {
            Some(extra) => extra.request(&self.requests, message, route),
            None => self.requests.request_counted(),
        }
    }

    /// Delivers what was requested, with its message and its route.
    pub(crate) fn deliver(&self) -> (Delivery, Option<Arc<str>>, Option<Route>) {
        if let Some(extra) = self.extra_if_any() {
            return extra.deliver(&self.requests);
        }
        let delivery = self.requests.deliver();
        // A request with a message may have allocated the `Extra` since.
        let extra = self.extra_if_any();
        (delivery, extra.and_then(Extra::cancel_message), extra.and_then(Extra::route))
    }

    /// Counts the request of a shutdown, which each task receives once.
    pub(crate) fn request_shutdown(&self, route: Route) -> ShutdownRequest {
        self.extra().request_shutdown(&self.requests, route)
    }

    /// asyncio's `uncancel()`.
    pub(crate) fn uncancel(&self) -> u32 {
        let left = self.requests.uncancel();
        if left == 0 && !self.requests.load().is_pending() {
            if let Some(route) = self.route() {
                // The request may have been taken back: then no await will take it.
                route.settle();
            }
        }
        left
    }

    /// The route by which a shutdown's request reached the task, if one has.
    pub(crate) fn shutdown_route(&self) -> Option<Route> {
        self.extra_if_any()?.shutdown_route()
    }

    /// Whether the task waits for tasks to which it has passed a shutdown's request on.
    pub(crate) fn set_waits_for_request(&self, waits: bool) {
        if let Some(extra) = self.extra_if_any() {
            extra.set_waits_for_request(waits);
        }
    }

    pub(crate) fn waits_for_request(&self) -> bool {
        self.extra_if_any().is_some_and(Extra::waits_for_request)
    }

    /// The message of the last request that did not join another one.
    pub(crate) fn cancel_message(&self) -> Option<Arc<str>> {
        self.extra_if_any()?.cancel_message()
    }

    /// The route of that request, if another task passed it on.
    pub(crate) fn route(&self) -> Option<Route> {
        self.extra_if_any()?.route()
    }

    /// The wakers of leaves that waking the task does not reach, if there ever were any.
    pub(crate) fn foreign_wakers_if_any(&self) -> Option<&Arc<ForeignWakers>> {
        self.extra_if_any()?.foreign_wakers_if_any()
    }

    /// The same; they are created now if there are none.
    pub(crate) fn foreign_wakers(&self) -> &Arc<ForeignWakers> {
        self.extra().foreign_wakers(self.number)
    }

    pub(crate) fn name(&self) -> String {
        self.extra_if_any().and_then(Extra::name).unwrap_or_else(|| format!("Task-{}", self.number))
    }

    /// Records how the task failed, for references that cannot take its result. Called before the
    /// task counts as done.
    pub(crate) fn record_failure(&self, error: &Error) {
        if error.is_cancelled() {
            self.requests.end_cancelled();
            if error.downcast_ref::<CancelledError>().is_none_or(|cancelled| cancelled.message().is_none()) {
                return;
            }
        }
        self.extra().record_failure(error);
    }

    /// How the task failed. Meaningful once it is done.
    pub(crate) fn failure(&self) -> Option<Error> {
        let recorded = self.extra_if_any().and_then(Extra::failure);
        recorded.or_else(|| self.requests.load().ended_cancelled().then(|| CancelledError::new().into()))
    }

    /// The scheduler of the loop on which the task failed.
    pub(crate) fn failed_on(&self) -> Option<&Scheduler> {
        self.extra_if_any()?.failed_on()
    }

    /// The error has been seen: it is not reported when the last handle is dropped.
    pub(crate) fn mark_retrieved(&self) {
        self.extra().mark_retrieved();
    }

    pub(crate) fn is_retrieved(&self) -> bool {
        self.extra_if_any().is_some_and(Extra::is_retrieved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_stays_small() {
        assert!(size_of::<TaskSlot>() <= 32);
    }
}
