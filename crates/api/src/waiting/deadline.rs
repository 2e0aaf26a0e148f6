//! How does a deadline cancel what runs inside `timeout` and `wait_for`?

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use selvedge_scheduler::{Moment, Timer};

use crate::cancel::{FramePoll, ScopedFrame};
use crate::capture;
use crate::error::{Error, Result, TimeoutError};
use crate::time;

pin_project! {
    /// A frame with a deadline. `timeout` and `wait_for` are little more than this.
    ///
    /// The content is always polled before the deadline is read for the first time, and once more
    /// after the deadline has passed: a result that is ready wins over the deadline.
    pub(super) struct DeadlineFrame<F> {
        #[pin]
        content: Option<F>,
        frame: ScopedFrame,
        timer: Timer,
        armed_for: Option<Moment>,
        expired: bool,
    }
}

/// Where a frame reads its deadline, which may change while it waits.
pub(super) trait Deadline {
    /// The deadline now. Wakes `waker` when it is changed later.
    fn ticks(&self, waker: &Waker) -> Moment;
    /// Called when the deadline has passed, just before the content gets a request.
    fn expired(&self);
}

impl<F, T> DeadlineFrame<F>
where
    F: Future<Output = Result<T>>,
{
    pub(super) fn new(content: F) -> DeadlineFrame<F> {
        DeadlineFrame {
            content: Some(content),
            frame: ScopedFrame::new(),
            timer: Timer::new(),
            armed_for: None,
            expired: false,
        }
    }

    pub(super) fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        deadline: &impl Deadline,
    ) -> Poll<Result<T>> {
        let is_capture = capture::is_on();
        if self.armed_for.is_some() && !is_capture {
            self.as_mut().poll_timer(cx, deadline);
        }
        loop {
            let result = match self.as_mut().poll_content(cx) {
                FramePoll::Ready(result) => result,
                FramePoll::GiveUp(error) => {
                    self.as_mut().project().content.set(None);
                    Err(error.into())
                }
                FramePoll::Pending if is_capture => {
                    self.poll_for_real_if_new(cx, deadline);
                    return Poll::Pending;
                }
                FramePoll::Pending => {
                    // A timer is armed only now, because content that needs no waiting needs none.
                    // If the deadline has passed already, the content gets the request at once.
                    if self.as_mut().poll_timer(cx, deadline) == TimerState::JustExpired {
                        continue;
                    }
                    return Poll::Pending;
                }
            };
            self.as_mut().project().timer.disarm();
            return Poll::Ready(result.map_err(|error| self.translate(error)));
        }
    }

    /// For a capture: polls for real if this frame was never polled, because then no timer is armed
    /// for its deadline.
    #[cold]
    fn poll_for_real_if_new(&self, cx: &Context<'_>, deadline: &impl Deadline) {
        if self.armed_for.is_none() && !self.expired && deadline.ticks(cx.waker()) != time::NEVER {
            capture::poll_for_real();
        }
    }

    fn poll_content(self: Pin<&mut Self>, cx: &mut Context<'_>) -> FramePoll<Result<T>> {
        let this = self.project();
        let mut content = this.content.as_pin_mut().expect("a timeout was polled after it had ended");
        this.frame.poll(cx, |cx| content.as_mut().poll(cx))
    }

    fn poll_timer(self: Pin<&mut Self>, cx: &mut Context<'_>, deadline: &impl Deadline) -> TimerState {
        let this = self.project();
        if *this.expired {
            return TimerState::Waiting;
        }
        let ticks = deadline.ticks(cx.waker());
        if ticks == time::NEVER {
            this.timer.disarm();
            *this.armed_for = None;
            return TimerState::Waiting;
        }
        *this.armed_for = Some(ticks);
        // Outside of a loop there is no clock. If the content needs one, its own error says so.
        let Poll::Ready(Ok(())) = this.timer.poll_at(ticks, cx) else { return TimerState::Waiting };
        *this.expired = true;
        *this.armed_for = None;
        deadline.expired();
        this.frame.request();
        TimerState::JustExpired
    }

    /// The outermost request wins: a cancellation becomes this deadline's error only if no scope
    /// further out got a request.
    fn translate(&self, error: Error) -> Error {
        if self.expired && error.is_cancelled() && self.frame.owns_cancellation() {
            TimeoutError::new().into()
        } else {
            error
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TimerState {
    Waiting,
    JustExpired,
}
