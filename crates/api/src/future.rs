//! How does one task, or a plain function, hand a value to tasks that wait for it?

use std::fmt;
use std::future::{Future as StdFuture, IntoFuture};
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as PollContext, Poll, Waker};

use selvedge_scheduler::WaitList;

use crate::callgraph::{AnyFuture, Shows};
use crate::cancel::Leaf;
use crate::capture::Notes;
use crate::contain::{self, Contained, SoonOrHere, drop_flat, wake_quietly};
use crate::context::Context;
use crate::context_var::copy_context;
use crate::error::{CancelledError, Error, InvalidStateError, Result};
use crate::event_loop::{EventLoop, ExceptionContext, report};
use crate::leaf::{LeafFuture, poll_leaf};
use crate::slot::{AwaitedBy, CallbackId};
use crate::sync::{AtomicBool, Mutex, Ordering, lock_to_wait};

/// A result that is set by hand, for any number of awaiting tasks. Made by
/// [`EventLoop::create_future`].
///
/// This is not the trait [`std::future::Future`] but asyncio's class of that name. Write
/// `asyncio::Future` (`use selvedge as asyncio`) instead of importing it, so that the two are not
/// confused.
///
/// Clones are the same future. Each may be awaited, from any task, and each await returns a clone
/// of the value.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let future = selvedge::get_running_loop()?.create_future();
/// let waiting = selvedge::create_task(future.clone());
/// future.set_result("set")?;
/// assert_eq!(waiting.await?, "set");
/// assert_eq!(future.await?, "set");
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Cancellation
///
/// A request that reaches an await of a future cancels the future, and so all its awaits: asyncio's
/// rule. If that is not meant, await it in a task of its own, and await that task behind a
/// [`shield`](crate::shield).
///
/// # Errors
///
/// The error that was set by [`set_exception`](Future::set_exception); [`CancelledError`] if the
/// future was cancelled. An error that is never retrieved is reported. If every other clone is
/// dropped without a result, the awaits go on waiting.
pub struct Future<T: Clone + Send + Sync + 'static> {
    shared: Arc<Shared<T>>,
    leaf: Leaf,
    /// The number of this await's waker in the list.
    place: Option<u64>,
}

struct Shared<T: Clone + Send + Sync + 'static> {
    event_loop: EventLoop,
    /// Set once, under the lock of `waiting`. It is read without the lock, because the program's
    /// `Clone` must not run under a lock.
    outcome: OnceLock<Result<T>>,
    is_retrieved: AtomicBool,
    waiting: Mutex<Waiting<T>>,
}

/// Wakers and callbacks are taken out of the lock before they are dropped, woken or called.
struct Waiting<T: 'static> {
    list: WaitList<Waiter<T>>,
    last_id: u64,
    /// The tasks and futures that the program has named as waiting for this one (for call graphs).
    awaited_by: Option<Box<AwaitedBy>>,
}

enum Waiter<T: 'static> {
    Awaiter(Waker),
    Callback(Callback<T>),
}

impl<T: 'static> Waiting<T> {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The waker of an await.
    fn waker(&self, place: Option<u64>) -> Option<&Waker> {
        match self.list.get(place?) {
            Some(Waiter::Awaiter(waker)) => Some(waker),
            _ => None,
        }
    }

    fn take_callback(&mut self, id: CallbackId) -> Option<Waiter<T>> {
        // An id that belongs to another future may be the number of an await here.
        let is_callback = matches!(self.list.get(id.number()), Some(Waiter::Callback(_)));
        if is_callback { self.list.remove(id.number()) } else { None }
    }
}

type DoneFn<T> = dyn FnOnce(&Result<T>) + Send;

struct Callback<T: 'static> {
    context: Context,
    function: Contained<Box<DoneFn<T>>>,
}

impl<T: Clone + Send + Sync + 'static> Future<T> {
    pub(crate) fn new(event_loop: EventLoop) -> Future<T> {
        let waiting = Mutex::new(Waiting { list: WaitList::new(), last_id: 0, awaited_by: None });
        let shared =
            Shared { event_loop, outcome: OnceLock::new(), is_retrieved: AtomicBool::new(false), waiting };
        Future { shared: Arc::new(shared), leaf: Leaf::new(), place: None }
    }

    /// The loop on which it was created.
    pub fn get_loop(&self) -> EventLoop {
        self.shared.event_loop.clone()
    }

    /// Sets the value, and wakes all awaiting tasks. Any thread may call it.
    ///
    /// # Errors
    ///
    /// [`InvalidStateError`] if it is done.
    pub fn set_result(&self, value: T) -> Result<()> {
        Shared::finish(&self.shared, Ok(value))
    }

    /// Sets an error, and wakes all awaiting tasks. Any thread may call it.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// let future = selvedge::get_running_loop()?.create_future();
    /// future.set_exception(std::fmt::Error)?;
    /// assert!(future.set_result(1).is_err()); // Too late.
    /// assert!(future.await.unwrap_err().is::<std::fmt::Error>());
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidStateError`] if it is done.
    pub fn set_exception(&self, error: impl Into<Error>) -> Result<()> {
        Shared::finish(&self.shared, Err(error.into()))
    }

    /// Cancels it at once, and wakes all awaiting tasks. Returns false, and does nothing, if it is
    /// done.
    pub fn cancel(&self) -> bool {
        Shared::cancel(&self.shared, CancelledError::new())
    }

    /// As [`cancel`](Self::cancel), with a message.
    pub fn cancel_with(&self, message: impl Into<String>) -> bool {
        Shared::cancel(&self.shared, CancelledError::with_message(message.into()))
    }

    /// Whether it has a value or an error, or was cancelled.
    pub fn done(&self) -> bool {
        self.shared.outcome.get().is_some()
    }

    /// Whether it was cancelled.
    pub fn cancelled(&self) -> bool {
        self.shared.outcome.get().is_some_and(|outcome| outcome.as_ref().is_err_and(Error::is_cancelled))
    }

    /// A clone of the value, without waiting.
    ///
    /// # Errors
    ///
    /// Its error; [`CancelledError`] if it was cancelled; [`InvalidStateError`] if it is not done.
    pub fn result(&self) -> Result<T> {
        self.shared
            .retrieve()
            .cloned()
            .unwrap_or_else(|| Err(InvalidStateError::new("Result is not set.").into()))
    }

    /// The error; `None` if it has a value.
    ///
    /// # Errors
    ///
    /// [`CancelledError`] if it was cancelled; [`InvalidStateError`] if it is not done.
    pub fn exception(&self) -> Result<Option<Error>> {
        match self.shared.retrieve() {
            None => Err(InvalidStateError::new("Exception is not set.").into()),
            Some(Err(error)) if error.is_cancelled() => Err(error.clone()),
            Some(outcome) => Ok(outcome.as_ref().err().cloned()),
        }
    }

    /// Calls `f` with the outcome soon after it is set, in a copy of the context that is current
    /// now, but never inside this call or the one that sets the outcome. A panic in `f` is reported
    /// to the exception handler.
    pub fn add_done_callback(&self, f: impl FnOnce(&Result<T>) + Send + 'static) -> CallbackId {
        let context = copy_context();
        let callback = Callback { context, function: Contained::new(Box::new(f)) };
        let mut waiting = self.shared.waiting.lock();
        let id = waiting.next_id();
        if self.done() {
            drop(waiting);
            Shared::call_soon(&self.shared, vec![callback]);
        } else {
            waiting.list.put(id, Waiter::Callback(callback));
        }
        CallbackId::new(id)
    }

    /// Removes a callback. False if it has run or is about to.
    pub fn remove_done_callback(&self, id: CallbackId) -> bool {
        let removed = self.shared.waiting.lock().take_callback(id);
        removed.is_some()
    }
}

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    fn finish(this: &Arc<Self>, outcome: Result<T>) -> Result<()> {
        match Shared::try_finish(this, outcome) {
            Ok(()) => Ok(()),
            Err(too_late) => {
                drop_flat(too_late);
                Err(InvalidStateError::new("the future is done already").into())
            }
        }
    }

    fn cancel(this: &Arc<Self>, error: CancelledError) -> bool {
        Shared::try_finish(this, Err(error.into())).is_ok()
    }

    /// If there is an outcome already, the new one is returned as the error.
    fn try_finish(this: &Arc<Self>, outcome: Result<T>) -> Result<(), Result<T>> {
        let all = {
            let mut waiting = this.waiting.lock();
            this.outcome.set(outcome)?;
            waiting.list.take()
        };
        let mut callbacks = Vec::new();
        for waiter in all {
            match waiter {
                Waiter::Awaiter(waker) => wake_quietly(waker),
                Waiter::Callback(callback) => callbacks.push(callback),
            }
        }
        if !callbacks.is_empty() {
            Shared::call_soon(this, callbacks);
        }
        Ok(())
    }

    /// Returns the outcome, which then counts as retrieved.
    fn retrieve(&self) -> Option<&Result<T>> {
        let outcome = self.outcome.get()?;
        // Relaxed: it only decides whether a report is made.
        self.is_retrieved.store(true, Ordering::Relaxed);
        Some(outcome)
    }

    fn call_soon(this: &Arc<Self>, callbacks: Vec<Callback<T>>) {
        let shared = Arc::clone(this);
        let all = SoonOrHere::new(move || {
            let outcome = shared.outcome.get().expect("callbacks are called after it was set");
            for Callback { context, function } in callbacks {
                if let Err(panic) = contain::call(|| context.run(|| function.into_inner()(outcome))) {
                    report::callback_panicked(None, panic.into());
                }
            }
        });
        drop(this.event_loop.call_soon(move || all.run()));
    }

    /// Checks again under the lock under which the outcome is set, so that an outcome that is set
    /// in between is not missed.
    fn wait(&self, place: &mut Option<u64>, waker: &Waker) -> Option<&Result<T>> {
        if let Some(outcome) = self.retrieve() {
            return Some(outcome);
        }
        let (fresh, mut waiting) = lock_to_wait(&self.waiting, waker, |waiting| waiting.waker(*place));
        if self.outcome.get().is_some() {
            drop(waiting);
            return self.retrieve();
        }
        let id = *place.get_or_insert_with(|| waiting.next_id());
        let former = fresh.and_then(|fresh| waiting.list.put(id, Waiter::Awaiter(fresh)));
        drop(waiting);
        drop(former);
        None
    }

    fn leave(&self, place: u64) {
        let gone = self.waiting.lock().list.remove(place);
        drop_flat(gone);
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Shared<T> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.outcome.get() {
            if !error.is_cancelled() && !self.is_retrieved.load(Ordering::Relaxed) {
                let context = ExceptionContext::new("Future exception was never retrieved")
                    .with_exception(error.clone());
                self.event_loop.call_exception_handler(&context);
            }
        }
        // The value may hold a future whose value holds the next, and so on.
        drop_flat(self.outcome.take());
    }
}

impl<T: Clone + Send + Sync + 'static> StdFuture for Future<T> {
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut PollContext<'_>) -> Poll<Result<T>> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<T: Clone + Send + Sync + 'static> LeafFuture for Future<T> {
    type Value = T;
    const NAME: &'static str = "selvedge::Future";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        notes.future(Arc::as_ptr(&self.shared).addr());
    }

    fn poll_value(&mut self, cx: &mut PollContext<'_>) -> Poll<Result<T>> {
        let outcome = self.shared.wait(&mut self.place, cx.waker());
        outcome.map_or(Poll::Pending, |outcome| Poll::Ready(outcome.clone()))
    }

    /// A request cancels the future, and with it this await.
    fn meet_request(&mut self, cx: &mut PollContext<'_>) -> ControlFlow<Poll<Result<T>>> {
        let Some(request) = self.leaf.look(cx) else { return Break(Poll::Pending) };
        // If another outcome was set just now, it wins, and the request is left for the next await.
        if Shared::cancel(&self.shared, request) {
            let _taken = self.leaf.take(cx);
        }
        Continue(())
    }
}

impl<T: Clone + Send + Sync + 'static> Shows for Shared<T> {
    fn is_done(&self) -> bool {
        self.outcome.get().is_some()
    }

    fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    fn with_awaited_by(&self, f: &mut dyn FnMut(&mut Option<Box<AwaitedBy>>)) {
        f(&mut self.waiting.lock().awaited_by);
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.outcome.get() {
            None => "pending",
            Some(Ok(_)) => "finished",
            Some(Err(error)) if error.is_cancelled() => "cancelled",
            Some(Err(_)) => "failed",
        };
        write!(f, "<Future {state}>")
    }
}

impl<T: Clone + Send + Sync + 'static> From<&Future<T>> for AnyFuture {
    fn from(future: &Future<T>) -> AnyFuture {
        AnyFuture::of_future(Arc::clone(&future.shared) as Arc<dyn Shows>)
    }
}

impl<T: Clone + Send + Sync + 'static> From<&Future<T>> for Option<AnyFuture> {
    fn from(future: &Future<T>) -> Option<AnyFuture> {
        Some(future.into())
    }
}

impl EventLoop {
    /// A result that is set by hand.
    pub fn create_future<T: Clone + Send + Sync + 'static>(&self) -> Future<T> {
        Future::new(self.clone())
    }
}

impl<T: Clone + Send + Sync + 'static> Clone for Future<T> {
    fn clone(&self) -> Future<T> {
        Future { shared: Arc::clone(&self.shared), leaf: Leaf::new(), place: None }
    }
}

impl<T: Clone + Send + Sync + 'static> IntoFuture for &Future<T> {
    type Output = Result<T>;
    type IntoFuture = Future<T>;

    fn into_future(self) -> Future<T> {
        self.clone()
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Future<T> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.leave(place);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every future has one of these, however many tasks wait for it.
    #[test]
    fn who_waits_takes_little_room() {
        assert!(size_of::<Waiting<u32>>() <= 64, "{}", size_of::<Waiting<u32>>());
    }

    /// Each future counts its own ids, and counts its awaits with the same counter.
    #[test]
    fn an_id_of_another_future_removes_no_awaiter() {
        let outcome = crate::Runner::builder().workers(1).virtual_time(true).run(async {
            let event_loop = crate::get_running_loop()?;
            let (ours, other) = (event_loop.create_future::<u32>(), event_loop.create_future::<u32>());
            let awaiting = crate::create_task(ours.clone());
            crate::sleep(std::time::Duration::from_millis(1)).await?;
            let id = other.add_done_callback(|_| {});
            assert!(!ours.remove_done_callback(id));
            ours.set_result(7)?;
            awaiting.await
        });
        assert_eq!(outcome.unwrap(), 7);
    }
}
