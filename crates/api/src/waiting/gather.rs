//! How does a coroutine wait for several others and collect their results?

mod children;

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow::{self, Break};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use selvedge_scheduler::TaskRef;

use self::children::Children;
pub use self::children::GatherInput;
use crate::cancel::{DeliveredTo, Leaf, Taken};
use crate::capture::Notes;
use crate::contain::wake_quietly;
use crate::error::{CancelledError, Error, InvalidStateError, Result};
use crate::leaf::{LeafFuture, poll_leaf};
use crate::request::{Meeting, UnderWay};
use crate::slot::{Notify, PassedOn, TaskRefExt};
use crate::start::{self, Start, start_held};
use crate::sync::{AtomicUsize, Mutex, Ordering, lock_to_wait};
use crate::task::{HeldChildren, notify, set_waits_for_request};

/// Runs coroutines side by side, each as a task, and returns their results in the order of the
/// input: a `Vec` for a `Vec`, an array for an array, a tuple for a tuple of up to twelve. A
/// [`Task`](crate::Task) that is given is used as it is.
///
/// An iterator is collected first: `gather(iter.collect::<Vec<_>>())`.
///
/// The children are created by the call. They start when the gathering is awaited, or else when the
/// poll that created them ends. [`limit`](Gather::limit) bounds how many run at once. The first
/// error ends the gathering at once; the other children go on, and their later errors are dropped
/// (as in asyncio). [`return_exceptions`](Gather::return_exceptions) waits for all of them.
///
/// If a gathering is dropped before it has ended, its children go on like dropped
/// [`Task`](crate::Task)s: their errors are reported as never retrieved. An empty input has an
/// empty result, such as an empty `Vec`.
///
/// asyncio accepts the same coroutine or task twice. Here it is moved in, so it can be given only
/// once.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// async fn double(n: u32) -> selvedge::Result<u32> {
///     Ok(2 * n)
/// }
///
/// assert_eq!(selvedge::gather((1..4).map(double).collect::<Vec<_>>()).await?, [2, 4, 6]);
/// assert_eq!(selvedge::gather((double(1), async { Ok("one") })).await?, (2, "one"));
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// The first error of a child, a cancelled child's [`CancelledError`] included;
/// [`InvalidStateError`] if it is awaited again after it has ended.
///
/// # Cancellation
///
/// Cancels every child that is not done, and waits for all of them or for the first that fails.
/// Then the await ends with [`CancelledError`], even if the children refused. Only if all of them
/// ended without having seen the request are their results returned, and the request meets the next
/// await.
///
/// # Panics
///
/// If coroutines are given and no event loop is running on this thread.
#[track_caller]
pub fn gather<G: GatherInput>(children: G) -> Gather<G::Children> {
    start_held();
    let mut start = HeldChildren::default();
    let children = children.start(&mut start);
    let shared = Arc::new(Shared::new(children.count(), start.hold()));
    children.for_each(&mut |index, task| {
        notify(task, Arc::clone(&shared) as Arc<dyn Notify>, index);
    });
    Gather { children: Some(children), shared, leaf: Leaf::new(), cancel: None, is_started: false }
}

/// The future of [`gather`].
#[must_use = "the children have started, but their results are lost unless this is awaited"]
pub struct Gather<C> {
    children: Option<C>,
    shared: Arc<Shared>,
    leaf: Leaf,
    is_started: bool,
    /// The request that was passed on to the children.
    cancel: Option<(CancelledError, DeliveredTo, UnderWay)>,
}

/// The future of [`Gather::return_exceptions`].
#[must_use = "the children have started, but their results are lost unless this is awaited"]
pub struct GatherResults<C>(Gather<C>);

/// What the children share with the gathering. A child wakes the waiting task only when that has
/// something to do: otherwise ten thousand children would wake it ten thousand times.
struct Shared {
    unfinished: AtomicUsize,
    /// The index of the first child that failed; `NONE` if none has failed.
    first_failed: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    start: Arc<Start>,
}

const NONE: usize = usize::MAX;

impl Shared {
    fn new(count: usize, start: Arc<Start>) -> Shared {
        Shared {
            unfinished: AtomicUsize::new(count),
            first_failed: AtomicUsize::new(NONE),
            waker: Mutex::new(None),
            start,
        }
    }

    fn all_done(&self) -> bool {
        // Ordering: Acquire, with the decrements in `notify`: all that the children did is visible
        // to the task that gathers.
        self.unfinished.load(Ordering::Acquire) == 0
    }

    fn first_failed(&self) -> Option<usize> {
        // Ordering: Acquire, with `notify`.
        let index = self.first_failed.load(Ordering::Acquire);
        (index != NONE).then_some(index)
    }

    /// Call it before the second look at the children, so that one that ends between the looks is
    /// not missed.
    fn register(&self, waker: &Waker) {
        let (fresh, mut known) = lock_to_wait(&self.waker, waker, Option::as_ref);
        let former = fresh.and_then(|fresh| known.replace(fresh));
        drop(known);
        drop(former);
    }
}

impl Notify for Shared {
    fn notify(&self, index: usize, task: &TaskRef) {
        let is_first_failed = task.failure().is_some()
            // Ordering: AcqRel, with `first_failed`.
            && self.first_failed.compare_exchange(NONE, index, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        self.start.child_ended(index);
        // Ordering: AcqRel, with `all_done`; each child passes on what the ones before it published.
        let is_last = self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_first_failed || is_last {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                wake_quietly(waker);
            }
        }
    }
}

impl<C: Children> Gather<C> {
    /// Lets at most `most` children run at once, and starts the others in order as those end. The
    /// results stay in the order of the input. [`Task`](crate::Task)s that were given are running
    /// already, and do not count.
    ///
    /// Call it on what [`gather`] has just returned: in the same poll, and before another task is
    /// created. Nested gatherings each have their own limit; create the inner ones where they are
    /// awaited: `async move { gather(..).limit(n).await }`.
    ///
    /// As without a limit, the other children go on after the first error and after the gathering
    /// is dropped, still at most `most` at once. For results as they come:
    /// [`AsCompleted::limit`](crate::AsCompleted::limit).
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// async fn fetch(page: u32) -> selvedge::Result<u32> {
    ///     selvedge::sleep(std::time::Duration::from_millis(1)).await?;
    ///     Ok(page * page)
    /// }
    ///
    /// let pages = selvedge::gather((0..100).map(fetch).collect::<Vec<_>>()).limit(8).await?;
    /// assert_eq!(pages[9], 81);
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// If `most` is zero, if there is a limit already, or if the children have started, because
    /// another task was created since or the poll has ended.
    ///
    /// # Cancellation
    ///
    /// As for [`gather`]; children that have not started never run.
    #[track_caller]
    pub fn limit(mut self, most: usize) -> Gather<C> {
        start::limit(&self.shared.start, most, self.children().count());
        self.is_started = true;
        self
    }

    /// Waits for all children and returns each one's result, errors included. asyncio's
    /// `return_exceptions=True`.
    ///
    /// # Examples
    ///
    /// ```
    /// # selvedge::run(async {
    /// async fn parse(text: &str) -> selvedge::Result<u32> {
    ///     Ok(text.parse()?)
    /// }
    ///
    /// let [one, many] = selvedge::gather([parse("1"), parse("many")]).return_exceptions().await?;
    /// assert_eq!(one?, 1);
    /// assert!(many.is_err());
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancellation
    ///
    /// Cancels every child that is not done and waits for all of them, even after one has failed;
    /// otherwise as for [`gather`].
    pub fn return_exceptions(self) -> GatherResults<C> {
        GatherResults(self)
    }

    /// Ready when `is_over` returns true, or with an error if the gathering has ended before.
    fn poll_until(&mut self, cx: &mut Context<'_>, is_over: impl Fn(&Shared) -> bool) -> Poll<Result<()>> {
        if self.children.is_none() {
            return Poll::Ready(Err(has_ended()));
        }
        if !std::mem::replace(&mut self.is_started, true) {
            self.shared.start.start_all();
        }
        if is_over(&self.shared) {
            return Poll::Ready(Ok(()));
        }
        self.shared.register(cx.waker());
        if is_over(&self.shared) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }

    /// Passes a request on to the children. If that closes a circle of tasks that wait for each
    /// other, the wait ends, and this returns its error.
    fn pass_on_request(&mut self, cx: &Context<'_>) -> Option<CancelledError> {
        let taken = self.leaf.take(cx)?;
        if let Some((_, to, earlier)) = &mut self.cancel {
            match taken.meet(earlier) {
                Meeting::Late => {}
                Meeting::Circle => return Some(taken.error),
                Meeting::Joined => {
                    to.add(taken.to);
                    taken.route.join();
                    self.leaf.suspend(cx);
                    return None;
                }
            }
        }
        match self.cancel_children(&taken) {
            PassedOn::Delivered => {
                if taken.route.route().is_of_shutdown() {
                    set_waits_for_request(true);
                }
                self.cancel = Some((taken.error, taken.to, taken.route.keep()));
                self.leaf.suspend(cx);
            }
            // They are all done, and the last one wakes this task.
            PassedOn::TooLate => self.leaf.give_back(taken.to),
            PassedOn::Circle => return Some(taken.error),
        }
        None
    }

    fn note_children(&self, notes: &mut Notes) {
        if let Some(children) = &self.children {
            children.for_each(&mut |_, task| notes.task(task));
        }
    }

    fn cancel_children(&self, taken: &Taken) -> PassedOn {
        let mut outcome = PassedOn::TooLate;
        self.shared.start.paused(|| {
            self.children().for_each(&mut |_, task| match task.pass_on(taken.route.route(), &taken.error) {
                PassedOn::Circle => outcome = PassedOn::Circle,
                PassedOn::Delivered if outcome == PassedOn::TooLate => outcome = PassedOn::Delivered,
                PassedOn::Delivered | PassedOn::TooLate => {}
            });
        });
        outcome
    }

    fn children(&self) -> &C {
        self.children.as_ref().expect("whoever polls has looked whether it has ended")
    }

    /// Ends the wait. `waited` is an error if a request ends it.
    fn finish_all(&mut self, waited: Result<()>) -> Result<C> {
        let settled = waited.and_then(|()| self.settle_cancel());
        let children = self.end();
        settled.map(|()| children)
    }

    /// The error to end with, if a request was passed on. A request that no child has seen is given
    /// back for the next await instead.
    fn settle_cancel(&mut self) -> Result<()> {
        let Some((error, to, held)) = self.cancel.take() else { return Ok(()) };
        if held.route().is_of_shutdown() {
            set_waits_for_request(false);
        }
        let mut is_seen = false;
        self.children().for_each(&mut |_, task| {
            let requests = task.task_slot().requests().load();
            is_seen |= requests.cancelling() > 0 && !requests.is_pending();
        });
        if is_seen {
            return Err(error.into());
        }
        self.leaf.give_back(to);
        Ok(())
    }

    /// Returns the children. From here on, the errors that the gathering drops count as retrieved.
    fn end(&mut self) -> C {
        let children = self.children.take().expect("whoever polls has looked whether it has ended");
        children.for_each(&mut |_, task| task.task_slot().mark_retrieved());
        children
    }
}

fn has_ended() -> Error {
    InvalidStateError::new("the gathering has ended already").into()
}

impl<C: Children> Gather<C> {
    fn finish(&mut self, waited: Result<()>) -> Result<C::Values> {
        if let Some(index) = self.shared.first_failed() {
            return Err(self.end().into_error(index));
        }
        self.finish_all(waited)?.into_values()
    }
}

impl<C: Children> LeafFuture for Gather<C> {
    type Value = C::Values;
    const NAME: &'static str = "selvedge::gather";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        self.note_children(notes);
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Values>> {
        self.poll_until(cx, |shared| shared.all_done() || shared.first_failed().is_some())?
            .map(|()| self.finish(Ok(())))
    }

    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<C::Values>>> {
        let ends_by = self.pass_on_request(cx);
        Break(ends_by.map_or(Poll::Pending, |error| Poll::Ready(self.finish(Err(error.into())))))
    }
}

impl<C: Children> LeafFuture for GatherResults<C> {
    type Value = C::Results;
    const NAME: &'static str = "selvedge::gather";

    #[inline]
    fn leaf(&mut self) -> &mut Leaf {
        &mut self.0.leaf
    }

    fn awaits(&self, notes: &mut Notes) {
        self.0.note_children(notes);
    }

    fn poll_value(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Results>> {
        self.0.poll_until(cx, Shared::all_done)?.map(|()| self.0.finish_all(Ok(())).map(C::into_results))
    }

    fn meet_request(&mut self, cx: &mut Context<'_>) -> ControlFlow<Poll<Result<C::Results>>> {
        let ends_by = self.0.pass_on_request(cx);
        let mut end = |error: CancelledError| self.0.finish_all(Err(error.into())).map(C::into_results);
        Break(ends_by.map_or(Poll::Pending, |error| Poll::Ready(end(error))))
    }
}

impl<C: Children> Future for Gather<C> {
    type Output = Result<C::Values>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<C: Children> Future for GatherResults<C> {
    type Output = Result<C::Results>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_leaf(self.get_mut(), cx)
    }
}

impl<C> Unpin for Gather<C> {}

impl<C> Drop for Gather<C> {
    fn drop(&mut self) {
        if !self.is_started {
            self.shared.start.start_all();
        }
    }
}

impl<C> fmt::Debug for Gather<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unfinished = self.shared.unfinished.load(Ordering::Relaxed);
        f.debug_struct("Gather").field("unfinished", &unfinished).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for GatherResults<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
