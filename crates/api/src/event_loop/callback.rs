//! How does the loop call a plain function?

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as PollContext, Poll};
use std::time::Duration;

use selvedge_scheduler::{JoinHandle, Moment, Outcome, Slot, TaskRef, Timer};

use super::{EventLoop, report};
use crate::contain;
use crate::context::Context;
use crate::start::StartHeld;
use crate::time;

/// A function that the loop is to call soon: what [`call_soon`](EventLoop::call_soon) returns.
///
/// On a closed loop the function is dropped uncalled, and the handle is
/// [cancelled](Handle::cancelled) from the start. Dropping it changes nothing.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// let event_loop = selvedge::get_running_loop()?;
/// let called = event_loop.create_future();
/// let ours = called.clone();
/// event_loop.call_soon(move || ours.set_result("called").unwrap());
/// assert_eq!(called.await?, "called");
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Handle {
    task: TaskRef,
    cancelled: Arc<AtomicBool>,
}

/// A function that the loop is to call at a given time: what [`call_later`](EventLoop::call_later)
/// and [`call_at`](EventLoop::call_at) return. A time in the past means soon. A time that the clock
/// cannot represent never comes (a real clock represents 584 years, a virtual one every
/// `Duration`).
///
/// On a closed loop the function is dropped uncalled, and the handle is
/// [cancelled](TimerHandle::cancelled) from the start. Dropping it changes nothing.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # selvedge::run(async {
/// let event_loop = selvedge::get_running_loop()?;
/// let timer = event_loop.call_later(Duration::from_secs(3600), || unreachable!("it is cancelled"));
/// assert!(timer.when() > event_loop.time());
/// timer.cancel();
/// assert!(timer.cancelled());
/// # Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct TimerHandle {
    handle: Handle,
    when: Duration,
}

impl Handle {
    /// Drops the function uncalled, unless the call has begun. A second or later call does nothing.
    pub fn cancel(&self) {
        // Relaxed: the wake makes the callback's task check the flag.
        self.cancelled.store(true, Ordering::Relaxed);
        self.task.wake();
    }

    /// Whether [`cancel`](Self::cancel) was called, or the loop was closed before the function was.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("cancelled", &self.cancelled()).finish_non_exhaustive()
    }
}

impl TimerHandle {
    /// Drops the function uncalled, unless the call has begun. A second or later call does nothing.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Whether [`cancel`](Self::cancel) was called, or the loop was closed before the function was.
    pub fn cancelled(&self) -> bool {
        self.handle.cancelled()
    }

    /// When the function is called, in the loop's [time](EventLoop::time).
    pub fn when(&self) -> Duration {
        self.when
    }
}

pub(super) fn call_soon(
    event_loop: &EventLoop,
    context: Context,
    function: Box<dyn FnOnce() + Send>,
) -> Handle {
    spawn(event_loop, context, None, function)
}

pub(super) fn call_at(
    event_loop: &EventLoop,
    context: Context,
    when: Duration,
    function: Box<dyn FnOnce() + Send>,
) -> TimerHandle {
    TimerHandle { handle: spawn(event_loop, context, Some(time::to_ticks(when)), function), when }
}

fn spawn(
    event_loop: &EventLoop,
    context: Context,
    deadline: Option<Moment>,
    function: Box<dyn FnOnce() + Send>,
) -> Handle {
    let cancelled = Arc::new(AtomicBool::new(false));
    let call = Call {
        function: Some((function, context)),
        deadline,
        timer: Timer::new(),
        cancelled: Arc::clone(&cancelled),
    };
    let join: JoinHandle<Called> =
        event_loop.scheduler().spawn(call, CallbackSlot { cancelled: Arc::clone(&cancelled) });
    Handle { task: join.task().clone(), cancelled }
}

/// Marks a task of the scheduler that is not one of the program's tasks.
struct CallbackSlot {
    cancelled: Arc<AtomicBool>,
}

impl Slot for CallbackSlot {
    type ForHandle = ();

    fn completed(&self, _task: &TaskRef) {}
}

/// The call of the function, as a future.
struct Call {
    function: Option<(Box<dyn FnOnce() + Send>, Context)>,
    deadline: Option<Moment>,
    timer: Timer,
    cancelled: Arc<AtomicBool>,
}

impl Future for Call {
    type Output = Called;

    fn poll(self: Pin<&mut Self>, cx: &mut PollContext<'_>) -> Poll<Called> {
        let this = self.get_mut();
        if this.cancelled.load(Ordering::Relaxed) {
            return Poll::Ready(Called);
        }
        if this.deadline.is_some_and(|deadline| this.timer.poll_at(deadline, cx).is_pending()) {
            return Poll::Pending;
        }
        let _held = StartHeld;
        if let Some((function, context)) = this.function.take() {
            if let Err(panic) = contain::call(|| context.run(function)) {
                report::callback_panicked(None, panic.into());
            }
        }
        Poll::Ready(Called)
    }
}

struct Called;

impl Outcome for Called {
    fn panicked(_task: &TaskRef, payload: Box<dyn Any + Send>) -> Self {
        contain::discard(payload);
        Called
    }

    fn closed(task: &TaskRef) -> Self {
        if let Some(slot) = task.slot::<CallbackSlot>() {
            // Relaxed: the function has been dropped; nothing is published through this.
            slot.cancelled.store(true, Ordering::Relaxed);
        }
        Called
    }

    fn abandoned(self, _task: &TaskRef) {}
}
