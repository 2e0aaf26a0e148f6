//! How many blocking functions are running now?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use selvedge_scheduler::{BlockingJob, Scheduler};

use super::EventLoop;

/// Counts the threads of a loop's pool that are inside a user's function.
#[derive(Clone, Default)]
pub(crate) struct RunningFunctions(Arc<AtomicUsize>);

impl RunningFunctions {
    pub(crate) fn count(&self) -> usize {
        // Relaxed, here and below: the number is only displayed; nothing is published through it.
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Inside<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Inside(&self.0)
    }
}

/// Decrements the count also when the function panics.
struct Inside<'a>(&'a AtomicUsize);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A job for this scheduler's pool that is counted while it runs.
pub(crate) fn counted(scheduler: &Scheduler, job: impl FnOnce() + Send + 'static) -> BlockingJob {
    let running = EventLoop::of(scheduler.clone()).map(|event_loop| event_loop.shared().running().clone());
    Box::new(move || {
        let _inside = running.as_ref().map(RunningFunctions::enter);
        job();
    })
}
