//! What do the workloads use besides the runtime?
//!
//! Everything here is the same for every runtime and part of none. Channels come from
//! `async-channel` and `futures-channel`; the rest is below.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

/// Wakes its own task and gives the worker back once.
pub fn yield_now() -> impl Future<Output = ()> + Send + 'static {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Polls `future` once and continues, whether it was ready or not.
pub async fn poll_once<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        let _ = black_box(future.as_mut().poll(cx));
        Poll::Ready(())
    })
    .await;
}

/// Occupies the calling thread until `span` of wall-clock time has passed.
pub fn compute_for(span: Duration) {
    let start = Instant::now();
    while start.elapsed() < span {
        std::hint::spin_loop();
    }
}

/// Does a fixed amount of arithmetic: unlike [`compute_for`] it takes longer when the thread is
/// preempted. Never inlined, so that every caller runs the same machine code.
#[inline(never)]
pub fn compute_steps(steps: u64) {
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

/// How many steps of [`compute_steps`] take a microsecond on an undisturbed thread.
pub fn steps_per_microsecond() -> f64 {
    const STEPS: u64 = 1_000_000;
    let fastest = (0..10)
        .map(|_| {
            let start = Instant::now();
            compute_steps(STEPS);
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    STEPS as f64 / (fastest.as_secs_f64() * 1e6)
}

/// How many steps of [`compute_steps`] take `span` on an undisturbed thread. Measured once in a
/// process, so that all participants compute the same amount.
pub fn steps_for(span: Duration) -> u64 {
    static PER_MICROSECOND: OnceLock<f64> = OnceLock::new();
    (PER_MICROSECOND.get_or_init(steps_per_microsecond) * span.as_micros() as f64) as u64
}

/// Scatters indices evenly over `0.0..1.0`. It uses the golden-ratio sequence, so that each run
/// draws the same numbers.
pub fn scatter(index: u64) -> f64 {
    (index as f64 * 0.618_033_988_749_894_9).fract()
}

pin_project! {
    /// Runs a future and forgets its output.
    pub struct Discard<F> {
        #[pin]
        inner: F,
    }
}

impl<F> Discard<F> {
    /// Makes a future that runs `inner` and discards its output.
    pub fn new(inner: F) -> Self {
        Self { inner }
    }
}

impl<F: Future> Future for Discard<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().inner.poll(cx).map(drop)
    }
}
