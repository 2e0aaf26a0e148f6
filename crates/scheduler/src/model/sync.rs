//! The seam's other half: loom's types with the signatures of those that are shipped.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{self as plain, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};

/// loom's thread-locals with the shortcuts that `std` has for cells.
pub(crate) struct LocalKey<T: 'static>(pub(crate) loom::thread::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.0.with(f)
    }

    pub(crate) fn try_with<R>(
        &'static self,
        f: impl FnOnce(&T) -> R,
    ) -> Result<R, loom::thread::AccessError> {
        self.0.try_with(f)
    }
}

impl<T: Copy + 'static> LocalKey<Cell<T>> {
    pub(crate) fn get(&'static self) -> T {
        self.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

macro_rules! thread_locals {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr;)*) => {
        $($(#[$attr])* $vis static $name: $crate::sync::LocalKey<$t> =
            $crate::sync::LocalKey(loom::thread::LocalKey {
                init: (|| $init) as fn() -> $t,
                _p: std::marker::PhantomData,
            });)*
    };
}
pub(crate) use thread_locals;

/// A thread, to be unparked.
///
/// loom's own token would not do: unparking a loom thread that waits for a lock loses the token, and unparking one that runs shows
/// it at once what the other thread has written, which would hide missing orderings.
#[derive(Clone, Debug)]
pub(crate) struct Thread(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    token: AtomicBool,
    /// The thread lies in loom's `park`. Changes between two of loom's switches, so a plain atomic sees it exactly.
    waits: plain::AtomicBool,
    thread: loom::thread::Thread,
}

thread_locals! {
    static THREAD: Thread = Thread(Arc::new(Seat {
        token: AtomicBool::new(false),
        waits: plain::AtomicBool::new(false),
        thread: loom::thread::current(),
    }));
}

impl Thread {
    pub(crate) fn unpark(&self) {
        self.0.token.store_token();
        if self.0.waits.swap(false, Ordering::Relaxed) {
            self.0.thread.unpark();
        }
    }
}

trait Token {
    fn store_token(&self);
    fn take_token(&self) -> bool;
}

impl Token for AtomicBool {
    fn store_token(&self) {
        // Ordering: as `std` promises, what came before `unpark` is seen after the `park` that it ends.
        self.swap(true, Ordering::Release);
    }
    fn take_token(&self) -> bool {
        self.swap(false, Ordering::Acquire)
    }
}

/// For whoever took `word` to its last value: makes what the others did before their Release writes to it visible.
pub(crate) fn acquire_after_last(_word: &AtomicU64) {
    fence(Ordering::Acquire);
}

/// loom's handles do not tell: whoever joins waits.
pub(crate) fn is_finished<T>(_handle: &thread::JoinHandle<T>) -> bool {
    true
}

/// loom has no clock: a wait with a limit is a wait that somebody must end.
pub(crate) fn park(_limit: Option<Duration>) {
    let this = thread::current();
    while !this.0.token.take_token() {
        this.0.waits.store(true, Ordering::Relaxed);
        loom::thread::park();
    }
}

/// What the scheduler uses of `std::thread`.
pub(crate) mod thread {
    pub(crate) use loom::thread::{Builder, JoinHandle, yield_now};

    pub(crate) fn current() -> super::Thread {
        super::THREAD.with(Clone::clone)
    }

    pub(crate) fn sleep(_: std::time::Duration) {
        yield_now();
    }
}

/// A clock that stands still but when a model moves it, or lets waits run into their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

static NANOS: plain::AtomicU64 = plain::AtomicU64::new(0);
static WAITS_TIME_OUT: plain::AtomicBool = plain::AtomicBool::new(false);

/// What each run of a model begins with.
pub(crate) fn reset_time(waits_time_out: bool) {
    NANOS.store(0, Ordering::Relaxed);
    WAITS_TIME_OUT.store(waits_time_out, Ordering::Relaxed);
}

impl Instant {
    pub(crate) fn now() -> Self {
        Self(Duration::from_nanos(NANOS.load(Ordering::Relaxed)))
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }

    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// loom's lock with `parking_lot`'s signatures: there is no poisoning to report.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    lock: &'a loom::sync::Mutex<T>,
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

const HELD: &str = "only a wait takes the guard out, and puts it back";

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: &self.0, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard { lock: &self.0, held: Some(held) })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

/// loom's condition variable with `parking_lot`'s signatures.
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for a notification; or, where the model wants that, runs into the limit while others hold the lock.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) -> WaitTimeoutResult {
        if !WAITS_TIME_OUT.load(Ordering::Relaxed) {
            self.wait(guard);
            return WaitTimeoutResult(false);
        }
        guard.held = None;
        guard.held = Some(guard.lock.lock().unwrap_or_else(PoisonError::into_inner));
        NANOS.fetch_max(until.0.as_nanos() as u64, Ordering::Relaxed);
        WaitTimeoutResult(true)
    }
}

/// The fault that this process's model builds in, if any: `SELVEDGE_MUTATION` names it.
fn chosen() -> Option<&'static str> {
    static CHOSEN: OnceLock<Option<String>> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("SELVEDGE_MUTATION").ok()).as_deref()
}

/// A spot at which a model can break the code, to show that it would notice.
pub(crate) fn mutation(name: &str) -> bool {
    chosen() == Some(name)
}

/// As `mutation`, for an ordering, which a model can weaken to `Relaxed`.
pub(crate) fn weaken(name: &str, ordering: Ordering) -> Ordering {
    if mutation(name) { Ordering::Relaxed } else { ordering }
}

/// Ends a poll. The models have no sockets: their poll is `wait`.
#[derive(Debug)]
pub(crate) struct PollWaker {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl PollWaker {
    /// As mio's.
    pub(crate) fn new(_registry: &mio::Registry, _token: mio::Token) -> std::io::Result<Self> {
        Ok(Self::alone())
    }

    pub(crate) fn alone() -> Self {
        Self { is_woken: Mutex::new(false), changed: Condvar::new() }
    }

    pub(crate) fn wake(&self) -> std::io::Result<()> {
        *self.is_woken.lock() = true;
        self.changed.notify_one();
        Ok(())
    }

    pub(crate) fn wait(&self) {
        let mut is_woken = self.is_woken.lock();
        while !std::mem::take(&mut *is_woken) {
            self.changed.wait(&mut is_woken);
        }
    }
}
