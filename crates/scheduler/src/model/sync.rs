//! Which of loom's types stand behind the seam under the models? They have the signatures of the
//! shipped types. The seam of the layer above leads here too.
#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::missing_fields_in_debug
)]

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{self as plain, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use loom::cell::UnsafeCell;
pub use loom::hint::spin_loop;
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, fence};

/// loom's thread-locals with the shortcuts that `std` has for cells.
pub struct LocalKey<T: 'static>(loom::thread::LocalKey<T>);

impl<T: 'static> LocalKey<T> {
    pub const fn new(init: fn() -> T) -> Self {
        Self(loom::thread::LocalKey { init, _p: PhantomData })
    }

    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.0.with(f)
    }

    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, loom::thread::AccessError> {
        self.0.try_with(f)
    }
}

impl<T: Copy + 'static> LocalKey<Cell<T>> {
    pub fn get(&'static self) -> T {
        self.with(Cell::get)
    }

    pub fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

/// The same for cells that are borrowed.
impl<T: Default + 'static> LocalKey<RefCell<T>> {
    pub fn set(&'static self, value: T) {
        drop(self.replace(value));
    }

    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }

    pub fn take(&'static self) -> T {
        self.replace(T::default())
    }
}

#[macro_export]
macro_rules! model_thread_locals {
    ($($(#[$attr:meta])* $vis:vis static $name:ident: $t:ty = $init:expr;)*) => {
        $($(#[$attr])* $vis static $name: $crate::model::seam::LocalKey<$t> =
            $crate::model::seam::LocalKey::new(|| $init);)*
    };
}
pub use model_thread_locals as thread_locals;

/// A handle to a thread, to unpark it.
///
/// loom's own token would not do. To unpark a loom thread that waits for a lock loses the token. To
/// unpark a loom thread that runs shows it at once what the unparking thread has written, which
/// would hide missing orderings.
#[derive(Clone, Debug)]
pub struct Thread(Arc<Seat>);

#[derive(Debug)]
struct Seat {
    token: AtomicBool,
    /// The thread is in loom's `park`. This changes between two switches of loom's, so a plain
    /// atomic shows it exactly.
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
    pub fn unpark(&self) {
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
        // Ordering: `std` promises that the `park` that this ends sees what came before `unpark`.
        // Release pairs with the Acquire of `take_token`.
        self.swap(true, Ordering::Release);
    }
    fn take_token(&self) -> bool {
        self.swap(false, Ordering::Acquire)
    }
}

/// For the thread that took `word` to its last value: makes what other threads did before their
/// Release writes to it visible.
pub fn acquire_after_last(_word: &AtomicU64) {
    fence(Ordering::Acquire);
}

/// No state word of the scheduler ever has this value.
const IMPOSSIBLE: u64 = 0xdead_beef_dead_beef;

/// A load with which a change of `word` begins. To loom it is part of that change. loom remembers
/// only the last access to each word, so a plain load by the thread that is about to write would
/// hide the loads that other threads made before, and with them the runs in which the write comes
/// first. An older value is covered by the runs in which this load comes earlier: each change
/// compares, or allows for the value that it finds.
pub fn look(word: &AtomicU64, ordering: Ordering) -> u64 {
    word.compare_exchange(IMPOSSIBLE, IMPOSSIBLE, Ordering::AcqRel, ordering)
        .expect_err("no word of ours is that")
}

/// `fetch_update` that begins with such a load.
pub fn update(
    word: &AtomicU64,
    set: Ordering,
    fetch: Ordering,
    mut change: impl FnMut(u64) -> Option<u64>,
) -> Result<u64, u64> {
    let mut now = look(word, fetch);
    while let Some(next) = change(now) {
        match word.compare_exchange(now, next, set, fetch) {
            Ok(before) => return Ok(before),
            Err(other) => now = other,
        }
    }
    Err(now)
}

/// A store into `word`, which is null, by the only thread that fills it. loom does not know that
/// another thread's swap of null for null comes before such a store, so here it is a swap.
pub fn fill<T>(word: &AtomicPtr<T>, value: *mut T, ordering: Ordering) {
    let old = word.swap(value, ordering);
    assert!(old.is_null(), "only the owner fills the slot");
}

/// loom does not show whether a thread has ended, so a thread that joins it just waits.
#[derive(Clone)]
pub struct Presence;

impl Presence {
    pub fn new() -> Self {
        Self
    }

    pub fn begin(self) {}

    pub fn has_ended(&self) -> bool {
        true
    }
}

/// A loop that waits for the clock would not end: no time passes.
pub(crate) const TIME_PASSES: bool = false;

/// loom has no clock. A wait with a limit lasts until another thread ends it or, if the model wants
/// that, runs into its limit.
pub fn park(limit: Option<Duration>) {
    let this = thread::current();
    if let Some(limit) = limit.filter(|_| WAITS_TIME_OUT.load(Ordering::Relaxed)) {
        if !this.0.token.take_token() {
            NANOS.fetch_add(limit.as_nanos() as u64, Ordering::Relaxed);
        }
        return;
    }
    while !this.0.token.take_token() {
        this.0.waits.store(true, Ordering::Relaxed);
        loom::thread::park();
    }
}

/// What the scheduler uses of `std::thread`.
pub mod thread {
    pub use loom::thread::{Builder, JoinHandle, yield_now};

    pub fn current() -> super::Thread {
        super::THREAD.with(Clone::clone)
    }

    pub fn sleep(_: std::time::Duration) {
        yield_now();
    }
}

/// A clock that stands still unless a model moves it or lets waits run into their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

static NANOS: plain::AtomicU64 = plain::AtomicU64::new(0);
static WAITS_TIME_OUT: plain::AtomicBool = plain::AtomicBool::new(false);

/// Each run of a model begins with this.
pub fn reset_time(waits_time_out: bool) {
    NANOS.store(0, Ordering::Relaxed);
    WAITS_TIME_OUT.store(waits_time_out, Ordering::Relaxed);
}

/// Time passes.
pub fn pass(time: Duration) {
    NANOS.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
}

impl Instant {
    pub fn now() -> Self {
        Self(Duration::from_nanos(NANOS.load(Ordering::Relaxed)))
    }

    pub fn elapsed(&self) -> Duration {
        self.saturating_until(Self::now())
    }

    fn saturating_until(self, later: Self) -> Duration {
        later.0.saturating_sub(self.0)
    }

    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        earlier.saturating_until(*self)
    }

    pub fn checked_add(self, duration: Duration) -> Option<Self> {
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
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    lock: &'a loom::sync::Mutex<T>,
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

const HELD: &str = "only a wait takes the guard out, and puts it back";

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { lock: &self.0, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard { lock: &self.0, held: Some(held) })
    }

    /// Waits for the lock or, if the model wants that, runs into the limit if another thread holds
    /// the lock.
    pub fn try_lock_until(&self, until: Instant) -> Option<MutexGuard<'_, T>> {
        if !WAITS_TIME_OUT.load(Ordering::Relaxed) {
            return Some(self.lock());
        }
        let held = self.try_lock();
        if held.is_none() {
            NANOS.fetch_max(until.0.as_nanos() as u64, Ordering::Relaxed);
        }
        held
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
pub struct Condvar(loom::sync::Condvar);

pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for a notification or, if the model wants that, runs into the limit while other
    /// threads hold the lock.
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, until: Instant) -> WaitTimeoutResult {
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

/// Ends a wait for sockets. The models have no sockets: they wait in `wait`.
#[derive(Debug)]
pub(crate) struct PollWaker {
    is_woken: Mutex<bool>,
    changed: Condvar,
}

impl PollWaker {
    /// With the signature of mio's.
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
