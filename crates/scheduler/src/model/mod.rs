//! Which internals of the shipped code can `loom-tests` reach? This module exists under the models
//! only.
//!
//! Nothing here makes decisions: each function calls the shipped function of that name. A model
//! plays the threads of a scheduler itself, so it has few threads and knows what each does.

mod faults;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

pub use self::faults::{fault, weaken};
pub use crate::queue::retries;
pub use crate::task::model::{Begun, Word};
pub use crate::watchdog_thread::model::Watchdog;
pub use crate::worker::model::{Right, Seat, Worker};

use crate::config::Config;
use crate::io::{Change, Changes, Direction, Ready, Source, Waiter};
use crate::parker::Parker;
use crate::queue::{Next, Steal};
use crate::shared::Scheduler;
use crate::shared::Shared;
use crate::sync::{self, AtomicBool, Ordering, UnsafeCell};
use crate::watchdog::Role;

/// The types that the seam of the layer above re-exports under the models.
pub mod seam {
    pub use crate::sync::imp::*;
}

/// Parks the calling thread through the seam.
pub fn park() {
    sync::park(None);
}

/// A thread, to be unparked through the seam.
#[derive(Clone)]
pub struct Thread(sync::Thread);

impl Thread {
    /// The calling thread.
    pub fn current() -> Self {
        Self(sync::thread::current())
    }

    /// Ends the thread's `park`, or its next one.
    pub fn unpark(&self) {
        self.0.unpark();
    }
}

/// A publication without an ordering. A model that uses it must fail. If it passes, the seam does
/// not lead to loom.
pub struct Canary {
    flag: AtomicBool,
    value: UnsafeCell<u32>,
}

// SAFETY: deliberately not sound, which is the canary's purpose: loom finds the race before it
// happens.
unsafe impl Send for Canary {}
// SAFETY: as above.
unsafe impl Sync for Canary {}

impl Canary {
    /// Nothing is published yet.
    #[expect(clippy::new_without_default, reason = "as the other types of the scheduler")]
    pub fn new() -> Self {
        Self { flag: AtomicBool::new(false), value: UnsafeCell::new(0) }
    }

    /// Publishes a value, without the ordering that it needs.
    pub fn sing(&self) {
        // SAFETY: it is not safe, see above.
        self.value.with_mut(|value| unsafe { *value = 1 });
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Reads what was published, if anything.
    pub fn hear(&self) -> Option<u32> {
        // SAFETY: it is not safe, see above.
        self.flag.load(Ordering::Relaxed).then(|| self.value.with(|value| unsafe { *value }))
    }
}

/// A next-task slot by itself.
pub struct NextSlot(Next);

impl NextSlot {
    /// An empty slot.
    #[expect(clippy::new_without_default, reason = "as the other types of the scheduler")]
    pub fn new() -> Self {
        Self(Next::new())
    }

    /// Only the owner may call this and act on the result.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Only the owner may call this, and only when it has seen the slot empty.
    pub fn put(&self, right: Right) {
        self.0.put(right.into_runnable());
    }

    /// Any thread may call this.
    pub fn take(&self) -> Option<Right> {
        self.0.take().map(Right::new)
    }
}

/// A worker's parker by itself, and the waker that ends its polls.
pub struct PollSeat(Parker, Arc<sync::PollWaker>);

impl PollSeat {
    /// No thread waits here yet.
    #[expect(clippy::new_without_default, reason = "as the other types of the scheduler")]
    pub fn new() -> Self {
        Self(Parker::new(), Arc::new(sync::PollWaker::alone()))
    }

    /// The calling thread waits in a poll, once. True: it used up the token.
    pub fn poll(&self) -> bool {
        self.0.occupy();
        self.0.park_in_poll(&self.1, || self.1.wait())
    }

    /// Ends the wait that goes on, or the next one.
    pub fn unpark(&self) {
        self.0.unpark();
    }
}

/// A socket of which only the list of waiters is real.
pub struct Socket(Source);

impl Socket {
    /// No task has tried it yet.
    #[expect(clippy::new_without_default, reason = "as the other types of the scheduler")]
    pub fn new() -> Self {
        Self(Source::new())
    }

    /// As [`Registration::poll_ready`](crate::Registration::poll_ready), for reading.
    pub fn poll_ready(&self, waiter: &mut Waiter, cx: &mut Context<'_>) -> Poll<Ready> {
        self.0.poll_ready(Direction::Read, waiter, cx).map(|ready| ready.expect("nobody closes it"))
    }

    /// As [`Registration::changes`](crate::Registration::changes), of reading.
    pub fn changes(&self) -> Changes {
        self.0.changes(Direction::Read)
    }

    /// As [`Registration::poll_changed`](crate::Registration::poll_changed).
    pub fn poll_changed(&self, since: Changes, waiter: &mut Waiter, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_changed(since, waiter, cx).map(|changed| changed.expect("nobody closes it"))
    }

    /// As [`Registration::clear`](crate::Registration::clear).
    pub fn clear(&self, ready: Ready) {
        self.0.clear(ready);
    }

    /// As [`Registration::forget`](crate::Registration::forget).
    pub fn forget(&self, waiter: &mut Waiter) {
        self.0.forget(Direction::Read, waiter);
    }

    /// The operating system reports that there is something to read.
    pub fn becomes_ready(&self) {
        let woken = self.0.note(Change { read: Some(false), write: None });
        woken.into_iter().flatten().for_each(Waker::wake);
    }
}

/// A scheduler without threads: the model's threads play all parts.
#[derive(Clone)]
pub struct House(Arc<Shared>);

impl House {
    /// No thread has taken a place yet. `waits_time_out`: a thread of the pool that waits runs into
    /// its limit at once.
    pub fn new(config: Config, waits_time_out: bool) -> Self {
        sync::reset_time(waits_time_out);
        Self(Shared::new(config, crate::worker::schedule_here))
    }

    /// The handle that users have.
    pub fn scheduler(&self) -> Scheduler {
        Scheduler::handle_to(&self.0)
    }

    /// Takes place `index` for a thread of the model.
    pub fn reserve(&self, index: usize) -> Seat {
        Seat::reserve(&self.0, index, Role::Light)
    }

    /// Takes place `index` for a computing thread of the model.
    pub fn reserve_computing(&self, index: usize) -> Seat {
        Seat::reserve(&self.0, index, Role::Computing)
    }

    /// Whether the watchdog has been woken since this was last asked. No thread may play it.
    pub fn watchdog_is_called(&self) -> bool {
        self.0.watchdog.alarm.take_token()
    }

    /// How many computing threads there are.
    pub fn computing_threads(&self) -> usize {
        self.0.watchdog.computing()
    }

    /// A task out of the injector.
    pub fn steal(&self) -> Option<Right> {
        match self.0.injector.steal_one() {
            Steal::Success(task) => Some(Right::new(task)),
            Steal::Empty | Steal::Retry => None,
        }
    }

    /// The calling thread plays the watchdog.
    pub fn watchdog(&self) -> Watchdog<'_> {
        Watchdog::new(&self.0)
    }

    /// Makes a task cpu-bound, as after a long poll. It must be suspended.
    pub fn make_cpu_bound(&self, task: &crate::TaskRef) {
        task.set_weight(crate::kinds::CPU_BOUND);
    }

    /// How many workers have announced that they sleep.
    pub fn sleeping(&self) -> usize {
        self.0.idle.sleeping()
    }

    /// Dismisses all workers of this scheduler.
    pub fn dismiss_all(&self) {
        self.0.dismiss_all();
    }

    /// Moves the tasks of place `index` to the injector, as the watchdog does
    /// when the worker is stuck.
    pub fn share_tasks(&self, index: usize) {
        self.0.share_tasks(&self.0.slots[index]);
    }

    /// From now on the pool gives no thread to a job or a standby.
    pub fn close_pool(&self) {
        self.0.pool.close();
    }

    /// Dismisses the standby at place `index`, as the watchdog does when there is one too many.
    pub fn dismiss(&self, index: usize) {
        self.0.slots[index].leave.store(true, Ordering::Relaxed);
        self.0.slots[index].parker.unpark();
    }

    /// Waits for deadlines as the worker at place `index`, until the earliest tick of all wheels is
    /// `tick` or earlier.
    pub fn drive_until_armed(&self, index: usize, tick: u64) {
        self.0.slots[index].parker.occupy();
        loop {
            let Some(driving) = self.0.driver.try_drive(index) else {
                loom::thread::yield_now();
                continue;
            };
            let until = driving.announce(&*self.0);
            if until <= tick {
                return;
            }
            driving.wait(&*self.0, until, &mut Vec::new());
        }
    }

    /// Takes the driver, waits once, and leaves the driver again, as a worker does that is woken
    /// for work.
    pub fn drive_once(&self, index: usize) {
        self.0.slots[index].parker.occupy();
        if let Some(driving) = self.0.driver.try_drive(index) {
            let until = driving.announce(&*self.0);
            driving.wait(&*self.0, until, &mut Vec::new());
        }
    }

    /// Ends the wait of the worker at place `index`.
    pub fn unpark(&self, index: usize) {
        self.0.slots[index].parker.unpark();
    }

    /// Fires the timers that are due at `tick` in the wheel of place `index`.
    pub fn fire(&self, index: usize, tick: u64) -> usize {
        self.0.timers_of(index).fire(tick)
    }

    /// The published deadline of place `index`.
    pub fn next_deadline(&self, index: usize) -> u64 {
        self.0.timers_of(index).next()
    }

    /// The deadline that begins tick `tick`.
    pub fn start_of(&self, tick: u64) -> u64 {
        self.0.tick_length.start_of(tick)
    }
}
