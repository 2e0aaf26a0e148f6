//! How is a block of awaits given a deadline?

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::deadline::{Deadline, DeadlineFrame};

use selvedge_scheduler::Moment;

use crate::contain::wake_quietly;
use crate::error::{Result, RuntimeError, no_running_loop};
use crate::leaf::frame_polled;
use crate::sync::{Mutex, lock_to_wait};
use crate::time::{self, When};

/// Runs `body` with a deadline, `delay` after the first poll; `None` is no deadline. asyncio's
/// `async with timeout(delay) as cm`.
///
/// The body runs in the caller's task and may borrow. To limit a single future, use
/// [`wait_for`](crate::wait_for).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # selvedge::run(async {
/// let late = selvedge::timeout(Duration::from_millis(1), async |cm| {
///     cm.reschedule(cm.when().map(|when| when + Duration::from_millis(1)))?;
///     selvedge::sleep(Duration::from_secs(60)).await
/// });
/// assert!(late.await.unwrap_err().is_timeout());
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`TimeoutError`](crate::TimeoutError) when the deadline passed and the body ended with a
/// cancellation; [`RuntimeError`] outside of a loop, if there is a deadline; else what the body
/// returned.
///
/// # Cancellation
///
/// When the deadline passes, the await at which the body is suspended returns a
/// [`CancelledError`](crate::CancelledError); the block ends when the body does. A result that is
/// ready wins over a deadline, a deadline that is already past polls the body once, and a request
/// from further out wins over the deadline.
pub fn timeout<B, F, T>(delay: impl Into<Option<Duration>>, body: B) -> TimeoutBlock<B, F>
where
    B: FnOnce(Timeout) -> F,
    F: Future<Output = Result<T>>,
{
    TimeoutBlock::new(Start::After(delay.into()), body)
}

/// [`timeout`] with a deadline instead of a delay: a time of the loop
/// ([`EventLoop::time`](crate::EventLoop::time)) or a [`std::time::Instant`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # selvedge::run(async {
/// let deadline = selvedge::get_running_loop()?.time() + Duration::from_millis(1);
/// let late = selvedge::timeout_at(deadline, async |_cm| selvedge::sleep(Duration::MAX).await);
/// assert!(late.await.unwrap_err().is_timeout());
/// # Ok(())
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// As for [`timeout`]. Cancellation is the same, too.
pub fn timeout_at<B, F, T>(when: impl Into<When>, body: B) -> TimeoutBlock<B, F>
where
    B: FnOnce(Timeout) -> F,
    F: Future<Output = Result<T>>,
{
    TimeoutBlock::new(Start::At(when.into()), body)
}

/// The deadline of a block, for its body. Clones refer to the same deadline; any thread may move
/// it.
#[derive(Clone)]
pub struct Timeout(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
}

/// Guarded by the lock. Wakers are woken and dropped after it is released.
struct State {
    phase: Phase,
    ticks: Moment,
    /// The waker of the task that polls the block, woken when the deadline moves.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Active,
    /// The deadline has passed; the body gets a request, or cleans up.
    Expiring,
    Expired,
    Finished,
}

impl Timeout {
    fn new(ticks: Moment) -> Timeout {
        Timeout(Arc::new(Shared { state: Mutex::new(State { phase: Phase::Active, ticks, waker: None }) }))
    }

    /// The deadline, in the loop's time; `None` if there is none.
    pub fn when(&self) -> Option<Duration> {
        let ticks = self.0.state.lock().ticks;
        (ticks != time::NEVER).then(|| ticks.into())
    }

    /// Moves the deadline; `None` removes it. A deadline that has passed already takes effect at
    /// once.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the block has expired or ended, or if an [`Instant`](std::time::Instant)
    /// is given on a thread that runs no loop.
    pub fn reschedule(&self, when: impl Into<When>) -> Result<()> {
        let ticks = when.into().ticks().ok_or_else(no_running_loop)?;
        let waker = {
            let mut state = self.0.state.lock();
            if state.phase != Phase::Active {
                let phase = state.phase.name();
                return Err(RuntimeError::new(format!("Cannot change state of {phase} Timeout")).into());
            }
            state.ticks = ticks;
            state.waker.take()
        };
        if let Some(waker) = waker {
            wake_quietly(waker);
        }
        Ok(())
    }

    /// Whether the deadline passed before the body ended. (The body may still have returned a
    /// value.)
    pub fn expired(&self) -> bool {
        matches!(self.0.state.lock().phase, Phase::Expiring | Phase::Expired)
    }

    fn end(&self) {
        let _waker = {
            let mut state = self.0.state.lock();
            // This is called at the end, and again when the block is dropped: an end state must not
            // change.
            state.phase = match state.phase {
                Phase::Active | Phase::Finished => Phase::Finished,
                Phase::Expiring | Phase::Expired => Phase::Expired,
            };
            state.waker.take()
        };
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Active => "active",
            Phase::Expiring => "expiring",
            Phase::Expired => "expired",
            Phase::Finished => "finished",
        }
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.0.state.lock().phase;
        write!(f, "<Timeout [{}] when={:?}>", phase.name(), self.when())
    }
}

impl Deadline for Timeout {
    fn ticks(&self, waker: &Waker) -> Moment {
        // Read and registered under one lock: a deadline that moves later wakes the block.
        let (fresh, mut state) = lock_to_wait(&self.0.state, waker, |state| state.waker.as_ref());
        let ticks = state.ticks;
        let former = fresh.and_then(|fresh| state.waker.replace(fresh));
        drop(state);
        drop(former);
        ticks
    }

    fn expired(&self) {
        self.0.state.lock().phase = Phase::Expiring;
    }
}

enum Start {
    After(Option<Duration>),
    At(When),
}

impl Start {
    /// `None`: there is a deadline but no clock, so the deadline would never come.
    fn ticks(self) -> Option<Moment> {
        match self {
            Start::After(None) => Some(time::NEVER),
            Start::After(Some(delay)) => time::after(delay),
            Start::At(when) => time::now().and_then(|_| when.ticks()),
        }
    }
}

pin_project! {
    /// The future of [`timeout`] and [`timeout_at`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct TimeoutBlock<B, F> {
        // Taken by the first poll, because the clock starts when the block is entered.
        start: Option<(Start, B)>,
        #[pin]
        entered: Option<DeadlineFrame<F>>,
        handle: Option<Timeout>,
    }

    impl<B, F> PinnedDrop for TimeoutBlock<B, F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(handle) = &this.handle {
                handle.end();
            }
        }
    }
}

impl<B, F, T> TimeoutBlock<B, F>
where
    B: FnOnce(Timeout) -> F,
    F: Future<Output = Result<T>>,
{
    fn new(start: Start, body: B) -> TimeoutBlock<B, F> {
        TimeoutBlock { start: Some((start, body)), entered: None, handle: None }
    }
}

impl<B, F, T> Future for TimeoutBlock<B, F>
where
    B: FnOnce(Timeout) -> F,
    F: Future<Output = Result<T>>,
{
    type Output = Result<T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut this = self.project();
        if let Some((start, body)) = this.start.take() {
            let Some(ticks) = start.ticks() else { return Poll::Ready(Err(no_running_loop())) };
            let handle = Timeout::new(ticks);
            this.entered.set(Some(DeadlineFrame::new(body(handle.clone()))));
            *this.handle = Some(handle);
        }
        let (Some(handle), Some(mut frame)) = (&*this.handle, this.entered.as_pin_mut()) else {
            unreachable!("the block was entered above, or by an earlier poll");
        };
        let polled = frame.as_mut().poll(cx, handle);
        if polled.is_ready() {
            handle.end();
        }
        frame_polled(polled, "selvedge::timeout", |_| {})
    }
}
