//! When do timers fire, and who sees to it?
//!
//! Each worker has a wheel behind a lock of its own. A timer is armed in the wheel of the worker that polls it, and nearly always cancelled
//! there. Whoever finds a wheel due fires it: its owner between polls, or the idle worker that holds the driver (see
//! `driver.rs`), which waits for the earliest deadline of all.
//!
//! Time is counted in ticks. A deadline is rounded up and the clock rounded down, so nothing fires early.

use std::cell::Cell;
use std::task::{Context, Poll, Waker};

use crossbeam_utils::CachePadded;
use selvedge_timer_wheel::{Key, Wheel};

use crate::contain::silently;
use crate::far;
use crate::moment::{FAR, Moment};
use crate::runtimes;
use crate::sync::{AtomicU64, Mutex, Ordering, mutation};
use crate::task::{self, Runnable, TaskRef};
use crate::worker;

/// 2^13 ns are 8 µs: half a tick is the mean lateness that rounding costs.
const REAL_TICK_SHIFT: u32 = 13;
/// Virtual time is exact to the nanosecond.
const VIRTUAL_TICK_SHIFT: u32 = 0;
/// Wakers that leave a wheel under one hold of its lock.
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
    fn at_or_after(self, deadline: u64) -> u64 {
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
    wheel: Mutex<Wheel<Waker>>,
    told: CachePadded<Told>,
}

/// What is told of a wheel without its lock. In one cache line: who reads the second has just read the first.
struct Told {
    /// The earliest tick in the wheel or an earlier one. Written under the wheel's lock.
    next: AtomicU64,
    /// The key that the wheel's worker holds in its [`Stage`], as a number; zero for none. Written by that worker.
    staged: AtomicU64,
}

impl TimerSlot {
    pub(crate) fn new() -> Self {
        let told = Told { next: AtomicU64::new(NEVER), staged: AtomicU64::new(0) };
        Self { wheel: Mutex::new(Wheel::new(0)), told: CachePadded::new(told) }
    }

    /// A tick before which nothing here is due.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        // Relaxed: the fences in `driver.rs` order it against a worker that is about to wait.
        self.told.next.load(Ordering::Relaxed)
    }

    /// Returns true if `tick` is now the earliest.
    #[inline]
    fn insert(&self, tick: u64, waker: Waker) -> (Key, bool) {
        let mut wheel = self.wheel.lock();
        let key = wheel.insert(tick, waker);
        (key, self.publish(tick))
    }

    /// `tick` has come into the wheel, whose lock is held. Returns true if it is now the earliest.
    #[inline]
    fn publish(&self, tick: u64) -> bool {
        let earliest = tick < self.next();
        if earliest {
            self.told.next.store(tick, Ordering::Relaxed);
        }
        earliest
    }

    /// The timer of `tick` that was armed here with `key` has left the wheel. False may be wrong.
    #[inline]
    fn has_fired(&self, key: Key, tick: u64) -> bool {
        // First whether it is in the wheel at all: a timer may come here while the poll that staged it goes on elsewhere. Then, relaxed: who put
        // it there made the published tick `tick` or less, and only the removal of all that is due by `tick` raises it above.
        !self.is_staged(key) && self.next() > tick
    }

    /// The wheel's worker puts a key onto its stage, or takes it off.
    #[inline]
    fn note_staged(&self, key: Option<Key>) {
        // Ordering: Release pairs with the Acquire of `is_staged`: who sees that a key has left the stage sees the tick that its timer published.
        self.told.staged.store(key.map_or(0, Key::to_bits), Ordering::Release);
    }

    /// The timer with `key`, which the caller holds, is still on the stage of the wheel's worker.
    #[inline]
    fn is_staged(&self, key: Key) -> bool {
        // Ordering: Acquire pairs with the Release of `note_staged`. The caller got the timer from whoever staged it, so it sees that or what came
        // later.
        !mutation("stage-is-not-told") && self.told.staged.load(Ordering::Acquire) == key.to_bits()
    }

    /// The waker is dropped outside the lock. A timer that is staged elsewhere is never armed.
    #[inline]
    fn cancel(&self, key: Key) -> Option<Waker> {
        let mut wheel = self.wheel.lock();
        let waker = wheel.cancel(key);
        if waker.is_none() {
            wheel.release(key);
        }
        waker
    }

    /// Wakes everything that is due at `now`. `Relaxed` look first: nothing due costs a load.
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
        if mutation("publish-after-the-lock") {
            let next = wheel.next_deadline().unwrap_or(NEVER);
            drop(wheel);
            self.told.next.store(next, Ordering::Relaxed);
            return taken;
        }
        // Under the lock: a timer that is armed meanwhile must not be hidden by a stale value.
        self.told.next.store(wheel.next_deadline().unwrap_or(NEVER), Ordering::Relaxed);
        taken
    }

    /// Looks into the wheel itself, where the published value may be too early because that timer was cancelled.
    pub(crate) fn refresh(&self) -> u64 {
        let mut wheel = self.wheel.lock();
        let next = wheel.next_deadline().unwrap_or(NEVER);
        self.told.next.store(next, Ordering::Relaxed);
        next
    }

    pub(crate) fn len(&self) -> usize {
        self.wheel.lock().len()
    }
}

/// A timer that the current poll has armed with the waker of its own task, and that is put into the wheel when the poll ends.
///
/// Until then it could wake nobody but the task that runs. Most timers are armed by an await that is over at once or is given up in
/// the same poll; those cost neither the wheel's lock nor a reference to the task. There is room for one: what arms more in one
/// poll is not in such a hurry.
#[derive(Default)]
pub(crate) struct Stage {
    staged: Cell<Option<Staged>>,
    /// A key of this worker's wheel for the next one.
    spare: Cell<Option<Key>>,
    /// The task whose poll runs, by its address; zero while none does.
    open: Cell<usize>,
}

#[derive(Clone, Copy)]
struct Staged {
    key: Key,
    deadline: u64,
}

impl Stage {
    /// A poll of `task` begins. Returns what `resume_poll` wants if it is inside another one.
    #[inline]
    pub(crate) fn begin_poll(&self, task: &Runnable) -> usize {
        self.open.replace(task.address())
    }

    /// The poll's code has run. What is foreign code from here on, destructors above all, arms in the wheel.
    #[inline]
    pub(crate) fn end_poll(&self) {
        self.open.set(0);
    }

    pub(crate) fn resume_poll(&self, outer: usize) {
        self.open.set(outer);
    }

    /// `waker` belongs to the task whose poll runs.
    #[inline]
    fn is_open_for(&self, waker: &Waker) -> bool {
        let open = self.open.get();
        open != 0 && open == task::address_of(waker)
    }

    /// Stages a timer and returns its key; None if another one is staged.
    #[inline]
    fn put(&self, timers: &TimerSlot, deadline: u64) -> Option<Key> {
        if !self.is_empty() {
            return None;
        }
        let key = self.spare.take().unwrap_or_else(|| timers.wheel.lock().reserve());
        self.staged.set(Some(Staged { key, deadline }));
        timers.note_staged(Some(key));
        Some(key)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.staged.get().is_none()
    }

    #[inline]
    fn holds(&self, key: Key) -> bool {
        self.staged.get().is_some_and(|staged| staged.key == key)
    }

    /// The staged timer has been dropped.
    #[inline]
    fn take_back(&self, timers: &TimerSlot) {
        self.spare.set(self.staged.take().map(|staged| staged.key));
        timers.note_staged(None);
    }

    /// The poll of `task` ends, or is interrupted by the poll of another task: the timer goes into the wheel.
    pub(crate) fn flush(&self, local: &worker::Local, task: &TaskRef) {
        let Some(Staged { key, deadline }) = self.staged.take() else { return };
        let shared = &local.shared;
        let tick = shared.tick_length.at_or_after(deadline);
        let timers = shared.timers_of(local.index);
        let waker = task.waker();
        let mut wheel = timers.wheel.lock();
        let refused = wheel.arm(key, tick, waker).err();
        self.spare.set(Some(wheel.reserve()));
        let earliest = refused.is_none() && timers.publish(tick);
        timers.note_staged(None);
        drop(wheel);
        // Refused if it was dropped on another thread meanwhile.
        drop(refused);
        if earliest {
            shared.driver.armed_earlier(shared, tick);
        }
    }

    /// The worker leaves its place.
    pub(crate) fn clear(&self, timers: &TimerSlot) {
        debug_assert!(self.is_empty());
        if let Some(key) = self.spare.take() {
            timers.wheel.lock().release(key);
        }
    }
}

/// The calling thread runs no scheduler's tasks, so no timer can be armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoScheduler;

/// One timer of a task. It is armed by polling; dropping or disarming it leaves nothing behind, on whatever thread.
#[derive(Debug, Default)]
pub struct Timer {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    /// In nanoseconds; from [`FAR`] on the number of a far timer.
    deadline: u64,
    key: Key,
    slot: u32,
    runtime: u32,
}

impl Timer {
    /// A timer that is not armed.
    pub const fn new() -> Self {
        Self { armed: None }
    }

    /// As [`poll_at`](Self::poll_at), for a number of nanoseconds. `u64::MAX` never comes.
    #[inline]
    pub fn poll(&mut self, deadline: u64, cx: &mut Context<'_>) -> Poll<Result<(), NoScheduler>> {
        self.poll_at(from_nanos(deadline), cx)
    }

    /// Ready when the clock of this thread's scheduler shows `deadline` or later; else wakes `cx` then.
    ///
    /// A poll with another deadline moves the timer. What lies beyond a real clock's 584 years never comes.
    #[inline]
    pub fn poll_at(&mut self, deadline: Moment, cx: &mut Context<'_>) -> Poll<Result<(), NoScheduler>> {
        worker::with(|local| {
            let Some(local) = local else { return Poll::Ready(Err(NoScheduler)) };
            let Some(deadline) = deadline.near_nanos() else { return self.poll_far(local, deadline, cx) };
            if self.armed.as_ref().is_some_and(|armed| armed.has_fired(local, deadline)) {
                self.armed = None;
                return Poll::Ready(Ok(()));
            }
            if local.shared.clock.now() >= deadline {
                self.disarm();
                return Poll::Ready(Ok(()));
            }
            self.arm(local, deadline, cx.waker());
            Poll::Pending
        })
    }

    /// Arms the timer for `delay` from now, and returns the deadline. One that has come already (time stands at its end) wakes `cx` soon.
    #[inline]
    pub fn start_after(&mut self, delay: Moment, cx: &mut Context<'_>) -> Result<Moment, NoScheduler> {
        worker::with(|local| {
            let local = local.ok_or(NoScheduler)?;
            let deadline = local.shared.clock.moment().saturating_add(delay);
            self.arm_at(local, deadline, cx);
            Ok(deadline)
        })
    }

    /// As [`start_at`](Self::start_at), for a number of nanoseconds.
    #[inline]
    pub fn start(&mut self, deadline: u64, cx: &mut Context<'_>) -> Result<(), NoScheduler> {
        self.start_at(from_nanos(deadline), cx)
    }

    /// As `poll_at`, for a deadline that the caller takes to lie ahead: the clock is not read. One that has come already wakes `cx` soon.
    #[inline]
    pub fn start_at(&mut self, deadline: Moment, cx: &mut Context<'_>) -> Result<(), NoScheduler> {
        worker::with(|local| {
            self.arm_at(local.ok_or(NoScheduler)?, deadline, cx);
            Ok(())
        })
    }

    #[inline]
    fn arm_at(&mut self, local: &worker::Local, deadline: Moment, cx: &mut Context<'_>) {
        match deadline.near_nanos() {
            Some(deadline) => self.arm(local, deadline, cx.waker()),
            None if self.poll_far(local, deadline, cx).is_ready() => cx.waker().wake_by_ref(),
            None => {}
        }
    }

    #[cold]
    fn poll_far(
        &mut self,
        local: &worker::Local,
        deadline: Moment,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), NoScheduler>> {
        let shared = &local.shared;
        if !shared.clock.is_virtual()
            && let Some(deadline) = deadline.wheel_nanos()
        {
            self.arm(local, deadline, cx.waker());
            return Poll::Pending;
        }
        if deadline == Moment::NEVER || !shared.clock.is_virtual() {
            self.disarm();
            return Poll::Pending;
        }
        if shared.clock.moment() >= deadline {
            self.disarm();
            return Poll::Ready(Ok(()));
        }
        if let Some(armed) = &self.armed
            && armed.runtime == shared.id
            && armed.deadline >= FAR
            && shared.far.is_armed_for(armed.deadline, deadline, cx.waker())
        {
            return Poll::Pending;
        }
        self.disarm();
        // In no wheel: the key only stands for one that would be.
        let key = shared.timers_of(local.index).wheel.lock().reserve();
        let number = shared.far.insert(deadline, cx.waker().clone());
        shared.driver.armed_earlier(shared, far::TICK);
        self.armed = Some(Armed { deadline: number, key, slot: local.index as u32, runtime: shared.id });
        Poll::Pending
    }

    #[inline]
    fn arm(&mut self, local: &worker::Local, deadline: u64, waker: &Waker) {
        if let Some(armed) = &self.armed {
            if armed.is_armed_for(local, deadline, waker) {
                return;
            }
            self.disarm();
        }
        if deadline == NEVER {
            return;
        }
        let shared = &local.shared;
        let timers = shared.timers_of(local.index);
        let staged = if local.stage.is_open_for(waker) { local.stage.put(timers, deadline) } else { None };
        let key = staged.unwrap_or_else(|| {
            let tick = shared.tick_length.at_or_after(deadline);
            let (key, earliest) = timers.insert(tick, waker.clone());
            if earliest {
                shared.driver.armed_earlier(shared, tick);
            }
            key
        });
        self.armed = Some(Armed { deadline, key, slot: local.index as u32, runtime: shared.id });
    }

    /// Takes the timer out of its wheel.
    #[inline]
    pub fn disarm(&mut self) {
        if let Some(armed) = self.armed.take() {
            armed.cancel();
        }
    }
}

impl Drop for Timer {
    #[inline]
    fn drop(&mut self) {
        self.disarm();
    }
}

impl Armed {
    /// The timer already waits for this deadline; its waker is brought up to date.
    fn is_armed_for(&self, local: &worker::Local, deadline: u64, waker: &Waker) -> bool {
        if self.deadline != deadline || self.runtime != local.shared.id {
            return false;
        }
        if self.is_staged(local) {
            // It will wake the current task, which may not be what is asked for now.
            return local.stage.is_open_for(waker);
        }
        let wheel = &local.shared.timers_of(self.slot as usize).wheel;
        let same = wheel.lock().get(self.key).map(|old| old.will_wake(waker));
        if same != Some(false) {
            return same == Some(true);
        }
        // A waker's clone and drop are foreign code: not under the lock. The timer may fire meanwhile; then it is armed anew.
        let mut new = waker.clone();
        wheel.lock().get_mut(self.key).map(|old| std::mem::swap(old, &mut new)).is_some()
    }

    /// It has fired for sure: neither the clock need be asked nor the wheel, where its room is no longer in any cache.
    #[inline]
    fn has_fired(&self, local: &worker::Local, deadline: u64) -> bool {
        let shared = &local.shared;
        self.deadline == deadline
            && self.runtime == shared.id
            && shared
                .timers_of(self.slot as usize)
                .has_fired(self.key, shared.tick_length.at_or_after(deadline))
    }

    fn is_staged(&self, local: &worker::Local) -> bool {
        self.slot as usize == local.index && local.stage.holds(self.key)
    }

    #[inline]
    fn cancel(self) {
        if self.deadline >= FAR {
            self.cancel_far();
            return;
        }
        let here = worker::with(|local| {
            let local = local.filter(|local| local.shared.id == self.runtime)?;
            if self.is_staged(local) {
                local.stage.take_back(local.shared.timers_of(local.index));
                return Some(None);
            }
            Some(local.shared.timers_of(self.slot as usize).cancel(self.key))
        });
        // A timer that is dropped on a foreign thread finds its scheduler by number; if that is gone, so is the wheel.
        let waker = here
            .unwrap_or_else(|| runtimes::find(self.runtime)?.timers_of(self.slot as usize).cancel(self.key));
        drop(waker);
    }
}

impl Armed {
    #[cold]
    fn cancel_far(self) {
        let Some(shared) = runtimes::find(self.runtime) else { return };
        // On a real clock it lies in a wheel; in virtual time the key stands for nothing, and is given back.
        let near = shared.timers_of(self.slot as usize).cancel(self.key);
        let far = shared.far.cancel(self.deadline);
        drop((near, far));
    }
}

/// `u64::MAX` never comes.
#[inline]
fn from_nanos(deadline: u64) -> Moment {
    if deadline == NEVER { Moment::NEVER } else { Moment::from_nanos(deadline) }
}

#[cfg(test)]
#[cfg(not(selvedge_loom))]
mod tests;
