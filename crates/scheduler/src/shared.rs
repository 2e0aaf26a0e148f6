//! What do all threads of one scheduler see?

use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, ClockKind};
use crate::clock_pause::ClockPauses;
use crate::config::Config;
use crate::counters::Counters;
use crate::door::Closing;
use crate::driver::{Driver, Host};
use crate::far::{self, FarTimers};
use crate::heavy::{Class, Heavy};
use crate::idle::Idle;
use crate::parker::Parker;
use crate::pool::Pool;
use crate::queue::{Deque, Injector, Next, Stealer};
use crate::runtimes;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, HintU64, Mutex, Ordering, fence};
use crate::task::{OwnedTasks, Runnable, Schedule, ScheduleHere, TaskRef, Why};
use crate::timers::{NEVER, TickLength, TimerSlot};
use crate::watchdog::Watchdog;

/// Stands for no poll: they are numbered from one on.
pub(crate) const NO_POLL: u64 = 0;

/// One place to work at. The first N are always taken, the others by spares.
pub(crate) struct WorkerSlot {
    /// Written by its worker at each poll.
    pub(crate) progress: CachePadded<PollProgress>,
    pub(crate) counters: CachePadded<Counters>,
    pub(crate) next: Next,
    pub(crate) stealer: Stealer,
    /// The owner's end of the deque while nobody works here.
    pub(crate) vacant: Mutex<Option<Deque>>,
    pub(crate) parker: Parker,
    /// The worker should leave: a spare that is not needed any more, or everybody at the end.
    pub(crate) leave: AtomicBool,
    /// The poll that pushed a task which is left to this worker while that poll goes on, see `worker/lone.rs`.
    pub(crate) keeps_lone: HintU64,
}

/// Is this worker getting on? Written by the worker and by the watch, read by the other one; all Relaxed, because only
/// the watch counts, and a stale look is put right by its next one.
pub(crate) struct PollProgress {
    /// Odd in a poll, and another number in each.
    pub(crate) poll: AtomicU64,
    /// The task that is polled, or was last, by its address: to compare, not to follow.
    pub(crate) task: HintU64,
    /// The poll that the watch has found to be long.
    pub(crate) marked: AtomicU64,
    /// The time at which the watch first saw the current poll.
    pub(crate) first_seen: AtomicU64,
    /// A heavy task's poll runs, or a suspect's.
    pub(crate) heavy: AtomicBool,
    /// It is a suspect's.
    pub(crate) suspect: AtomicBool,
    /// The thread that works here, as the operating system numbers it.
    pub(crate) thread: AtomicU32,
}

impl WorkerSlot {
    fn new() -> Self {
        let deque = Deque::new();
        Self {
            progress: CachePadded::new(PollProgress {
                poll: AtomicU64::new(0),
                task: HintU64::new(0),
                marked: AtomicU64::new(0),
                first_seen: AtomicU64::new(0),
                heavy: AtomicBool::new(false),
                suspect: AtomicBool::new(false),
                thread: AtomicU32::new(0),
            }),
            counters: CachePadded::new(Counters::new()),
            next: Next::new(),
            stealer: deque.stealer(),
            vacant: Mutex::new(Some(deque)),
            parker: Parker::new(),
            leave: AtomicBool::new(false),
            keeps_lone: HintU64::new(NO_POLL),
        }
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.vacant.lock().is_none()
    }
}

/// A running scheduler. Cheap to clone, usable from any thread.
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

/// A worker's place, for the thread that is to work there.
pub(crate) struct Post {
    pub(crate) index: usize,
    pub(crate) deque: Deque,
}

/// A scheduler, as its threads see it.
pub(crate) struct Shared {
    pub(crate) id: u32,
    pub(crate) config: Config,
    pub(crate) slots: Box<[WorkerSlot]>,
    pub(crate) injector: Injector,
    pub(crate) heavy: Heavy,
    pub(crate) idle: Idle,
    pub(crate) watchdog: Watchdog,
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
        let places = workers + config.spares();
        let is_virtual = config.clock == ClockKind::Virtual;
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            id: runtimes::register(this.clone()),
            slots: (0..places).map(|_| WorkerSlot::new()).collect(),
            injector: Injector::new(),
            heavy: Heavy::new(workers),
            idle: Idle::new(places),
            watchdog: Watchdog::new(workers, places > workers),
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

    /// N, without spares.
    #[inline]
    pub(crate) fn workers(&self) -> usize {
        self.config.workers
    }

    #[inline]
    pub(crate) fn has_watchdog(&self) -> bool {
        self.slots.len() > self.workers()
    }

    /// The places that have ever been used.
    pub(crate) fn places(&self) -> &[WorkerSlot] {
        &self.slots[..self.watchdog.places_used()]
    }

    /// Every worker sleeps, no blocking job runs and nobody holds the time, so nothing happens until a timer fires or a foreign thread comes.
    pub(crate) fn is_quiescent(&self) -> bool {
        let active = self.watchdog.active();
        let Some(rest) = self.idle.all_rest(active) else { return false };
        // After that look: see `clock_pause.rs`.
        if self.clock_pauses.any() {
            return false;
        }
        // A task may be in somebody's hands between two queues: a worker's, who then got up in between, or the watch's.
        let nothing_waits = self.pool.is_quiet() && !self.has_work() && !self.watchdog.is_moving_a_task();
        nothing_waits && self.idle.all_rest(active) == Some(rest)
    }

    /// Moves a virtual clock to the earliest deadline that is really there. False: there is none.
    pub(crate) fn advance_virtual_time(&self) -> bool {
        let earliest = self.timers.iter().map(TimerSlot::refresh).min().unwrap_or(NEVER);
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

    pub(crate) fn all_timers(&self) -> &[TimerSlot] {
        &self.timers
    }

    /// The earliest tick of all wheels, or an earlier one; [`far::TICK`] if there are none but far ones.
    pub(crate) fn next_deadline(&self) -> u64 {
        match self.timers.iter().map(TimerSlot::next).min().unwrap_or(NEVER) {
            NEVER if self.far.any() => far::TICK,
            next => next,
        }
    }

    /// Queues a task from a thread that is no worker of ours.
    pub(crate) fn inject(&self, task: Runnable, class: Class) {
        if class == Class::Light {
            self.injector.push(task);
            self.notify();
        } else {
            self.push_heavy(task, class == Class::Suspect);
        }
    }

    /// Queues a heavy task, or a suspect. Without a permit to spare nobody is woken: whoever gives one back looks at the queue.
    pub(crate) fn push_heavy(&self, task: Runnable, is_suspect: bool) {
        self.heavy.push(task, is_suspect);
        // Ordering: partner of the fence in `Idle::sleep`. A worker gave its permit back before it lay down: either it sees the task in its
        // second look, or this one sees the permit.
        fence(Ordering::SeqCst);
        if self.heavy.is_due() {
            self.notify();
        }
    }

    /// After a push: wakes a worker, if one is needed.
    #[inline]
    pub(crate) fn notify(&self) {
        if let Some(index) = self.idle.notify() {
            self.slots[index].parker.unpark();
        }
    }

    /// As `notify`, but a worker that is just going to sleep may be missed: for tasks that do not depend on it.
    #[inline]
    pub(crate) fn notify_if_visible(&self) {
        if let Some(index) = self.idle.notify_if_visible() {
            self.slots[index].parker.unpark();
        }
    }

    /// Something is queued.
    pub(crate) fn has_work(&self) -> bool {
        self.has_common_work() || self.places().iter().any(|slot| !slot.stealer.is_empty())
    }

    /// There is something to steal or to take.
    pub(crate) fn has_work_to_give(&self) -> bool {
        self.has_common_work() || self.places().iter().any(|slot| slot.has_to_give(1))
    }

    fn has_common_work(&self) -> bool {
        !self.injector.is_empty() || self.heavy.is_due()
    }

    /// Tells every worker to leave, and wakes it.
    pub(crate) fn dismiss_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            // Ordering: a swap, and Release pairs with the swap of the watch, which may be taking a dismissal back (`balance`).
            slot.leave.swap(true, Ordering::AcqRel);
            slot.parker.unpark();
        }
        self.watchdog.wake_watch();
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
        self.has_watchdog()
    }
}

impl Schedule for Shared {
    fn schedule(&self, task: Runnable, why: Why) {
        let heavy = match why {
            Why::Woken { heavy } => heavy,
            Why::Started => task.with_task(TaskRef::is_heavy),
        };
        self.inject(task, Class::of_woken(heavy));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        runtimes::unregister(self.id);
    }
}
