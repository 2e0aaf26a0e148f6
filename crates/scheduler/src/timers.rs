//! When do timers fire, and which thread fires them?
//!
//! Each worker has a wheel behind a lock of its own. A timer is armed in the wheel of the worker
//! that polls it, and is nearly always cancelled there. A wheel that is due is fired by its worker
//! between two polls, or by the idle worker that holds the driver and waits for the earliest
//! deadline of all wheels (`driver.rs`).
//!
//! Time is counted in ticks. A deadline is rounded up and the clock is rounded down, so no timer
//! fires early.

use std::cell::Cell;
use std::task::Waker;

use crossbeam_utils::CachePadded;
use selvedge_timer_wheel::{Key, Wheel};

use crate::contain::silently;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::task::{self, Runnable, TaskRef};

/// 2^13 ns are 8 µs: half a tick is the mean lateness that rounding costs.
const REAL_TICK_SHIFT: u32 = 13;
/// Virtual time is exact to the nanosecond.
const VIRTUAL_TICK_SHIFT: u32 = 0;
/// How many wakers leave a wheel each time its lock is taken.
const BATCH: usize = 32;
/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Nanoseconds to ticks.
#[derive(Clone, Copy)]
pub(crate) struct TickLength(u32);

impl TickLength {
    pub(crate) fn new(is_virtual: bool) -> Self {
        Self(if is_virtual { VIRTUAL_TICK_SHIFT } else { REAL_TICK_SHIFT })
    }

    /// The first tick that begins at `deadline` or later. Far deadlines stay short of [`NEVER`].
    #[inline]
    pub(crate) fn at_or_after(self, deadline: u64) -> u64 {
        (deadline >> self.0) + u64::from(deadline & ((1 << self.0) - 1) != 0)
    }

    /// The tick that `now` lies in.
    #[inline]
    pub(crate) fn containing(self, now: u64) -> u64 {
        now >> self.0
    }

    /// The nanosecond at which `tick` begins.
    pub(crate) fn start_of(self, tick: u64) -> u64 {
        if tick.leading_zeros() < self.0 { u64::MAX } else { tick << self.0 }
    }
}

/// A worker's timers.
pub(crate) struct TimerSlot {
    pub(crate) wheel: Mutex<Wheel<Waker>>,
    published: CachePadded<Published>,
}

/// What other threads may read of a wheel without its lock. Both values lie in one cache line,
/// because a thread that reads one of them reads the other right after it.
struct Published {
    /// The earliest tick in the wheel or an earlier one. Written under the wheel's lock.
    next: AtomicU64,
    /// The key that the wheel's worker holds in its [`Stage`], as a number; zero for none. Written
    /// by that worker.
    staged: AtomicU64,
}

impl TimerSlot {
    pub(crate) fn new() -> Self {
        let published = Published { next: AtomicU64::new(NEVER), staged: AtomicU64::new(0) };
        Self { wheel: Mutex::new(Wheel::new(0)), published: CachePadded::new(published) }
    }

    /// No timer here is due before this tick.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        // Relaxed: the fences in `driver.rs` order it against a worker that is about to wait.
        self.published.next.load(Ordering::Relaxed)
    }

    /// A key for a timer that is not in the wheel.
    pub(crate) fn reserve(&self) -> Key {
        self.wheel.lock().reserve()
    }

    /// Returns true if `tick` is now the earliest.
    #[inline]
    pub(crate) fn insert(&self, tick: u64, waker: Waker) -> (Key, bool) {
        let mut wheel = self.wheel.lock();
        let key = wheel.insert(tick, waker);
        (key, self.publish(tick))
    }

    /// `tick` has come into the wheel, whose lock is held. Returns true if it is now the earliest.
    #[inline]
    fn publish(&self, tick: u64) -> bool {
        let earliest = tick < self.next();
        if earliest {
            self.published.next.store(tick, Ordering::Relaxed);
        }
        earliest
    }

    /// Has the timer that was armed here with `key` for `tick` left the wheel? The answer false may
    /// be wrong.
    #[inline]
    pub(crate) fn has_fired(&self, key: Key, tick: u64) -> bool {
        // The stage comes first: the timer may have come to this thread while the poll that staged
        // it still runs on another one, and then it is not in the wheel yet. The read in `next` may
        // be Relaxed: the thread that put the timer into the wheel lowered the published tick to
        // `tick` or less, and only a thread that removes everything due by `tick` raises it above.
        !self.is_staged(key) && self.next() > tick
    }

    /// The wheel's worker puts a key onto its stage, or takes it off.
    #[inline]
    fn note_staged(&self, key: Option<Key>) {
        // Ordering: Release pairs with the Acquire of `is_staged`: a thread that sees that a key
        // has left the stage also sees the tick that its timer published.
        self.published.staged.store(key.map_or(0, Key::to_bits), Ordering::Release);
    }

    /// The timer with `key`, which the caller holds, is still on the stage of the wheel's worker.
    #[inline]
    fn is_staged(&self, key: Key) -> bool {
        // Ordering: Acquire pairs with the Release of `note_staged`. The caller got the timer from
        // the thread that staged it, so it sees that store or a later one.
        self.published.staged.load(Ordering::Acquire) == key.to_bits()
    }

    /// The caller drops the waker, outside the lock. A timer that is staged on another worker is
    /// never armed.
    #[inline]
    pub(crate) fn cancel(&self, key: Key) -> Option<Waker> {
        let mut wheel = self.wheel.lock();
        let waker = wheel.cancel(key);
        if waker.is_none() {
            wheel.release(key);
        }
        waker
    }

    /// Wakes every timer that is due at tick `now`, and returns how many. A Relaxed load comes
    /// first, so a wheel with nothing due costs one load.
    pub(crate) fn fire(&self, now: u64) -> usize {
        let mut fired = 0;
        while self.next() <= now {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let taken = self.take_due(now, &mut batch);
            fired += taken;
            batch.iter().flatten().for_each(task::prefetch);
            for waker in batch.into_iter().flatten() {
                // A foreign waker may panic; ours do not.
                silently(|| waker.wake());
            }
            if taken < BATCH {
                break;
            }
        }
        fired
    }

    fn take_due(&self, now: u64, batch: &mut [Option<Waker>; BATCH]) -> usize {
        let mut wheel = self.wheel.lock();
        let mut taken = 0;
        for (room, expired) in batch.iter_mut().zip(wheel.poll(now)) {
            *room = Some(expired.value);
            taken += 1;
        }
        // Under the lock: otherwise a stale value could hide a timer that is armed meanwhile.
        self.published.next.store(wheel.next_deadline().unwrap_or(NEVER), Ordering::Relaxed);
        taken
    }

    /// Reads the earliest tick from the wheel itself: the published one may be too early because
    /// its timer was cancelled.
    pub(crate) fn refresh(&self) -> u64 {
        let mut wheel = self.wheel.lock();
        let next = wheel.next_deadline().unwrap_or(NEVER);
        self.published.next.store(next, Ordering::Relaxed);
        next
    }

    pub(crate) fn len(&self) -> usize {
        self.wheel.lock().len()
    }
}

/// A timer that the current poll has armed with the waker of its own task. It goes into the wheel
/// when the poll ends.
///
/// Until then it could only wake the task that is running. Most timers are armed by an await that
/// is over at once, or is given up in the same poll; these cost neither the wheel's lock nor a
/// reference to the task. The stage holds one timer. A poll that arms more puts the others into the
/// wheel and can afford it.
#[derive(Default)]
pub(crate) struct Stage {
    staged: Cell<Option<Staged>>,
    /// A reserved key of this worker's wheel, for the next staged timer.
    reserved: Cell<Option<Key>>,
    /// The address of the task that is being polled; zero while no poll runs.
    open: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Staged {
    key: Key,
    deadline: u64,
}

impl Stage {
    /// A poll of `task` begins. If it runs inside another poll, pass the result to `resume_poll`
    /// afterwards.
    #[inline]
    pub(crate) fn begin_poll(&self, task: &Runnable) -> usize {
        self.open.replace(task.address())
    }

    /// The poll's code has run. Foreign code that runs from here on, destructors above all, arms
    /// its timers in the wheel.
    #[inline]
    pub(crate) fn end_poll(&self) {
        self.open.set(0);
    }

    pub(crate) fn resume_poll(&self, outer: usize) {
        self.open.set(outer);
    }

    /// `waker` belongs to the task whose poll runs.
    #[inline]
    pub(crate) fn is_open_for(&self, waker: &Waker) -> bool {
        let open = self.open.get();
        open != 0 && open == task::address_of(waker)
    }

    /// Stages a timer and returns its key; None if another one is staged.
    #[inline]
    pub(crate) fn put(&self, timers: &TimerSlot, deadline: u64) -> Option<Key> {
        if !self.is_empty() {
            return None;
        }
        let key = self.reserved.take().unwrap_or_else(|| timers.wheel.lock().reserve());
        self.staged.set(Some(Staged { key, deadline }));
        timers.note_staged(Some(key));
        Some(key)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.staged.get().is_none()
    }

    #[inline]
    pub(crate) fn holds(&self, key: Key) -> bool {
        self.staged.get().is_some_and(|staged| staged.key == key)
    }

    /// The staged timer has been dropped.
    #[inline]
    pub(crate) fn take_back(&self, timers: &TimerSlot) {
        self.reserved.set(self.staged.take().map(|staged| staged.key));
        timers.note_staged(None);
    }

    /// The poll of `task` ends, or the poll of another task interrupts it: the timer goes into the
    /// wheel. Returns its tick if it is the earliest there.
    #[must_use = "who waits for the earliest deadline has to hear of an earlier one"]
    pub(crate) fn flush(&self, timers: &TimerSlot, ticks: TickLength, task: &TaskRef) -> Option<u64> {
        let Staged { key, deadline } = self.staged.take()?;
        let tick = ticks.at_or_after(deadline);
        let waker = task.waker();
        let mut wheel = timers.wheel.lock();
        let refused = wheel.arm(key, tick, waker).err();
        self.reserved.set(Some(wheel.reserve()));
        let earliest = refused.is_none() && timers.publish(tick);
        timers.note_staged(None);
        drop(wheel);
        // The wheel refuses a timer that was dropped on another thread meanwhile.
        drop(refused);
        earliest.then_some(tick)
    }

    /// The worker leaves its place, and gives the reserved key back.
    pub(crate) fn clear(&self, timers: &TimerSlot) {
        debug_assert!(self.is_empty());
        if let Some(key) = self.reserved.take() {
            timers.wheel.lock().release(key);
        }
    }
}

#[cfg(test)]
#[cfg(not(selvedge_loom))]
mod tests;
