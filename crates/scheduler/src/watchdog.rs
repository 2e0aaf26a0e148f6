//! What do the workers and the watchdog's thread share? What that thread does is in `watchdog_thread.rs`.

use crate::clock::nanos;
use crate::parker::Parker;
use crate::sync::thread::JoinHandle;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Instant, Mutex, Ordering, fence};

/// The state that both sides read and write.
pub(crate) struct Watchdog {
    /// Workers at their places.
    active: AtomicUsize,
    /// Places below this have been used.
    places_used: AtomicUsize,
    /// How often a standby was lent.
    pub(crate) standbys_lent: AtomicU64,
    /// The scheduler has a watchdog.
    is_on: bool,
    origin: Instant,
    pub(crate) parker: Parker,
    pub(crate) sleeps: AtomicBool,
    /// The watchdog moves a task from a next-task slot to the injector.
    pub(crate) moving: AtomicBool,
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watchdog {
    pub(crate) fn new(workers: usize, is_on: bool) -> Self {
        Self {
            active: AtomicUsize::new(0),
            places_used: AtomicUsize::new(workers),
            standbys_lent: AtomicU64::new(0),
            is_on,
            origin: Instant::now(),
            parker: Parker::new(),
            sleeps: AtomicBool::new(false),
            moving: AtomicBool::new(false),
            thread: Mutex::new(None),
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

    pub(crate) fn standbys_lent(&self) -> u64 {
        self.standbys_lent.load(Ordering::Relaxed)
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

    /// A worker leaves sleep for work: the watchdog must not sleep.
    pub(crate) fn worker_awake(&self) {
        if !self.is_on {
            return;
        }
        // Ordering: partner of the fence in `sleep_while_idle`. The worker has left the sleepers,
        // the watchdog has set `sleeps`: one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed) {
            self.parker.unpark();
        }
    }

    pub(crate) fn wake(&self) {
        self.parker.unpark();
    }

    /// After `dismiss_all`: the thread ends at once.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
