//! What do the workers and the watchdog's thread share? What that thread does is in `watchdog_thread.rs`.

use std::time::Duration;

use crate::alarm::Alarm;
use crate::clock::nanos;
use crate::sync::thread::JoinHandle;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, HintU64, Instant, Mutex, Ordering, fence};

/// The time between two glances of the workers (`worker/glance.rs`).
pub(crate) const GLANCES: Duration = Duration::from_micros(300);
/// The time between two times at which the alarm is put off: to set a timer may cost as much as ten polls.
const PUT_OFF: Duration = Duration::from_micros(600);
/// The time between two times at which a worker looks for what was missed. It wakes others, which may cost
/// more than to keep a short burst of tasks to itself.
const SERVICES: Duration = Duration::from_millis(1);
/// If the alarm is not put off for so long, the watchdog looks by itself.
pub(crate) const WITHOUT_GLANCE: Duration = Duration::from_micros(1_200);

/// What a thread at a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Light tasks, timers and sockets.
    Light,
    /// The tasks of the lanes, and nothing else.
    Computing,
}
/// If all workers sleep, and still do after this time, it is time to give memory back.
pub(crate) const REST: Duration = Duration::from_millis(10);

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
    pub(crate) alarm: Alarm,
    /// A worker that wakes up must set the alarm.
    pub(crate) sleeps: AtomicBool,
    /// The watchdog looks by itself, at short intervals: the workers need not glance.
    is_close: AtomicBool,
    /// When the next glance is due.
    next_glance: HintU64,
    /// When the alarm is to be put off again.
    next_put_off: HintU64,
    /// When a worker is to look for what was missed.
    next_service: HintU64,
    /// The alarm has rung while all workers slept: the last one to fall asleep is to put it off.
    rang_in_vain: AtomicBool,
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
            alarm: Alarm::new(is_on),
            sleeps: AtomicBool::new(false),
            is_close: AtomicBool::new(false),
            next_glance: HintU64::new(0),
            next_put_off: HintU64::new(0),
            next_service: HintU64::new(0),
            rang_in_vain: AtomicBool::new(false),
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

    /// The same for a time that was read before.
    pub(crate) fn at(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.origin))
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
        // Ordering: partner of the fence in `rest_watchdog`. The worker has left the sleepers,
        // the watchdog has set `sleeps`: one of the two sees the other.
        fence(Ordering::SeqCst);
        if self.sleeps.load(Ordering::Relaxed) && self.sleeps.swap(false, Ordering::Relaxed) {
            self.alarm.set(WITHOUT_GLANCE);
        }
    }

    /// The watchdog is to look now.
    pub(crate) fn wake(&self) {
        self.alarm.ring();
    }

    /// The watchdog looks by itself from now on, or does not.
    pub(crate) fn set_close(&self, is_close: bool) {
        self.is_close.store(is_close, Ordering::Relaxed);
    }

    pub(crate) fn is_close(&self) -> bool {
        self.is_close.load(Ordering::Relaxed)
    }

    /// Whether the calling thread is to glance. Only one is, each time.
    pub(crate) fn takes_glance(&self, now: u64) -> bool {
        let due = self.next_glance.load(Ordering::Relaxed);
        // Relaxed: it publishes nothing.
        let taken = |due| {
            let next = now + nanos(GLANCES);
            self.next_glance.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        now >= due && self.is_on && !self.is_close() && taken(due)
    }

    /// Every worker gets on. For the one that glances.
    pub(crate) fn put_off(&self, now: u64) {
        let due = self.next_put_off.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        self.next_put_off.store(now + nanos(PUT_OFF), Ordering::Relaxed);
        self.alarm.put_off(WITHOUT_GLANCE);
        // It was not to ring yet: the program is busy.
        if now - due + nanos(PUT_OFF) < nanos(WITHOUT_GLANCE) {
            self.set_rang_in_vain(false);
        }
    }

    /// Whether it is time to look for what was missed. For the worker that glances.
    pub(crate) fn serves(&self, now: u64) -> bool {
        let is_due = now >= self.next_service.load(Ordering::Relaxed);
        if is_due {
            self.next_service.store(now + nanos(SERVICES), Ordering::Relaxed);
        }
        is_due
    }

    pub(crate) fn rang_in_vain(&self) -> bool {
        self.rang_in_vain.load(Ordering::Relaxed)
    }

    pub(crate) fn set_rang_in_vain(&self, in_vain: bool) {
        if self.rang_in_vain() != in_vain {
            self.rang_in_vain.store(in_vain, Ordering::Relaxed);
        }
    }

    /// After `dismiss_all`: the thread ends at once.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
