//! Is a worker stuck, and who stands in for it?
//!
//! A poll may take as long as it likes: compute, sleep, wait for a lock. All that its worker holds can be reached by others: the
//! deque and the wheel always, the next-task slot once the watch empties it. What is missing is a thread, so the watch
//! lends one.
//!
//! The watch is a thread that looks every [`LOOK`] while the program is busy, and sleeps while all workers do. It counts the polls that
//! have gone on since its last look (and all heavy ones). Its one rule: **as many workers as N plus the stuck ones.** Too few: it lets
//! spares take places. Too many for some looks in a row: it dismisses spares. A spare is a worker like any other. If there is nothing to
//! do it sleeps, and is woken by the next push at once; so light work does not even wait for the watch while a computation
//! is known to go on.
//!
//! A poll that only lasts because its thread is kept from a core is not stuck: a spare would want a core too.
//!
//! The watch alone counts the stuck ones, and counts anew each time, so there is no balance of them that a race could upset. Workers write a
//! number at each poll and read a mark when it ends; both are plain loads and stores.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::nanos;
use crate::os;
use crate::shared::{PollProgress, Post, Shared, WorkerSlot};
use crate::sync::thread::Builder;
use crate::sync::{Ordering, fence};

/// Between two looks of the watch. A poll is stuck after one to two of these; one that is blocked after a few more where many threads want a core.
const LOOK: Duration = Duration::from_millis(1);
/// Looks without a busy worker until the watch sleeps: a program that rests for a moment must not pay for waking it each time.
const LINGER: u32 = 10;
/// Looks in a row with a spare too many until it is dismissed: between two heavy polls there is a gap.
const PATIENCE: u32 = 3;
/// A thread that has used so much of a core between two looks was not kept from it.
const COMPUTED: u64 = 250_000;
/// So often in one look the operating system may be asked in vain whether a thread is blocked. A question costs as much as ten system calls, and where there are more threads
/// than cores, there are always some that do not get on.
const VAIN_QUESTIONS: usize = 2;
/// A suspect whose poll lasts longer no longer keeps others like it waiting.
const EXPOSED: Duration = Duration::from_millis(2);
/// A heavy poll that lasts longer may be waiting for one that is queued: it no longer holds its permit.
const BLOCKED: Duration = Duration::from_millis(50);

/// What the watch remembers from look to look.
struct Watch<'a> {
    shared: &'a Arc<Shared>,
    last: Vec<LastLook>,
    /// The place at which the next look begins: behind the last one that was asked about in vain.
    first: usize,
    idle_looks: u32,
    surplus_looks: u32,
}

/// Starts the watch, if there is to be one.
pub(crate) fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    if !shared.watchdog.is_on() {
        return Ok(());
    }
    let mut thread = shared.watchdog.thread.lock();
    let for_thread = Arc::clone(shared);
    let handle = Builder::new()
        .name(format!("{}-watch", shared.config.thread_name))
        .spawn(move || Watch::new(&for_thread).run())?;
    *thread = Some(handle);
    Ok(())
}

impl<'a> Watch<'a> {
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
        crate::os::prepare_thread();
        self.shared.watchdog.watch.occupy();
        while !self.shared.is_closing() {
            self.shared.watchdog.watch.park(Some(LOOK));
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
        // As many places again as there are workers are left to the heavy, and as many to the light.
        let workers = shared.workers();
        let most_suspects = shared.slots.len().saturating_sub(2 * workers).max(workers);
        shared.heavy.set_limits(workers + stuck.blocked, (workers + stuck.exposed).min(most_suspects));
        self.balance(needed);
        let rests = shared.idle.sleeping() >= shared.watchdog.active();
        self.idle_looks = if rests && self.surplus_looks == 0 { self.idle_looks + 1 } else { 0 };
        if shared.next_deadline() <= shared.tick_length.containing(shared.clock.now()) {
            shared.driver.note_overdue();
        }
        if shared.idle.sleeping() > 0 && !shared.idle.anybody_searches() {
            // The second is a safety net: who pushes has notified.
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
        let mut vain = VAIN_QUESTIONS;
        let first = self.first % used;
        for index in (first..used).chain(0..first) {
            let (slot, last) = (&shared.slots[index], &mut self.last[index]);
            let progress = &slot.progress;
            let poll = progress.poll.load(Ordering::Relaxed);
            let is_polling = poll % 2 == 1;
            let vain_before = vain;
            let stands_still = is_polling && last.is_long(poll, progress, &mut vain);
            if vain < vain_before {
                self.first = index + 1;
            }
            if is_polling && last.poll != poll {
                progress.first_seen.store(now, Ordering::Relaxed);
            }
            last.poll = poll;
            if stands_still {
                progress.marked.store(poll, Ordering::Relaxed);
                shared.share_next(slot);
                let age = now.saturating_sub(progress.first_seen.load(Ordering::Relaxed));
                if progress.heavy.load(Ordering::Relaxed) {
                    let is_suspect = progress.suspect.load(Ordering::Relaxed);
                    stuck.exposed += usize::from(is_suspect && age > nanos(EXPOSED));
                    stuck.blocked += usize::from(!is_suspect && age > nanos(BLOCKED));
                }
            }
            stuck.polls += usize::from(stands_still || progress.heavy.load(Ordering::Relaxed));
        }
        stuck
    }

    /// Lends and dismisses spares until `needed` workers are at their places.
    fn balance(&mut self, needed: usize) {
        let shared = self.shared;
        let active = shared.watchdog.active();
        if active > needed {
            self.surplus_looks += 1;
            if self.surplus_looks >= PATIENCE {
                self.dismiss(active - needed);
            }
            return;
        }
        self.surplus_looks = 0;
        let mut missing = needed - active;
        for index in shared.workers()..shared.slots.len() {
            // Those that were dismissed and have not left yet count as active, and stay.
            let leave = &shared.slots[index].leave;
            // Ordering: a swap, and Acquire pairs with the swap in `dismiss_all`: either that one comes later and stands, or the look at
            // `closing` below sees that everybody is to go.
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

    /// Spares that sleep go first: they have nothing to hand over.
    fn dismiss(&self, mut surplus: usize) {
        let shared = self.shared;
        for index in (shared.workers()..shared.watchdog.places_used()).rev() {
            if surplus > 0 && shared.slots[index].is_taken() {
                let slot = &shared.slots[index];
                let polls = slot.progress.poll.load(Ordering::Relaxed) % 2 == 1;
                if polls {
                    continue;
                }
                slot.leave.store(true, Ordering::Relaxed);
                slot.parker.unpark();
                surplus -= 1;
            }
        }
    }

    fn sleep_while_idle(&mut self) {
        let watchdog = &self.shared.watchdog;
        crate::task::trim_cell_memory();
        self.shared.owned.trim();
        watchdog.watch_sleeps.store(true, Ordering::Relaxed);
        // Ordering: partner of the fence in `worker_awake`.
        fence(Ordering::SeqCst);
        if self.shared.idle.sleeping() >= watchdog.active() && !self.shared.is_closing() {
            watchdog.watch.park(None);
        }
        watchdog.watch_sleeps.store(false, Ordering::Relaxed);
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
    /// The poll has gone on since the last look, and not only because its thread was kept from a core: then all cores are busy, a spare
    /// would be one more that wants them, and make the next poll look long.
    fn is_long(&mut self, poll: u64, progress: &PollProgress, vain: &mut usize) -> bool {
        let thread = progress.thread.load(Ordering::Relaxed);
        let computed = match os::doing(thread) {
            os::Doing::Used(used) => used.saturating_sub(std::mem::replace(&mut self.used, used)) > COMPUTED,
            os::Doing::Unknown => true,
        };
        if self.poll != poll {
            return false;
        }
        // What has been found to be long stays so.
        if progress.marked.load(Ordering::Relaxed) == poll || computed {
            return true;
        }
        if *vain == 0 {
            return false;
        }
        let wants_a_core = os::wants_a_core(thread);
        *vain -= usize::from(wants_a_core);
        !wants_a_core
    }
}

/// What a look found.
#[derive(Default)]
struct Stuck {
    /// Polls that stand still, and heavy ones.
    polls: usize,
    /// Heavy ones that may be blocked.
    blocked: usize,
    /// Suspects that are long indeed.
    exposed: usize,
}

impl Shared {
    /// What lies in the next-task slot of a stuck worker goes to everybody.
    pub(crate) fn share_next(&self, slot: &WorkerSlot) {
        let moving = &self.watchdog.moving;
        moving.store(true, Ordering::Relaxed);
        // Ordering: partner of the fence in `Idle::sleep`: a worker that found its slot empty because of the `take` below, and whoever
        // sees it asleep, also sees the flag.
        fence(Ordering::SeqCst);
        if let Some(task) = slot.next.take() {
            self.injector.push(task);
            self.notify();
        }
        // Ordering: Release pairs with the Acquire of `is_moving_a_task`: who sees this sees the push.
        moving.store(false, Ordering::Release);
        self.recheck_rest();
    }

    /// Something that kept virtual time from moving on has ended, without waking anybody.
    fn recheck_rest(&self) {
        if self.clock.is_virtual() {
            self.driver.recheck(self);
        }
    }

    /// Lets a spare take place `index`, if it is free and there is a thread.
    fn lend(self: &Arc<Self>, index: usize) -> bool {
        let slot = &self.slots[index];
        let Some(deque) = slot.vacant.lock().take() else { return false };
        self.watchdog.took_place(index);
        match self.pool.seat(self, Post { index, deque }) {
            Ok(()) => {
                self.watchdog.rescues.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(Post { deque, .. }) => {
                // The operating system refuses a thread; the next look tries again.
                *slot.vacant.lock() = Some(deque);
                self.watchdog.left();
                self.recheck_rest();
                false
            }
        }
    }
}

#[cfg(selvedge_loom)]
#[path = "model/watch.rs"]
pub(crate) mod model;
