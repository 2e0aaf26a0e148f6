//! What is one timer of a task?
//!
//! A timer that is dropped on a foreign thread finds its wheel by number, so arming it counts no
//! reference. A timer that a poll arms for its own task is *staged*: it could wake only the task
//! that is running, so it enters the wheel when the poll ends. Its key is reserved beforehand.

use std::task::{Context, Poll, Waker};

use selvedge_timer_wheel::Key;

use crate::far;
use crate::moment::{FAR, Moment};
use crate::runtimes;
use crate::shared::Shared;
use crate::timers::NEVER;
use crate::worker;

/// The calling thread runs no scheduler's tasks, so no timer can be armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoScheduler;

/// One timer of a task. Polling arms it. Dropping or disarming it leaves nothing behind, on any
/// thread.
#[derive(Debug, Default)]
pub struct Timer {
    armed: Option<Armed>,
}

#[derive(Debug)]
struct Armed {
    /// In nanoseconds. From [`FAR`] on it is the number of a far timer.
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

    /// Ready when the clock of this thread's scheduler shows `deadline` or later. Otherwise wakes
    /// `cx` at that time.
    ///
    /// A poll with another deadline moves the timer. On a real clock, a deadline beyond its 584
    /// years never comes.
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

    /// Arms the timer for `delay` from now, and returns the deadline. A deadline that has come
    /// already (because the clock stands at the end of time) wakes `cx` soon.
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

    /// As `poll_at`, but does not read the clock: the caller expects the deadline to lie ahead. A
    /// deadline that has come already wakes `cx` soon.
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
        if !shared.clock.is_virtual() {
            match deadline.wheel_nanos() {
                Some(deadline) => self.arm(local, deadline, cx.waker()),
                None => self.disarm(),
            }
            return Poll::Pending;
        }
        if deadline == Moment::NEVER {
            self.disarm();
            return Poll::Pending;
        }
        if shared.clock.moment() >= deadline {
            self.disarm();
            return Poll::Ready(Ok(()));
        }
        let is_armed = self.armed.as_ref().is_some_and(|armed| {
            armed.runtime == shared.id
                && armed.deadline >= FAR
                && shared.far.is_armed_for(armed.deadline, deadline, cx.waker())
        });
        if is_armed {
            return Poll::Pending;
        }
        self.disarm();
        // A far timer is in no wheel. This key only fills the field; `cancel_far` gives it back.
        let key = shared.timers_of(local.index).reserve();
        let number = shared.far.insert(deadline, cx.waker().clone());
        shared.driver.armed_earlier(&**shared, far::TICK);
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
                shared.driver.armed_earlier(&**shared, tick);
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
    /// Does the timer already wait for this deadline, on behalf of `waker`? Replaces an old waker.
    fn is_armed_for(&self, local: &worker::Local, deadline: u64, waker: &Waker) -> bool {
        if self.deadline != deadline || self.runtime != local.shared.id {
            return false;
        }
        if self.is_staged(local) {
            // A staged timer wakes the current task; `waker` may belong to another one.
            return local.stage.is_open_for(waker);
        }
        let wheel = &local.shared.timers_of(self.slot as usize).wheel;
        let same = wheel.lock().get(self.key).map(|old| old.will_wake(waker));
        if same != Some(false) {
            return same == Some(true);
        }
        // The clone and the drop of a waker are foreign code, so neither runs under the lock. If
        // the timer fires meanwhile, the caller arms it anew.
        let mut new = waker.clone();
        wheel.lock().get_mut(self.key).map(|old| std::mem::swap(old, &mut new)).is_some()
    }

    /// Has the timer fired for certain? Then there is no need to read the clock, nor to visit the
    /// timer's cell in the wheel, which is no longer in any cache.
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
        // A timer that is dropped on a foreign thread finds its scheduler by number. If the
        // scheduler is gone, so is the wheel.
        let waker = here.unwrap_or_else(|| {
            runtimes::find::<Shared>(self.runtime)?.timers_of(self.slot as usize).cancel(self.key)
        });
        drop(waker);
    }
}

impl Armed {
    #[cold]
    fn cancel_far(self) {
        let Some(shared) = runtimes::find::<Shared>(self.runtime) else { return };
        // On a real clock the timer is in a wheel. In virtual time no timer belongs to the key, and
        // the key is given back.
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
