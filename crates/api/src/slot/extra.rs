//! Which data do only some tasks need?

use std::panic::Location;
use std::sync::{Arc, OnceLock};

use selvedge_scheduler::{Scheduler, WaitList};

use super::awaited_by::AwaitedBy;
use super::watcher::{Watcher, WatcherId};
use crate::context::Context;
use crate::error::Error;
use crate::request::{CancelState, Delivery, ForeignWakers, ForeignWakersOwner, Meeting, Request, Route};
use crate::sync::{AtomicBool, Mutex, Ordering};

/// A task's name, message, callbacks, own context and error: allocated when the first of them is needed.
pub(crate) struct Extra {
    created_at: &'static Location<'static>,
    details: Mutex<Details>,
    /// The task's own context, once it differs from the inherited one, or if the task was given one
    /// to run in.
    context: OnceLock<Context>,
    failure: OnceLock<Failure>,
    retrieved: AtomicBool,
    foreign: OnceLock<ForeignWakersOwner>,
}

/// What a task failed with.
struct Failure {
    error: Error,
    /// The scheduler of the loop to which the error is reported if nothing retrieves it. A
    /// cancellation is never reported.
    scheduler: Option<Scheduler>,
}

/// What a shutdown's request found at a task.
#[must_use]
pub(crate) enum ShutdownRequest {
    /// The task had not received it before.
    New(Request),
    /// The task had received one before, by this route.
    Earlier(Route),
}

/// A shutdown's request that the task has received.
struct Shutdown {
    route: Route,
    /// The task has passed the request on, and waits for the tasks that have it now.
    waits: bool,
}

/// Data behind one lock. No code of the program runs, and no value of the program is dropped, while
/// it is held.
#[derive(Default)]
struct Details {
    name: Option<String>,
    cancel_message: Option<Arc<str>>,
    /// The route of a request that another task passed on.
    route: Option<Route>,
    /// The shutdown's request, which reaches the task once.
    shutdown: Option<Box<Shutdown>>,
    watchers: WaitList<Watcher>,
    last_watcher: u64,
    /// `None` in nearly all tasks.
    awaited_by: Option<Box<AwaitedBy>>,
}

impl Extra {
    pub(super) fn new(created_at: &'static Location<'static>) -> Extra {
        Extra {
            created_at,
            details: Mutex::default(),
            context: OnceLock::new(),
            failure: OnceLock::new(),
            retrieved: AtomicBool::new(false),
            foreign: OnceLock::new(),
        }
    }

    pub(super) fn created_at(&self) -> &'static Location<'static> {
        self.created_at
    }

    pub(super) fn name(&self) -> Option<String> {
        self.details.lock().name.clone()
    }

    pub(crate) fn set_name(&self, name: String) {
        let _former = self.details.lock().name.replace(name);
    }

    /// Counts a request and sets its message in one step, so that a message is never delivered with
    /// another request.
    pub(super) fn request(
        &self,
        requests: &CancelState,
        message: Option<Arc<str>>,
        route: Option<Route>,
    ) -> Request {
        let mut details = self.details.lock();
        let request = requests.request_counted();
        if request == Request::First {
            details.cancel_message = message;
            details.route = route;
            return request;
        }
        match (&details.route, route) {
            (_, None) => {}
            (None, route) => details.route = route,
            (Some(earlier), Some(route)) => match route.meet(earlier) {
                // If the request has met itself, the task finds out when it passes the request on.
                Meeting::Joined | Meeting::Circle => {}
                Meeting::Late => route.settle(),
            },
        }
        request
    }

    /// Delivers a request with its own message, and not with that of a request that comes right
    /// after it.
    pub(super) fn deliver(&self, requests: &CancelState) -> (Delivery, Option<Arc<str>>, Option<Route>) {
        let details = self.details.lock();
        (requests.deliver(), details.cancel_message.clone(), details.route.clone())
    }

    /// Counts a shutdown's request, unless the task has received one before.
    pub(super) fn request_shutdown(&self, requests: &CancelState, route: Route) -> ShutdownRequest {
        let mut details = self.details.lock();
        if let Some(shutdown) = &details.shutdown {
            return ShutdownRequest::Earlier(shutdown.route.clone());
        }
        details.shutdown = Some(Box::new(Shutdown { route: route.clone(), waits: false }));
        let request = requests.request_counted();
        match &mut details.route {
            Some(earlier) if request == Request::Joined => earlier.join_shutdown(&route),
            _ => details.route = Some(route),
        }
        if request == Request::First {
            details.cancel_message = None;
        }
        ShutdownRequest::New(request)
    }

    /// The route by which a shutdown's request reached the task.
    pub(super) fn shutdown_route(&self) -> Option<Route> {
        self.details.lock().shutdown.as_ref().map(|shutdown| shutdown.route.clone())
    }

    pub(super) fn set_waits_for_request(&self, waits: bool) {
        if let Some(shutdown) = &mut self.details.lock().shutdown {
            shutdown.waits = waits;
        }
    }

    pub(super) fn waits_for_request(&self) -> bool {
        self.details.lock().shutdown.as_ref().is_some_and(|shutdown| shutdown.waits)
    }

    pub(super) fn cancel_message(&self) -> Option<Arc<str>> {
        self.details.lock().cancel_message.clone()
    }

    pub(super) fn route(&self) -> Option<Route> {
        self.details.lock().route.clone()
    }

    pub(super) fn foreign_wakers_if_any(&self) -> Option<&Arc<ForeignWakers>> {
        self.foreign.get().map(ForeignWakersOwner::get)
    }

    pub(super) fn foreign_wakers(&self, number: u64) -> &Arc<ForeignWakers> {
        self.foreign.get_or_init(|| ForeignWakersOwner::of_task(number)).get()
    }

    pub(crate) fn context(&self) -> &OnceLock<Context> {
        &self.context
    }

    pub(super) fn record_failure(&self, error: &Error) {
        let scheduler = if error.is_cancelled() { None } else { Scheduler::current() };
        let _ = self.failure.set(Failure { error: error.clone(), scheduler });
    }

    pub(super) fn failed_on(&self) -> Option<&Scheduler> {
        self.failure.get()?.scheduler.as_ref()
    }

    pub(super) fn failure(&self) -> Option<Error> {
        Some(self.failure.get()?.error.clone())
    }

    pub(super) fn mark_retrieved(&self) {
        // Relaxed: it only decides whether a report is made; nothing is read through it.
        self.retrieved.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retrieved(&self) -> bool {
        self.retrieved.load(Ordering::Relaxed)
    }

    /// Calls `f` with the tasks that were declared to wait for this one.
    pub(crate) fn with_awaited_by(&self, mut f: impl FnMut(&mut Option<Box<AwaitedBy>>)) {
        f(&mut self.details.lock().awaited_by);
    }

    pub(crate) fn add_watcher(&self, watcher: Watcher) -> WatcherId {
        let mut details = self.details.lock();
        details.last_watcher += 1;
        let id = WatcherId(details.last_watcher);
        details.watchers.put(id.0, watcher);
        id
    }

    #[cfg(test)]
    pub(crate) fn watcher_count(&self) -> usize {
        self.details.lock().watchers.len()
    }

    pub(crate) fn take_watchers(&self) -> WaitList<Watcher> {
        self.details.lock().watchers.take()
    }

    /// Takes one watcher out, if it is still there.
    pub(crate) fn remove_watcher(&self, id: WatcherId) -> Option<Watcher> {
        self.details.lock().watchers.remove(id.0)
    }

    /// Takes a callback out, if it is still there. The id of another task's callback may be the
    /// number of one of this library's watchers here, which must stay.
    pub(crate) fn remove_callback(&self, id: WatcherId) -> Option<Watcher> {
        let watchers = &mut self.details.lock().watchers;
        let is_callback = matches!(watchers.get(id.0), Some(Watcher::Callback(_)));
        if is_callback { watchers.remove(id.0) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every gathered, grouped or named task has an `Extra`.
    #[test]
    fn what_only_some_tasks_need_stays_small() {
        assert!(size_of::<Extra>() <= 216, "{}", size_of::<Extra>());
    }
}
