//! What do the watch and the workers know of each other? What the watch does with it stands in `watch.rs`.

use crate::clock::nanos;
use crate::parker::Parker;
use crate::spin::SpinBudget;
use crate::sync::thread::JoinHandle;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Instant, Mutex, Ordering, fence};

/// The watch's side and the workers' side of rescue.
pub(crate) struct Watchdog {
    /// Workers at their places.
    active: AtomicUsize,
    /// Places below this have been used.
    places_used: AtomicUsize,
    pub(crate) rescues: AtomicU64,
    /// There is a watch.
    is_on: bool,
    origin: Instant,
    pub(crate) watch: Parker,
    pub(crate) watch_sleeps: AtomicBool,
    /// The watch has a task in its hands, between a slot and the injector.
    pub(crate) moving: AtomicBool,
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) spin: SpinBudget,
}

impl Watchdog {
    pub(crate) fn new(workers: usize, is_on: bool) -> Self {
        Self {
            active: AtomicUsize::new(0),
            places_used: AtomicUsize::new(workers),
            rescues: AtomicU64::new(0),
            is_on,
            origin: Instant::now(),
            watch: Parker::new(),
            watch_sleeps: AtomicBool::new(false),
            moving: AtomicBool::new(false),
            thread: Mutex::new(None),
            spin: SpinBudget::new(),
        }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(crate) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    pub(crate) fn places_used(&self) -> usize {
        self.places_used.load(Ordering::Acquire)
    }

    pub(crate) fn rescues(&self) -> u64 {
        self.rescues.load(Ordering::Relaxed)
    }

    pub(crate) fn is_moving_a_task(&self) -> bool {
        self.moving.load(Ordering::Acquire)
    }

    /// Real time, also for a scheduler whose timers live in virtual time.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }

    /// A worker takes its place.
    pub(crate) fn took_place(&self, index: usize) {
        self.active.fetch_add(1, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire of `places_used`.
        self.places_used.fetch_max(index + 1, Ordering::AcqRel);
    }

    /// A worker has left its place.
    pub(crate) fn left(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// A worker is about to leave sleep for work: the watch must not sleep.
    pub(crate) fn worker_awake(&self) {
        if !self.is_on {
            return;
        }
        // Ordering: partner of the fence in `sleep_while_idle`: the worker has left the sleepers, the watch has said that it sleeps;
        // one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.watch_sleeps.load(Ordering::Relaxed) {
            self.watch.unpark();
        }
    }

    pub(crate) fn wake_watch(&self) {
        self.watch.unpark();
    }

    /// After `dismiss_all`: the watch ends at once.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
