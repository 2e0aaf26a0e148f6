//! What do the workers and the watchdog's thread share? What that thread does is in `watchdog_thread.rs`.

use crate::clock::nanos;
use crate::parker::Parker;
use crate::sync::thread::JoinHandle;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Instant, Mutex, Ordering, fence};

/// What a thread at a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Light tasks, timers and sockets.
    Light,
    /// The tasks of the lanes, and nothing else.
    Computing,
}

/// The state that both sides read and write.
pub(crate) struct Watchdog {
    /// Light threads at their places. A demoted one counts until its poll has ended.
    light: AtomicUsize,
    /// Computing threads at their places.
    computing: AtomicUsize,
    /// Places below this have been used.
    places_used: AtomicUsize,
    /// How often a thread was lent to run light tasks, because a worker was stuck or demoted.
    pub(crate) standbys_lent: AtomicU64,
    /// How often a thread was made a computing thread because its poll lasted.
    pub(crate) demotions: AtomicU64,
    /// How often the system refused to lower a thread's priority.
    pub(crate) niceness_refused: AtomicU64,
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
            light: AtomicUsize::new(0),
            computing: AtomicUsize::new(0),
            places_used: AtomicUsize::new(workers),
            standbys_lent: AtomicU64::new(0),
            demotions: AtomicU64::new(0),
            niceness_refused: AtomicU64::new(0),
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

    pub(crate) fn light(&self) -> usize {
        // Ordering: Acquire pairs with the Release of `changes_role`: a thread that sees one light thread
        // less sees one computing thread more.
        self.light.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn computing(&self) -> usize {
        self.computing.load(Ordering::Relaxed)
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

    fn count(&self, role: Role) -> &AtomicUsize {
        match role {
            Role::Light => &self.light,
            Role::Computing => &self.computing,
        }
    }

    /// A thread takes its place.
    pub(crate) fn took_place(&self, index: usize, role: Role) {
        self.count(role).fetch_add(1, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire of `places_used`.
        self.places_used.fetch_max(index + 1, Ordering::AcqRel);
    }

    /// A thread has left its place.
    pub(crate) fn left(&self, role: Role) {
        self.count(role).fetch_sub(1, Ordering::Relaxed);
    }

    /// A demoted thread becomes a computing one. It sleeps in neither list, and is counted throughout.
    pub(crate) fn changes_role(&self) {
        self.computing.fetch_add(1, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire of `light`.
        self.light.fetch_sub(1, Ordering::Release);
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
