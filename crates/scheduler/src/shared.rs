//! What do all threads of a scheduler see?

use std::sync::{Arc, Weak};

use crate::clock::{Clock, ClockKind};
use crate::clock_pause::ClockPauses;
use crate::config::Config;
use crate::cpu_bound::{Class, Lanes};
use crate::door::Closing;
use crate::driver::{Driver, Host};
use crate::far::{self, FarTimers};
use crate::idle::Idle;
use crate::os::{self, Slice};
use crate::parker::Parker;
use crate::pool::Pool;
use crate::queue::Injector;
use crate::runtimes;
use crate::spin::SpinBudget;
use crate::sync::{AtomicBool, Ordering, fence};
use crate::task::{OwnedTasks, Runnable, Schedule, ScheduleHere, Why};
use crate::timers::{NEVER, TickLength, TimerSlot};
use crate::watchdog::Watchdog;
use crate::worker_slot::{FOUND_LONG_STEPS, NO_THREAD, Priority, WorkerSlot};

/// A running scheduler. Cheap to clone, and usable from any thread.
///
/// It runs until [`close`](Self::close) is called: its threads keep it alive.
#[derive(Clone)]
pub struct Scheduler(pub(crate) Arc<Shared>);

impl Scheduler {
    pub(crate) fn handle_to(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    pub(crate) fn as_arc(&self) -> &Arc<Shared> {
        &self.0
    }
}

/// A scheduler, as its threads see it.
pub(crate) struct Shared {
    pub(crate) id: u32,
    pub(crate) config: Config,
    pub(crate) slots: Box<[WorkerSlot]>,
    pub(crate) injector: Injector,
    pub(crate) lanes: Lanes,
    pub(crate) idle: Idle,
    /// The same for the computing threads, which look for tasks in the lanes.
    pub(crate) idle_computing: Idle,
    pub(crate) watchdog: Watchdog,
    pub(crate) spin_budget: SpinBudget,
    pub(crate) driver: Driver,
    pub(crate) clock: Clock,
    pub(crate) tick_length: TickLength,
    pub(crate) pool: Pool<Shared>,
    pub(crate) closing: AtomicBool,
    pub(crate) close: Closing,
    pub(crate) clock_pauses: ClockPauses,
    timers: Box<[TimerSlot]>,
    pub(crate) far: FarTimers,
    pub(crate) owned: OwnedTasks,
}

impl Shared {
    /// `schedule_here` is how the scheduler's workers queue a task.
    pub(crate) fn new(config: Config, schedule_here: ScheduleHere) -> Arc<Self> {
        let workers = config.workers;
        let computing = config.computing_threads();
        // Some computing threads may come in addition, see `share.rs`.
        let places = workers + config.standbys() + if computing > 0 { computing + workers } else { 0 };
        let is_virtual = config.clock == ClockKind::Virtual;
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            id: runtimes::register(this.clone()),
            slots: (0..places).map(|_| WorkerSlot::new()).collect(),
            injector: Injector::new(),
            lanes: Lanes::new(workers, config.computing_threads() > 0),
            idle: Idle::new(places),
            idle_computing: Idle::new(places),
            watchdog: Watchdog::new(workers, config.standbys() > 0),
            spin_budget: SpinBudget::new(),
            driver: Driver::new(),
            clock: Clock::new(config.clock),
            tick_length: TickLength::new(is_virtual),
            pool: Pool::new(&config),
            closing: AtomicBool::new(false),
            close: Closing::new(),
            clock_pauses: ClockPauses::new(),
            timers: (0..places).map(|_| TimerSlot::new()).collect(),
            far: FarTimers::new(),
            owned: OwnedTasks::new(places, &(this.clone() as Weak<dyn Schedule>), schedule_here),
            config,
        })
    }

    /// N, without standbys and computing threads.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        self.config.workers
    }

    /// The places that have ever been used.
    pub(crate) fn places(&self) -> &[WorkerSlot] {
        &self.slots[..self.watchdog.places_used()]
    }

    /// Whether every worker sleeps, no blocking job runs and the clock is not paused, so nothing happens
    /// until a timer fires or a foreign thread does something.
    pub(crate) fn is_quiescent(&self) -> bool {
        let all_sleep = || {
            let light = self.idle.all_sleep(self.watchdog.light())?;
            Some((light, self.idle_computing.all_sleep(self.watchdog.computing())?))
        };
        let Some(asleep) = all_sleep() else { return false };
        // After the look at the sleepers: see `clock_pause.rs`.
        if self.clock_pauses.any() {
            return false;
        }
        // A task may be on its way between two queues. If the watchdog moves it, that shows, and the
        // task is in a queue when it shows no more. If a worker moves it, that worker has woken in
        // between.
        let nothing_waits = self.pool.is_quiet() && !self.watchdog.is_moving_a_task() && !self.has_work();
        nothing_waits && all_sleep() == Some(asleep)
    }

    /// Moves a virtual clock to the earliest deadline of an armed timer. False: no timer is armed.
    pub(crate) fn advance_virtual_time(&self) -> bool {
        let earliest = self.all_timers().iter().map(TimerSlot::refresh).min().unwrap_or(NEVER);
        if earliest != NEVER {
            self.clock.advance_to(self.tick_length.start_of(earliest));
            return true;
        }
        let far = self.far.first();
        if let Some(moment) = far {
            self.clock.advance_far(moment);
        }
        far.is_some()
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn timers_of(&self, slot: usize) -> &TimerSlot {
        &self.timers[slot]
    }

    /// The wheels of all places that have been used. A place counts as used before its thread begins, and
    /// so before that thread arms a timer.
    pub(crate) fn all_timers(&self) -> &[TimerSlot] {
        &self.timers[..self.watchdog.places_used()]
    }

    /// The earliest tick of all wheels, or an earlier one. [`far::TICK`] if only far timers are
    /// armed.
    pub(crate) fn next_deadline(&self) -> u64 {
        match self.all_timers().iter().map(TimerSlot::next).min().unwrap_or(NEVER) {
            NEVER if self.far.any() => far::TICK,
            next => next,
        }
    }

    /// Queues a task where all threads of its class find it, and wakes one if needed.
    pub(crate) fn inject(&self, task: Runnable, class: Class) {
        if class == Class::Light {
            self.injector.push(task);
            self.notify();
        } else {
            self.push_to_lane(task, class);
        }
    }

    /// Queues a cpu-bound task, or one on probation. If no permit is left, no thread is woken: the one
    /// that returns a permit looks at the lane.
    pub(crate) fn push_to_lane(&self, task: Runnable, class: Class) {
        if self.lanes.is_off() {
            self.injector.push(task);
            return self.notify();
        }
        self.lanes.push(task, class == Class::OnProbation);
        // Ordering: partner of the fence in `Idle::sleep`. A computing thread returns its permit before
        // it enters the sleepers: either it sees the task in its second look, or this thread sees the
        // permit.
        fence(Ordering::SeqCst);
        self.call_computing_thread();
    }

    /// Wakes a computing thread if a task in a lane is due. If none sleeps and none searches, the watchdog
    /// starts one.
    pub(crate) fn call_computing_thread(&self) {
        if self.lanes.is_due() && !self.wake_computing_thread() && !self.idle_computing.searches() {
            self.watchdog.wake();
        }
    }

    /// Wakes a computing thread, if one sleeps and none searches.
    pub(crate) fn wake_computing_thread(&self) -> bool {
        let woken = self.idle_computing.notify_if_visible();
        self.unpark(woken);
        woken.is_some()
    }

    /// Sets the priority of a thread, which may be `NO_THREAD`.
    pub(crate) fn set_priority(&self, thread: u32, priority: Priority) {
        let (usual, steps) = (self.pool.niceness(), i32::from(self.config.computing_niceness));
        let (niceness, slice) = match priority {
            Priority::Light => (usual, Slice::Light),
            Priority::Boosted => (usual, Slice::Computing),
            Priority::Computing => (usual.saturating_add(steps), Slice::Computing),
            Priority::FoundLong => {
                let more = if steps == 0 { 0 } else { FOUND_LONG_STEPS };
                (usual.saturating_add(steps + more), Slice::Usual)
            }
        };
        if thread != NO_THREAD && !os::set_priority(thread, niceness, slice) {
            self.watchdog.niceness_refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All threads that run tasks sleep: a hint.
    pub(crate) fn seems_idle(&self) -> bool {
        self.idle.sleeping() >= self.watchdog.light()
            && self.idle_computing.sleeping() >= self.watchdog.computing()
    }

    /// After a push: wakes a worker, if one is needed.
    #[inline]
    pub(crate) fn notify(&self) {
        self.unpark(self.idle.notify());
    }

    /// As `notify`, but it may miss a worker that is just falling asleep: for tasks that do not
    /// depend on it.
    #[inline]
    pub(crate) fn notify_if_visible(&self) {
        self.unpark(self.idle.notify_if_visible());
    }

    #[inline]
    fn unpark(&self, worker: Option<usize>) {
        if let Some(index) = worker {
            self.slots[index].parker.unpark();
        }
    }

    /// Something that kept virtual time from moving on has ended, without waking a worker: the worker
    /// that waits for all others to sleep must look again.
    pub(crate) fn recheck_quiescence(&self) {
        if self.clock.is_virtual() {
            self.driver.recheck(self);
        }
    }

    /// Whether something is queued that could run, also a task that is kept local.
    pub(crate) fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || self.lanes.is_due()
            || self.places().iter().any(|slot| !slot.stealer.is_empty())
    }

    /// Whether another worker could take something: tasks that are kept local do not count.
    pub(crate) fn has_work_to_give(&self) -> bool {
        !self.injector.is_empty() || self.places().iter().any(|slot| slot.has_to_give(1))
    }

    /// Sets `closing`, dismisses every worker and wakes it, and wakes the watchdog.
    pub(crate) fn dismiss_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            // Ordering: a swap whose Release pairs with the swap of the watchdog in `balance`,
            // which may be taking a dismissal back.
            slot.leave.swap(true, Ordering::AcqRel);
            slot.parker.unpark();
        }
        self.watchdog.wake();
    }
}

impl Host for Shared {
    fn next_deadline(&self) -> u64 {
        self.next_deadline()
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn tick_length(&self) -> TickLength {
        self.tick_length
    }

    fn parker(&self, worker: usize) -> &Parker {
        &self.slots[worker].parker
    }

    fn notify(&self) {
        self.notify();
    }

    fn has_watchdog(&self) -> bool {
        self.watchdog.is_on()
    }
}

impl Schedule for Shared {
    fn schedule(&self, task: Runnable, why: Why) {
        let class = Class::of(&task, why);
        self.inject(task, class);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        runtimes::unregister(self.id);
    }
}
