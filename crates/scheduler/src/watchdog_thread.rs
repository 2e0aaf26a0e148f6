//! Is a poll lasting, and which thread serves the rest meanwhile?
//!
//! A poll may compute, sleep, or wait for a lock for as long as it likes. Other threads can reach
//! all that its worker holds: the deque and the wheel at any time, the next-task slot once the
//! watchdog has emptied it. What is missing is a thread.
//!
//! The watchdog is a thread that sleeps while the program gets on: the workers glance at each other, and
//! put its alarm off (`worker/glance.rs`). It looks when one of them stays in a poll, or when none has
//! glanced for a while, and then every [`INTERVAL`] until nothing is left to watch. It looks for polls that
//! go on:
//!
//! * **A poll that computes.** Its worker is *demoted*: the thread gets a lower priority and is a
//!   computing thread from the end of the poll on (`worker/compute.rs`), and a fresh thread takes over.
//!   If there is no room for another computing thread, it is treated as one that blocks.
//!   So light tasks run only on threads that have never computed for long: the operating system prefers
//!   these, and light work waits for no computation.
//! * **A poll that blocks.** Another worker is lent, a *standby*: **there are as many workers as N plus
//!   the stuck ones.** If there are more for some looks in a row, standbys are dismissed. A standby is a
//!   worker like any other: without work it sleeps, and the next push wakes it at once.
//! * **A poll that lasts only because its thread does not get a core** is left alone.
//!
//! The watchdog also enters the kind of a poll that computes for long (`kinds.rs`), and starts computing
//! threads while there is more in the lanes than they can take.
//!
//! Rejected: to hand a worker's place to another thread, as Go does (the thread that returns finds
//! its place taken, and every access to the place needs to know its owner); to read a clock at each
//! poll (25 ns); standbys for polls that compute too (with eight threads of equal priority on two cores,
//! a light request waited 5 ms for a core).
//!
//! Only the watchdog counts stuck polls, and it counts anew at each look, so no race can upset the
//! balance. Workers store a number at each poll and read a mark when it ends, both Relaxed.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::nanos;
use crate::cpu_bound::PROBATION_PER_WORKER;
use crate::os::{self, Slice};
use crate::queue::Steal;
use crate::share::Share;
use crate::shared::Shared;
use crate::sync::thread::Builder;
use crate::sync::{Instant, Ordering, fence};
use crate::watchdog::{REST, Role, WITHOUT_GLANCE};
use crate::worker_slot::{NO_KIND, PollProgress, Post, Priority, WorkerSlot, is_polling};

/// The time between two looks while there is something to watch. A poll counts as stuck after one to two of
/// them; a blocked one after a few more where there are more threads than cores.
const INTERVAL: Duration = Duration::from_millis(1);
/// The time between the first two looks: a poll must not be found much later than if there had been looks
/// before.
const SECOND_LOOK: Duration = Duration::from_micros(750);
/// A poll that has been seen for less is not long.
const LONG: Duration = Duration::from_micros(700);
/// Looks in a row with a standby too many until it is dismissed.
const SURPLUS_LOOKS: u32 = 3;
/// Looks since the last long poll was found, until new tasks are no longer sorted by their kinds.
const SORTING_LOOKS: u32 = 100;
/// Nanoseconds. A thread that has computed for longer between two looks had a core.
const COMPUTED: u64 = 250_000;
/// How many checks of one look may find that a thread is not blocked but wants a core. A check
/// costs as much as ten system calls, and where there are more threads than cores, some threads
/// always want one.
const FRUITLESS_CHECKS: usize = 2;
/// Tasks on probation come before one whose poll has computed for longer. Before, a change of the priority
/// and of the thread would cost more than it gains.
const KNOWN_TO_BE_LONG: Duration = Duration::from_millis(3);
/// A cpu-bound poll that blocks for longer may wait for one that is queued: it no longer counts against the
/// bound.
const BLOCKED: Duration = Duration::from_millis(50);
/// The same for one that computes: it may wait in a loop.
const SPINS: Duration = Duration::from_secs(1);

/// How many tasks one look moves from one queue at the most: the other workers are looked at soon, too.
const MOVED_AT_ONCE: usize = 256;

/// What the watchdog remembers from one look to the next.
struct WatchdogThread<'a> {
    shared: &'a Arc<Shared>,
    last: Vec<LastLook>,
    /// The place at which the next look begins: behind the last fruitless check.
    first: usize,
    /// Why the last look was not the last one.
    goes_on: GoesOn,
    surplus_looks: u32,
    quiet_looks: u32,
    share: Share,
    /// So many computing threads are to have the usual priority.
    boosted: usize,
    /// Demoted workers whose poll has not ended yet, at the last look or since.
    demoted: usize,
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
            goes_on: GoesOn::Calm,
            surplus_looks: 0,
            quiet_looks: SORTING_LOOKS,
            share: Share::default(),
            boosted: 0,
            demoted: 0,
        }
    }

    fn run(mut self) {
        let shared = self.shared;
        os::prepare_thread();
        os::set_slice(Slice::Watchdog);
        shared.watchdog.alarm.occupy();
        shared.watchdog.alarm.put_off(INTERVAL);
        let mut last_look = Instant::now();
        while !shared.is_closing() {
            shared.watchdog.alarm.wait();
            if shared.watchdog.sleeps.swap(false, Ordering::Relaxed) && self.goes_on == GoesOn::Calm {
                // A worker has seen that all sleep, some time ago.
                self.goes_on = GoesOn::Resting;
            }
            let least = if self.goes_on == GoesOn::Closely { INTERVAL } else { SECOND_LOOK };
            let rest = least.saturating_sub(last_look.elapsed());
            if rest.is_zero() {
                last_look = Instant::now();
                self.look();
                self.set_alarm();
            } else {
                // Woken because no computing thread was left for what is due. The looks keep their
                // distance: they tell a long poll by it. No glance puts off the next one, as there may be
                // no thread to be had now.
                shared.watchdog.set_close(true);
                self.lend_computing();
                shared.watchdog.alarm.put_off(rest);
            }
        }
    }

    /// When is the next look?
    fn set_alarm(&mut self) {
        let alarm = &self.shared.watchdog.alarm;
        match self.goes_on {
            GoesOn::Closely => alarm.put_off(INTERVAL),
            GoesOn::PollsSeen => alarm.put_off(SECOND_LOOK),
            GoesOn::Calm => alarm.put_off(WITHOUT_GLANCE),
            GoesOn::Resting => {
                self.shared.watchdog.set_rang_in_vain(true);
                self.shared.rest_watchdog(Some(REST));
            }
            GoesOn::Asleep => {
                self.tidy_up();
                self.shared.rest_watchdog(None);
            }
        }
    }

    fn look(&mut self) {
        let shared = self.shared;
        shared.pool.note_niceness();
        let mut found = self.inspect();
        let is_quiet = !found.new_long_poll;
        self.quiet_looks = if is_quiet { self.quiet_looks.saturating_add(1) } else { 0 };
        shared.lanes.set_sorting(self.quiet_looks < SORTING_LOOKS);
        for index in std::mem::take(&mut found.to_demote) {
            let is_demoted = self.demote(index, &found);
            if is_demoted {
                found.demoted += 1;
            } else {
                found.stuck += 1;
            }
        }
        self.balance(shared.workers() + found.stuck);
        self.guarantee_share(&found);
        self.set_limits(&found);
        self.lend_computing();
        shared.serve_what_was_missed();
        let was_close = self.goes_on == GoesOn::Closely;
        self.goes_on = self.after(&found);
        if !was_close {
            // It counts looks that follow each other closely.
            self.share = Share::default();
        }
        shared.watchdog.set_close(self.goes_on == GoesOn::Closely);
    }

    fn after(&self, found: &Found) -> GoesOn {
        let shared = self.shared;
        let is_quiet =
            found.stuck + found.demoted + found.computing_polls + self.boosted + self.surplus_looks as usize
                == 0
                && self.light() == shared.workers()
                && shared.lanes.len() == 0
                && self.quiet_looks >= SORTING_LOOKS;
        match self.goes_on {
            _ if !is_quiet => GoesOn::Closely,
            GoesOn::Resting if shared.seems_idle() => GoesOn::Asleep,
            _ if shared.seems_idle() => GoesOn::Resting,
            GoesOn::Calm | GoesOn::Resting | GoesOn::Asleep if found.new_polls => GoesOn::PollsSeen,
            _ => GoesOn::Calm,
        }
    }

    fn inspect(&mut self) -> Found {
        let shared = self.shared;
        let mut found = Found::default();
        let now = shared.watchdog.now();
        let used = shared.watchdog.places_used();
        let mut checks = FRUITLESS_CHECKS;
        let first = self.first % used;
        self.demoted = 0;
        for index in (first..used).chain(0..first) {
            let (slot, last) = (&shared.slots[index], &mut self.last[index]);
            let progress = &slot.progress;
            let poll = progress.poll.load(Ordering::Relaxed);
            let is_polling = is_polling(poll);
            let kind = progress.kind.load(Ordering::Relaxed);
            let checks_before = checks;
            let mut does =
                if is_polling { last.judge(poll, progress, now, &mut checks) } else { Does::GetOn };
            if checks < checks_before {
                self.first = index + 1;
            }
            // To ask the system takes long, and the poll may have ended meanwhile.
            if progress.poll.load(Ordering::Relaxed) != poll {
                does = Does::GetOn;
            }
            if is_polling {
                found.new_polls |= last.poll != poll;
                progress.see(poll, now);
            }
            last.poll = poll;
            let computes = slot.computes.load(Ordering::Relaxed);
            if is_polling {
                self.share.note(computes || slot.is_demoted.load(Ordering::Relaxed), last.computed);
                found.computing_polls += usize::from(computes);
            }
            let is_long = does != Does::GetOn;
            if is_long && progress.marked.load(Ordering::Relaxed) != poll {
                progress.marked.store(poll, Ordering::Relaxed);
                found.new_long_poll = true;
                if does != Does::Block && kind != NO_KIND {
                    shared.lanes.note_long_poll(kind as usize);
                    if computes && progress.on_probation.load(Ordering::Relaxed) {
                        shared.lanes.kinds.note_first_poll(kind as usize, true);
                    }
                }
            }
            if computes && does == Does::Compute && last.computed_in_poll > nanos(KNOWN_TO_BE_LONG) {
                shared.found_long(slot);
            }
            if computes {
                if is_long {
                    found.count_computing(progress, does, now, &mut checks);
                }
            } else if slot.is_demoted.load(Ordering::Relaxed) {
                if slot.is_taken() {
                    self.demoted += 1;
                    found.demoted += 1;
                    shared.share_tasks(slot);
                }
            } else if is_long {
                shared.share_tasks(slot);
                // Not while it calls wakers: it may hold locks that the others need.
                if does == Does::Compute && progress.task.load(Ordering::Relaxed) != 0 {
                    found.to_demote.push(index);
                } else {
                    found.stuck += 1;
                }
            }
        }
        found
    }

    /// Makes the worker at place `index` a computing thread, once its poll has ended, and sees to it that
    /// there are enough workers without it. False: there is no place or no thread.
    fn demote(&mut self, index: usize, found: &Found) -> bool {
        let shared = self.shared;
        let slot = &shared.slots[index];
        if slot.leave.load(Ordering::Relaxed) || !self.has_room_for_computing() {
            return false;
        }
        // First the thread that takes over.
        if self.light() <= shared.workers() + found.stuck && !self.lend_light() {
            return false;
        }
        // To start a thread takes long, and the poll may have ended meanwhile: the worker would notice only
        // at its next maintenance. The thread that was lent in vain is dismissed soon.
        if slot.progress.poll.load(Ordering::Relaxed) != self.last[index].poll {
            return false;
        }
        slot.is_demoted.store(true, Ordering::Relaxed);
        shared.set_priority(slot.progress.thread.load(Ordering::Relaxed), Priority::Computing);
        // It may have ended its poll just now, and sleep among the workers.
        slot.parker.unpark();
        self.demoted += 1;
        shared.watchdog.demotions.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The workers that run light tasks, and will go on to.
    fn light(&self) -> usize {
        self.shared.watchdog.light().saturating_sub(self.demoted)
    }

    fn has_room_for_computing(&self) -> bool {
        self.shared.watchdog.computing() + self.demoted < self.shared.config.computing_threads()
    }

    fn lend_light(&self) -> bool {
        let shared = self.shared;
        let has_room = self.light() < shared.workers() + shared.config.standbys();
        has_room && shared.lend(Role::Light, false)
    }

    fn set_limits(&self, found: &Found) {
        let (workers, threads) = (self.shared.workers(), self.shared.config.computing_threads());
        // There is a thread for each permit, or what is due would call for one again and again.
        let most = threads.saturating_sub(workers).max(1);
        let on_probation = (PROBATION_PER_WORKER * workers + found.past_probation).min(most);
        let most = threads.saturating_sub(on_probation).max(1);
        // Tasks that compute outside the cpu-bound lane take places from it.
        let known = workers.saturating_sub(found.demoted + found.past_probation).max(1);
        self.shared.lanes.set_limits((known + found.blocked).min(most) + self.boosted, on_probation);
    }

    /// Sees to it that as many computing threads as necessary have the usual priority.
    fn guarantee_share(&mut self, found: &Found) {
        let shared = self.shared;
        let polls = found.computing_polls + found.demoted;
        let now = shared.watchdog.now();
        let wanting = || wanting_a_core(shared.places());
        let Some(wanted) = self.share.end_look(now, polls, shared.workers(), wanting) else {
            return;
        };
        self.boosted = wanted;
        let mut boosted = 0;
        for slot in shared.places().iter().filter(|slot| slot.is_boosted.load(Ordering::Relaxed)) {
            boosted += 1;
            // A thread that has not begun yet lowers its priority itself.
            if boosted > self.boosted && slot.is_boosted.swap(false, Ordering::Relaxed) {
                shared.set_priority(slot.progress.thread.load(Ordering::Relaxed), Priority::Computing);
            }
        }
        let most = shared.config.computing_threads() + shared.workers();
        shared.lanes.replaced.store(0, Ordering::Relaxed);
        for _ in boosted..self.boosted {
            // Beyond the bound, as those that are there do not get on.
            if shared.watchdog.computing() + self.demoted >= most || !shared.lend(Role::Computing, true) {
                break;
            }
            shared.lanes.replaced.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Starts computing threads for what is due in the lanes, and wakes one if some sleep.
    fn lend_computing(&mut self) {
        let shared = self.shared;
        let due = shared.lanes.due();
        if due == 0 {
            return;
        }
        shared.wake_computing_thread();
        let free = shared.watchdog.computing().saturating_sub(shared.lanes.running());
        for _ in free..due {
            if !self.has_room_for_computing() || !shared.lend(Role::Computing, false) {
                break;
            }
        }
        if shared.watchdog.computing() + self.demoted == 0 {
            shared.give_lanes_to_workers();
        }
    }

    /// Lends and dismisses standbys until `needed` workers are at their places.
    fn balance(&mut self, needed: usize) {
        let shared = self.shared;
        let active = self.light();
        if active > needed {
            self.surplus_looks += 1;
            if self.surplus_looks >= SURPLUS_LOOKS {
                self.dismiss(active - needed);
            }
            return;
        }
        self.surplus_looks = 0;
        for slot in &shared.slots[shared.workers()..] {
            // A standby that was dismissed and has not left yet counts as active, and stays.
            //
            // Ordering: a swap, and Acquire pairs with the swap in `dismiss_all`: either that one
            // comes later and stands, or the look at `closing` below sees that every worker must
            // go.
            if slot.leave.load(Ordering::Relaxed) {
                slot.leave.swap(false, Ordering::Acquire);
            }
        }
        for _ in active..needed {
            if !self.lend_light() {
                break;
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
            if surplus > 0 && slot.is_light() && slot.is_taken() && !is_polling {
                // Ordering: a swap, so that the swaps of `balance` and `dismiss_all` go on pairing
                // through this write.
                slot.leave.swap(true, Ordering::AcqRel);
                slot.parker.unpark();
                surplus -= 1;
            }
        }
    }

    /// The program rests.
    fn tidy_up(&mut self) {
        self.share = Share::default();
        self.boosted = 0;
        // To free much memory takes time, in which a worker may wake that must be looked at.
        let all_sleep = || self.shared.seems_idle();
        crate::task::trim_cell_memory(all_sleep);
        self.shared.owned.trim(all_sleep);
    }
}

/// How do the looks go on?
#[derive(Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    /// Every [`INTERVAL`]: there is something to watch.
    Closely,
    /// After [`SECOND_LOOK`]: the polls of this one may last.
    PollsSeen,
    /// When no worker glances, or one that does sees a poll that lasts.
    Calm,
    /// After [`REST`]: all workers sleep.
    Resting,
    /// When a worker wakes up.
    Asleep,
}

/// What the last look at a worker found.
#[derive(Clone, Default)]
struct LastLook {
    poll: u64,
    /// What its thread had computed, in nanoseconds, since it began and since the look before.
    used: u64,
    computed: u64,
    /// What it had computed in this poll, less at most what it did in one interval.
    computed_in_poll: u64,
    /// The thread that works there.
    thread: u32,
}

/// How many computing threads have or want a core.
fn wanting_a_core(places: &[WorkerSlot]) -> usize {
    let wants_a_core = |slot: &&WorkerSlot| {
        slot.computes.load(Ordering::Relaxed)
            && is_polling(slot.progress.poll.load(Ordering::Relaxed))
            && os::wants_a_core(slot.progress.thread.load(Ordering::Relaxed))
    };
    places.iter().filter(wants_a_core).count()
}

/// What a worker does, as far as the watchdog sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Its polls end, or it does not get a core.
    GetOn,
    /// Its poll has gone on since the last look, and computes.
    Compute,
    /// Its poll has gone on, and waits for something.
    Block,
    /// Its poll has gone on. The system does not say more.
    Unclear,
}

impl LastLook {
    fn judge(&mut self, poll: u64, progress: &PollProgress, now: u64, checks: &mut usize) -> Does {
        let thread = progress.thread.load(Ordering::Relaxed);
        let computed = match os::doing(thread) {
            os::Doing::Used(used) => {
                let before = std::mem::replace(&mut self.used, used);
                // What another thread has used before it came here does not count.
                let is_same = std::mem::replace(&mut self.thread, thread) == thread;
                self.computed = if is_same { used.saturating_sub(before) } else { 0 };
                Some(self.computed > COMPUTED)
            }
            os::Doing::Unknown => None,
        };
        if self.poll != poll {
            self.computed_in_poll = 0;
            return Does::GetOn;
        }
        self.computed_in_poll += self.computed;
        if progress.age(now) < nanos(LONG) {
            return Does::GetOn;
        }
        match computed {
            Some(true) => return Does::Compute,
            None => return Does::Unclear,
            // A poll that was found to be long stays so.
            Some(false) if progress.marked.load(Ordering::Relaxed) == poll => return Does::Block,
            Some(false) => {}
        }
        if is_blocked(progress, checks) { Does::Block } else { Does::GetOn }
    }
}

/// Whether a thread waits for something else than a core, as far as checks are left to tell.
fn is_blocked(progress: &PollProgress, checks: &mut usize) -> bool {
    if *checks == 0 {
        return false;
    }
    let wants_a_core = os::wants_a_core(progress.thread.load(Ordering::Relaxed));
    *checks -= usize::from(wants_a_core);
    !wants_a_core
}

/// What a look found.
#[derive(Default)]
struct Found {
    /// Places of workers whose polls compute.
    to_demote: Vec<usize>,
    /// Workers whose polls are long, and that are not demoted.
    stuck: usize,
    /// Long polls of demoted workers.
    demoted: usize,
    /// Polls of computing threads.
    computing_polls: usize,
    /// Long polls of tasks on probation.
    past_probation: usize,
    /// Polls of cpu-bound tasks that may be blocked.
    blocked: usize,
    /// A poll was found to be long that was not known to be.
    new_long_poll: bool,
    /// There are polls that the last look has not seen.
    new_polls: bool,
}

impl Found {
    /// A computing thread is in a long poll.
    fn count_computing(&mut self, progress: &PollProgress, does: Does, now: u64, checks: &mut usize) {
        if progress.on_probation.load(Ordering::Relaxed) {
            self.past_probation += 1;
        } else {
            let age = progress.age(now);
            self.blocked += usize::from(match does {
                Does::Compute => age > nanos(SPINS),
                // It may also want a core.
                Does::Block => age > nanos(BLOCKED) && is_blocked(progress, checks),
                _ => age > nanos(BLOCKED),
            });
        }
    }
}

impl Shared {
    /// No look for this time, or until a worker wakes up: it sets the alarm.
    pub(crate) fn rest_watchdog(&self, time: Option<Duration>) {
        let watchdog = &self.watchdog;
        match time {
            Some(time) => watchdog.alarm.put_off(time),
            None => watchdog.alarm.stop(),
        }
        watchdog.sleeps.store(true, Ordering::Relaxed);
        // Ordering: partner of the fence in `worker_awake`, and of the one in `push_to_lane`: who has called
        // `wake` before the alarm was put off has queued a task before.
        fence(Ordering::SeqCst);
        if self.lanes.is_due() || self.is_closing() || watchdog.alarm.is_ringing() {
            watchdog.sleeps.store(false, Ordering::Relaxed);
            watchdog.alarm.ring_again();
        } else if !self.seems_idle() && watchdog.sleeps.swap(false, Ordering::Relaxed) {
            watchdog.alarm.set(WITHOUT_GLANCE);
        }
    }

    /// What no other thread may have noticed: a wheel that is overdue, and tasks that wait while workers
    /// sleep.
    pub(crate) fn serve_what_was_missed(&self) {
        if self.next_deadline() <= self.tick_length.containing(self.clock.now()) {
            self.driver.note_overdue();
        }
        if self.idle.seems_wanted() {
            // The second serves bursts, tasks that were kept local, and pushes that missed a sleeper.
            if self.driver.is_wanted(self) || self.has_work_to_give() {
                self.notify();
            }
        }
    }

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

    /// A computing thread is in a poll that computes for long. If the task was on probation, others that are
    /// come before it from now on.
    fn found_long(&self, slot: &WorkerSlot) {
        let progress = &slot.progress;
        let is_known = !progress.on_probation.load(Ordering::Relaxed)
            || slot.is_boosted.load(Ordering::Relaxed)
            || slot.found_long.swap(true, Ordering::Relaxed);
        if !is_known {
            self.set_priority(progress.thread.load(Ordering::Relaxed), Priority::FoundLong);
        }
    }

    /// There are no computing threads, and the system grants none: the workers run what waits in the
    /// lanes.
    fn give_lanes_to_workers(&self) {
        self.watchdog.moving.store(true, Ordering::Relaxed);
        for _ in 0..MOVED_AT_ONCE {
            let Steal::Success(task) = self.lanes.steal_one() else { break };
            self.injector.push(task);
        }
        self.notify();
        // Ordering: as in `share_tasks`.
        self.watchdog.moving.store(false, Ordering::Release);
        self.recheck_quiescence();
    }

    /// Lets a thread of the pool take a place, if there is a thread. The caller has checked that there is
    /// a place.
    fn lend(self: &Arc<Self>, role: Role, is_boosted: bool) -> bool {
        let free =
            self.slots.iter().enumerate().find_map(|(index, slot)| Some((index, slot.vacant.lock().take()?)));
        let Some((index, deque)) = free else { return false };
        self.slots[index].assign(role, is_boosted);
        // The last thread here may have been dismissed.
        //
        // Ordering: as in `balance`.
        self.slots[index].leave.swap(false, Ordering::Acquire);
        if self.is_closing() {
            self.dismiss_all();
        }
        self.watchdog.took_place(index, role);
        match self.pool.seat(self, Post { index, deque }) {
            Ok(()) => {
                self.watchdog.standbys_lent.fetch_add(u64::from(role == Role::Light), Ordering::Relaxed);
                true
            }
            Err(Post { deque, .. }) => {
                // The operating system refuses a thread. The next look tries again.
                *self.slots[index].vacant.lock() = Some(deque);
                self.watchdog.left(role);
                self.recheck_quiescence();
                false
            }
        }
    }
}

#[cfg(selvedge_loom)]
#[path = "model/watchdog.rs"]
pub(crate) mod model;
