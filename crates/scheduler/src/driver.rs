//! Who waits for the next deadline?
//!
//! One idle worker holds the driver and waits with a limit; the others wait without one. Whoever arms a timer that is earlier than
//! all in its wheel makes sure that the holder wakes in time:
//!
//! ```text
//! armer                                          holder
//! A1 publish the wheel's earliest tick           H1 publish the tick until which it will wait
//! A2 fence(SeqCst)                               H2 fence(SeqCst)
//! A3 if the holder waits longer: unpark it       H3 look at all wheels again; earlier: back to H1
//!                                                H4 wait
//! ```
//!
//! If A2 comes first in the order of fences, H3 sees the timer; else A3 sees the limit. A worker that gets busy leaves the
//! driver; then the workers look at their own wheels between polls, and the watch hands the driver to an idle worker.
//!
//! Once there are sockets, the holder waits for them too, and a busy worker glances at them between polls while the seat is free. The first
//! socket comes about by the same handshake: A1 says that there are sockets, H3 sees it (`open`).

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use once_cell::sync::OnceCell;

use crate::clock::Clock;
use crate::io::{Limit, Poller, Reactor};
use crate::parker::Parker;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering, fence};
use crate::timers::{NEVER, TickLength};

/// Timers that follow each other more closely than this are fired together …
const GAP_MIN_NANOS: u64 = 50_000;
/// … and while very many do, those of up to this time.
const GAP_MAX_NANOS: u64 = 500_000;
/// The gap widens while a wake-up fires at least so many timers, and narrows below half of that.
pub(crate) const MANY: usize = 16;

/// What the driver has to know of its scheduler.
pub(crate) trait Host {
    /// The earliest tick of all wheels, or an earlier one.
    fn next_deadline(&self) -> u64;
    fn clock(&self) -> &Clock;
    fn tick_length(&self) -> TickLength;
    /// Where the worker with this index sleeps.
    fn parker(&self, worker: usize) -> &Parker;
    /// Wakes a worker, if one is needed.
    fn notify(&self);
    fn has_watchdog(&self) -> bool;
}

/// The place of the worker that waits for deadlines.
pub(crate) struct Driver {
    seat: Mutex<()>,
    /// The tick until which the holder waits; zero while nobody waits, who would have to be woken.
    waits_until: CachePadded<AtomicU64>,
    holder: AtomicUsize,
    /// When timers fired last, in nanoseconds, and how closely wake-ups may follow each other.
    fired: AtomicU64,
    gap: AtomicU64,
    /// The watch has seen a wheel that is due: its worker may be stuck, or a spare that has gone. A hint, so all Relaxed.
    overdue: AtomicBool,
    /// Once there are sockets.
    sockets: OnceCell<Sockets>,
}

/// The two halves of what watches sockets.
struct Sockets {
    /// Locked by the holder of the seat only.
    poller: Mutex<Poller>,
    reactor: Arc<Reactor>,
}

/// The right to wait for deadlines.
pub(crate) struct Driving<'a> {
    driver: &'a Driver,
    index: usize,
    _seat: MutexGuard<'a, ()>,
}

impl Driver {
    pub(crate) fn new() -> Self {
        Self {
            seat: Mutex::new(()),
            waits_until: CachePadded::new(AtomicU64::new(0)),
            holder: AtomicUsize::new(0),
            fired: AtomicU64::new(0),
            gap: AtomicU64::new(GAP_MIN_NANOS),
            overdue: AtomicBool::new(false),
            sockets: OnceCell::new(),
        }
    }

    /// What sockets are registered with, made now if there have been none.
    pub(crate) fn open(&self, host: &impl Host) -> io::Result<&Arc<Reactor>> {
        let mut is_new = false;
        let sockets = self.sockets.get_or_try_init(|| {
            is_new = true;
            let (poller, reactor) = Poller::open()?;
            io::Result::Ok(Sockets { poller: Mutex::new(poller), reactor })
        })?;
        if is_new {
            // The holder, if there is one, waits without them.
            self.recheck(host);
            if !host.has_watchdog() {
                // If there is none, no watch will call one.
                host.notify();
            }
        }
        Ok(&sockets.reactor)
    }

    /// The scheduler is closing: from here on whoever waits for a socket gets an error.
    pub(crate) fn close(&self) {
        // Ordering: partner of the fence in `Scheduler::register`: either this sees the sockets, or that one sees that the scheduler closes.
        fence(Ordering::SeqCst);
        if let Some(reactor) = self.reactor() {
            reactor.close();
        }
    }

    /// What sockets are registered with, if there have been any.
    #[inline]
    pub(crate) fn reactor(&self) -> Option<&Arc<Reactor>> {
        self.sockets.get().map(|sockets| &sockets.reactor)
    }

    /// Nobody waits, though there is something to wait for: a hint.
    pub(crate) fn is_wanted(&self, host: &impl Host) -> bool {
        self.is_vacant() && (self.reactor().is_some() || host.next_deadline() != NEVER)
    }

    /// Takes the driver for worker `index`, if it is free.
    pub(crate) fn try_drive(&self, index: usize) -> Option<Driving<'_>> {
        let seat = self.seat.try_lock()?;
        // Relaxed: published by the fence in `announce`, as the limit is.
        self.holder.store(index, Ordering::Relaxed);
        Some(Driving { driver: self, index, _seat: seat })
    }

    /// Asks whoever is busy to look at all wheels.
    pub(crate) fn note_overdue(&self) {
        self.overdue.store(true, Ordering::Relaxed);
    }

    /// Somebody asked for that.
    pub(crate) fn take_overdue(&self) -> bool {
        self.overdue.load(Ordering::Relaxed) && self.overdue.swap(false, Ordering::Relaxed)
    }

    /// Nobody waits for deadlines at the moment: a hint.
    pub(crate) fn is_vacant(&self) -> bool {
        self.waits_until.load(Ordering::Relaxed) == 0
    }

    /// Lets the holder look again: whether everything rests, which is when virtual time moves on, or whether there are sockets now.
    pub(crate) fn recheck(&self, host: &impl Host) {
        // Ordering: as in `armed_earlier`; what was published here is that somebody has come to rest, or the sockets.
        fence(Ordering::SeqCst);
        if !self.is_vacant() {
            host.parker(self.holder.load(Ordering::Relaxed)).unpark();
        }
    }

    /// A2 and A3: `tick` has become the earliest of its wheel.
    #[inline]
    pub(crate) fn armed_earlier(&self, host: &impl Host, tick: u64) {
        // Ordering: A2, partner of the fence in `announce`.
        fence(Ordering::SeqCst);
        let waits_until = self.waits_until.load(Ordering::Relaxed);
        if waits_until == 0 && !host.has_watchdog() {
            // Nobody drives, and there is no watch to hand the driver over: a sleeper must, in case this poll becomes long.
            host.notify();
        } else if waits_until > tick {
            // A holder that has changed meanwhile looked at the wheels after that; the stale one wakes for nothing.
            host.parker(self.holder.load(Ordering::Relaxed)).unpark();
        }
    }
}

impl Driving<'_> {
    /// H1 to H3: the tick until which the holder may wait, [`NEVER`] if there is no timer.
    pub(crate) fn announce(&self, host: &impl Host) -> u64 {
        let mut until = host.next_deadline();
        loop {
            self.driver.waits_until.store(until, Ordering::Relaxed);
            // Ordering: H2, partner of the fence in `armed_earlier`.
            fence(Ordering::SeqCst);
            let again = host.next_deadline();
            if again >= until {
                return until;
            }
            until = again;
        }
    }

    /// H4. Returns early if the worker is unparked or a socket has become ready; the wakers of those who wait for it go to `woken`.
    pub(crate) fn wait(&self, host: &impl Host, until: u64, woken: &mut Vec<Waker>) {
        let parker = host.parker(self.index);
        // Virtual time does not pass by waiting: somebody has to come and look again.
        let until = if until == NEVER || host.clock().is_virtual() {
            None
        } else {
            let now = host.clock().now();
            let due = self.driver.when_dense(host.tick_length().start_of(until), now);
            if due <= now {
                return;
            }
            Some((due, now))
        };
        match self.driver.sockets.get() {
            Some(Sockets { poller, reactor }) => {
                let limit = until.map_or(Limit::None, |(due, now)| Limit::Until { due, now });
                poller.lock().park(reactor, parker, limit, woken);
            }
            None => _ = parker.park(until.map(|(due, now)| Duration::from_nanos(due - now))),
        }
    }

    /// Asks for sockets that are ready, without waiting.
    pub(crate) fn glance(&self, woken: &mut Vec<Waker>) {
        if let Some(Sockets { poller, reactor }) = self.driver.sockets.get() {
            poller.lock().poll(reactor, Limit::Glance, woken);
        }
    }
}

impl Driver {
    /// When to fire, from an idle worker, a timer that is due at `due`. If timers fire one after the other, some of them together: a wake-up
    /// costs as much as firing a hundred. A timer that comes alone is not delayed.
    pub(crate) fn when_dense(&self, due: u64, now: u64) -> u64 {
        // Relaxed: hints; a stale one costs a wake-up, or a part of the gap.
        let fired = self.fired.load(Ordering::Relaxed);
        let gap = self.gap.load(Ordering::Relaxed);
        if now.saturating_sub(fired) < gap { due.max(fired.saturating_add(gap)) } else { due }
    }

    /// So many timers have just fired.
    pub(crate) fn note_fired(&self, now: u64, count: usize) {
        let gap = self.gap.load(Ordering::Relaxed);
        let gap = match count {
            MANY.. => (2 * gap).min(GAP_MAX_NANOS),
            _ if count < MANY / 2 => (gap / 2).max(GAP_MIN_NANOS),
            _ => gap,
        };
        self.gap.store(gap, Ordering::Relaxed);
        self.fired.store(now, Ordering::Relaxed);
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.driver.waits_until.store(0, Ordering::Relaxed);
    }
}
