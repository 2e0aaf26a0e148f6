//! Is a poll lasting, and which thread serves the rest meanwhile?
//!
//! A poll may compute, sleep, or wait for a lock for as long as it likes. Other threads can reach
//! all that its worker holds: the deque and the wheel at any time, the next-task slot once the
//! watchdog has emptied it. What is missing is a thread, so the watchdog lends one, a *standby*.
//!
//! The watchdog is a thread that looks every [`INTERVAL`] while the program is busy, and sleeps
//! while all workers do. It counts the polls that have gone on since its last look, and all
//! cpu-bound ones. Its one rule: **there are as many workers as N plus the stuck ones.** If there
//! are fewer, it lets standbys take places. If there are more for some looks in a row, it dismisses
//! standbys. A standby is a worker like any other: without work it sleeps, and the next push wakes
//! it at once. So while a computation is known to go on, light work does not even wait for the
//! watchdog.
//!
//! A poll that lasts only because its thread does not get a core is not stuck: a standby would want
//! a core too, and would make the next poll look long.
//!
//! Rejected: to hand a worker's place to another thread, as Go does (the thread that returns finds
//! its place taken, and every access to the place needs to know its owner); to read a clock at each
//! poll (25 ns).
//!
//! Only the watchdog counts stuck polls, and it counts anew at each look, so no race can upset the
//! balance. Workers store a number at each poll and read a mark when it ends, both Relaxed.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::nanos;
use crate::os;
use crate::queue::Steal;
use crate::shared::Shared;
use crate::sync::thread::Builder;
use crate::sync::{Ordering, fence};
use crate::worker_slot::{PollProgress, Post, WorkerSlot, is_polling};

/// The time between two looks. A poll counts as stuck after one to two of them; a blocked one after
/// a few more where there are more threads than cores.
const INTERVAL: Duration = Duration::from_millis(1);
/// Looks without a busy worker until the watchdog sleeps: a program that rests for a moment must
/// not pay for waking it each time.
const LINGER: u32 = 10;
/// Looks in a row with a standby too many until it is dismissed: there are gaps between cpu-bound polls.
const SURPLUS_LOOKS: u32 = 3;
/// Nanoseconds. A thread that has computed for longer between two looks had a core.
const COMPUTED: u64 = 250_000;
/// How many checks of one look may find that a thread is not blocked but wants a core. A check
/// costs as much as ten system calls, and where there are more threads than cores, some threads
/// always want one.
const FRUITLESS_CHECKS: usize = 2;
/// A poll on probation that lasts longer no longer keeps others on probation waiting.
const PROBATION: Duration = Duration::from_millis(2);
/// A cpu-bound poll that lasts longer may wait for one that is queued: it no longer counts against the bound.
const BLOCKED: Duration = Duration::from_millis(50);

/// How many tasks of one deque a look moves at the most: the other workers are looked at soon, too.
const MOVED_AT_ONCE: usize = 256;

/// What the watchdog remembers from one look to the next.
struct WatchdogThread<'a> {
    shared: &'a Arc<Shared>,
    last: Vec<LastLook>,
    /// The place at which the next look begins: behind the last fruitless check.
    first: usize,
    idle_looks: u32,
    surplus_looks: u32,
}

/// Starts the watchdog, if the scheduler is to have one.
pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    if !shared.watchdog.is_on() {
        return Ok(());
    }
    let mut thread = shared.watchdog.thread.lock();
    let for_thread = Arc::clone(shared);
    let handle = Builder::new()
        .name(format!("{}-watch", shared.config.thread_name))
        .spawn(move || WatchdogThread::new(&for_thread).run())?;
    *thread = Some(handle);
    Ok(())
}

impl<'a> WatchdogThread<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            shared,
            last: vec![LastLook::default(); shared.slots.len()],
            first: 0,
            idle_looks: 0,
            surplus_looks: 0,
        }
    }

    fn run(mut self) {
        os::prepare_thread();
        self.shared.watchdog.parker.occupy();
        while !self.shared.is_closing() {
            self.shared.watchdog.parker.park(Some(INTERVAL));
            self.look();
            if self.idle_looks >= LINGER {
                self.sleep_while_idle();
            }
        }
    }

    fn look(&mut self) {
        let shared = self.shared;
        let stuck = self.count_stuck();
        let needed = (shared.workers() + stuck.polls).min(shared.slots.len());
        // As many places as there are workers stay for the cpu-bound, and as many for the light.
        let workers = shared.workers();
        let most_on_probation = shared.slots.len().saturating_sub(2 * workers).max(workers);
        let on_probation = (workers + stuck.past_probation).min(most_on_probation);
        shared.lanes.set_limits(workers + stuck.blocked, on_probation);
        self.balance(needed);
        let all_sleep = shared.idle.sleeping() >= shared.watchdog.active();
        self.idle_looks = if all_sleep && self.surplus_looks == 0 { self.idle_looks + 1 } else { 0 };
        if shared.next_deadline() <= shared.tick_length.containing(shared.clock.now()) {
            shared.driver.note_overdue();
        }
        if shared.idle.seems_wanted() {
            // The second serves bursts, tasks that were kept local, and pushes that missed a sleeper.
            if shared.driver.is_wanted(&**shared) || shared.has_work_to_give() {
                shared.notify();
            }
        }
    }

    fn count_stuck(&mut self) -> Stuck {
        let shared = self.shared;
        let mut stuck = Stuck::default();
        let now = shared.watchdog.now();
        let used = shared.watchdog.places_used();
        let mut checks = FRUITLESS_CHECKS;
        let first = self.first % used;
        for index in (first..used).chain(0..first) {
            let (slot, last) = (&shared.slots[index], &mut self.last[index]);
            let progress = &slot.progress;
            let poll = progress.poll.load(Ordering::Relaxed);
            let is_polling = is_polling(poll);
            let checks_before = checks;
            let is_long = is_polling && last.is_long(poll, progress, &mut checks);
            if checks < checks_before {
                self.first = index + 1;
            }
            if is_polling && last.poll != poll {
                progress.first_seen.store(now, Ordering::Relaxed);
            }
            last.poll = poll;
            if is_long {
                progress.marked.store(poll, Ordering::Relaxed);
            }
            if is_long || progress.from_lane.load(Ordering::Relaxed) {
                shared.share_tasks(slot);
                let age = now.saturating_sub(progress.first_seen.load(Ordering::Relaxed));
                stuck.count(progress, if is_long { age } else { 0 });
            }
        }
        stuck
    }

    /// Lends and dismisses standbys until `needed` workers are at their places.
    fn balance(&mut self, needed: usize) {
        let shared = self.shared;
        let active = shared.watchdog.active();
        if active > needed {
            self.surplus_looks += 1;
            if self.surplus_looks >= SURPLUS_LOOKS {
                self.dismiss(active - needed);
            }
            return;
        }
        self.surplus_looks = 0;
        let mut missing = needed - active;
        for index in shared.workers()..shared.slots.len() {
            // A standby that was dismissed and has not left yet counts as active, and stays.
            let leave = &shared.slots[index].leave;
            // Ordering: a swap, and Acquire pairs with the swap in `dismiss_all`: either that one
            // comes later and stands, or the look at `closing` below sees that every worker must
            // go.
            if leave.load(Ordering::Relaxed) {
                leave.swap(false, Ordering::Acquire);
            }
            if missing > 0 && shared.lend(index) {
                missing -= 1;
            }
        }
        if shared.is_closing() {
            shared.dismiss_all();
        }
    }

    /// Dismisses standbys that are in no poll: they have little or nothing to hand over.
    fn dismiss(&self, mut surplus: usize) {
        let shared = self.shared;
        for index in (shared.workers()..shared.watchdog.places_used()).rev() {
            let slot = &shared.slots[index];
            let is_polling = is_polling(slot.progress.poll.load(Ordering::Relaxed));
            if surplus > 0 && slot.is_taken() && !is_polling {
                // Ordering: a swap, so that the swaps of `balance` and `dismiss_all` go on pairing
                // through this write.
                slot.leave.swap(true, Ordering::AcqRel);
                slot.parker.unpark();
                surplus -= 1;
            }
        }
    }

    fn sleep_while_idle(&mut self) {
        let watchdog = &self.shared.watchdog;
        // To free much memory takes time, in which a worker may wake that must be looked at.
        let all_sleep = || self.shared.idle.sleeping() >= watchdog.active();
        crate::task::trim_cell_memory(all_sleep);
        self.shared.owned.trim(all_sleep);
        watchdog.sleeps.store(true, Ordering::Relaxed);
        // Ordering: partner of the fence in `worker_awake`.
        fence(Ordering::SeqCst);
        if all_sleep() && !self.shared.is_closing() {
            watchdog.parker.park(None);
        }
        watchdog.sleeps.store(false, Ordering::Relaxed);
        self.idle_looks = 0;
    }
}

/// What the last look at a worker found.
#[derive(Clone, Default)]
struct LastLook {
    poll: u64,
    /// What its thread had computed, in nanoseconds.
    used: u64,
}

impl LastLook {
    /// The poll has gone on since the last look, and not only because its thread did not get a core.
    fn is_long(&mut self, poll: u64, progress: &PollProgress, checks: &mut usize) -> bool {
        let thread = progress.thread.load(Ordering::Relaxed);
        let computed = match os::doing(thread) {
            os::Doing::Used(used) => used.saturating_sub(std::mem::replace(&mut self.used, used)) > COMPUTED,
            os::Doing::Unknown => true,
        };
        if self.poll != poll {
            return false;
        }
        // A poll that was found to be long stays so.
        if progress.marked.load(Ordering::Relaxed) == poll || computed {
            return true;
        }
        if *checks == 0 {
            return false;
        }
        let wants_a_core = os::wants_a_core(thread);
        *checks -= usize::from(wants_a_core);
        !wants_a_core
    }
}

/// How many polls a look found to be stuck.
#[derive(Default)]
struct Stuck {
    /// Long polls, and all cpu-bound ones.
    polls: usize,
    /// Cpu-bound ones that may be blocked.
    blocked: usize,
    /// Long ones on probation.
    past_probation: usize,
}

impl Stuck {
    /// Counts a poll that is long, or whose task came from a lane.
    fn count(&mut self, progress: &PollProgress, age: u64) {
        self.polls += 1;
        if !progress.from_lane.load(Ordering::Relaxed) {
            return;
        }
        if progress.on_probation.load(Ordering::Relaxed) {
            self.past_probation += usize::from(age > nanos(PROBATION));
        } else {
            self.blocked += usize::from(age > nanos(BLOCKED));
        }
    }
}

impl Shared {
    /// Moves the task in the next-task slot of a stuck worker to the injector. If every other worker
    /// is busy, no thief comes for the tasks in the deque either: a busy worker takes tasks from the
    /// injector only. So then they go there too.
    pub(crate) fn share_tasks(&self, slot: &WorkerSlot) {
        let moving = &self.watchdog.moving;
        // Relaxed: the worker that finds its queue empty because of what follows has read the Release
        // write with which the task was taken, before the fence of `Local::park`. So a thread that
        // sees the worker asleep sees the flag.
        moving.store(true, Ordering::Relaxed);
        let mut moved = false;
        if let Some(task) = slot.next.take() {
            self.injector.push(task);
            moved = true;
        }
        if self.idle.sleeping() == 0 {
            for _ in 0..MOVED_AT_ONCE {
                match slot.stealer.steal_one() {
                    Steal::Success(task) => self.injector.push(task),
                    // The next look goes on.
                    Steal::Empty | Steal::Retry => break,
                }
                moved = true;
            }
        }
        if moved {
            self.notify();
        }
        // Ordering: Release pairs with the Acquire of `is_moving_a_task`: a thread that sees this
        // sees the pushes.
        moving.store(false, Ordering::Release);
        self.recheck_quiescence();
    }

    /// Lets a standby take place `index`, if it is free and there is a thread.
    fn lend(self: &Arc<Self>, index: usize) -> bool {
        let slot = &self.slots[index];
        let Some(deque) = slot.vacant.lock().take() else { return false };
        self.watchdog.took_place(index);
        match self.pool.seat(self, Post { index, deque }) {
            Ok(()) => {
                self.watchdog.standbys_lent.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(Post { deque, .. }) => {
                // The operating system refuses a thread. The next look tries again.
                *slot.vacant.lock() = Some(deque);
                self.watchdog.left();
                self.recheck_quiescence();
                false
            }
        }
    }
}

#[cfg(selvedge_loom)]
#[path = "model/watchdog.rs"]
pub(crate) mod model;
