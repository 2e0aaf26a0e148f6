//! Which worker waits for the next deadline, and for sockets?
//!
//! One idle worker holds the driver and waits with a limit; the others wait without one. A thread
//! that arms a timer which is earlier than all others in its wheel makes sure that the holder wakes
//! in time:
//!
//! ```text
//! armer                                          holder
//! A1 publish the wheel's earliest tick           H1 publish the tick until which it will wait
//! A2 fence(SeqCst)                               H2 fence(SeqCst)
//! A3 if the holder waits longer: unpark it       H3 read all wheels again; earlier: back to H1
//!                                                H4 wait
//! ```
//!
//! If A2 comes first in the order of fences, H3 sees the timer; else A3 sees the limit. A worker
//! that becomes busy releases the driver; then the workers check their own wheels between polls,
//! and the watchdog hands the driver to an idle worker.
//!
//! Once there are sockets, the holder waits for them too, and a busy worker polls them between task
//! polls while the driver is free. The first socket uses the same handshake: A1 publishes that
//! there are sockets, and H3 sees it (`open`).
//!
//! A timer that comes alone fires at once. If timers follow each other closely, an idle worker
//! fires them together, because a wake-up costs as much as firing a hundred timers.

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

/// Timers that are due within this time of each other are fired together …
const GAP_MIN_NANOS: u64 = 50_000;
/// … and while very many are due, the time grows up to this.
const GAP_MAX_NANOS: u64 = 500_000;
/// The gap grows while a wake-up fires at least this many timers, and shrinks below half of that.
pub(crate) const DENSE: usize = 16;

/// What the driver needs from its scheduler.
pub(crate) trait Host {
    /// The earliest tick of all wheels, or an earlier one.
    fn next_deadline(&self) -> u64;
    fn clock(&self) -> &Clock;
    fn tick_length(&self) -> TickLength;
    /// The parker of the worker with this index.
    fn parker(&self, worker: usize) -> &Parker;
    /// Wakes a worker, if one is needed.
    fn notify(&self);
    fn has_watchdog(&self) -> bool;
}

/// The right to wait for deadlines, and the state that other threads read about its holder.
pub(crate) struct Driver {
    seat: Mutex<()>,
    /// The tick until which the holder waits; zero if there is no holder that may have to be woken.
    waits_until: CachePadded<AtomicU64>,
    holder: AtomicUsize,
    /// When timers fired last, in nanoseconds, and the least time between two wake-ups.
    fired: AtomicU64,
    gap: AtomicU64,
    /// The watchdog has seen an overdue wheel: its worker may be stuck, or a standby that has left.
    /// A hint, so all accesses are Relaxed.
    overdue: AtomicBool,
    /// Set with the first socket.
    sockets: OnceCell<Sockets>,
}

/// The two halves of the socket poller.
struct Sockets {
    /// Locked only by the holder of the driver.
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

    /// The reactor for registering sockets. Creates it at the first call.
    pub(crate) fn open(&self, host: &impl Host) -> io::Result<&Arc<Reactor>> {
        let mut is_new = false;
        let sockets = self.sockets.get_or_try_init(|| {
            is_new = true;
            let (poller, reactor) = Poller::open()?;
            io::Result::Ok(Sockets { poller: Mutex::new(poller), reactor })
        })?;
        if is_new {
            // A holder that waits already does not wait for sockets yet.
            self.recheck(host);
            if !host.has_watchdog() {
                // Without a holder and without a watchdog, no thread would take the driver.
                host.notify();
            }
        }
        Ok(&sockets.reactor)
    }

    /// Called when the scheduler is closing: from now on every wait for a socket returns an error.
    pub(crate) fn close(&self) {
        // Ordering: partner of the fence in `Scheduler::register`: either this call sees the
        // sockets, or that one sees that the scheduler closes.
        fence(Ordering::SeqCst);
        if let Some(reactor) = self.reactor() {
            reactor.close();
        }
    }

    /// The reactor for registering sockets, if there have been any.
    #[inline]
    pub(crate) fn reactor(&self) -> Option<&Arc<Reactor>> {
        self.sockets.get().map(|sockets| &sockets.reactor)
    }

    /// Whether the driver is free although there is something to wait for: a hint.
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

    /// Requests that a busy worker checks all wheels.
    pub(crate) fn note_overdue(&self) {
        self.overdue.store(true, Ordering::Relaxed);
    }

    /// Whether this was requested; clears the request.
    pub(crate) fn take_overdue(&self) -> bool {
        self.overdue.load(Ordering::Relaxed) && self.overdue.swap(false, Ordering::Relaxed)
    }

    /// Whether no worker waits for deadlines at the moment: a hint.
    pub(crate) fn is_vacant(&self) -> bool {
        self.waits_until.load(Ordering::Relaxed) == 0
    }

    /// Lets the holder check again whether all workers are idle, which is when virtual time moves
    /// on, or whether there are sockets now.
    pub(crate) fn recheck(&self, host: &impl Host) {
        // Ordering: as in `armed_earlier`; what was published here is that a worker has become
        // idle, or the sockets.
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
            // There is no holder, and no watchdog that would hand the driver over: a sleeping
            // worker must take it, in case this poll becomes long.
            host.notify();
        } else if waits_until > tick {
            // If the holder has changed meanwhile, the new one has read the wheels after that; the
            // former one wakes without need.
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

    /// H4. Returns early if the worker is unparked or a socket has become ready; the wakers of the
    /// tasks that wait for that socket are added to `woken`.
    pub(crate) fn wait(&self, host: &impl Host, until: u64, woken: &mut Vec<Waker>) {
        let parker = host.parker(self.index);
        // Virtual time does not pass by waiting: another thread has to unpark this one.
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

    /// Polls the sockets without waiting.
    pub(crate) fn glance(&self, woken: &mut Vec<Waker>) {
        if let Some(Sockets { poller, reactor }) = self.driver.sockets.get() {
            poller.lock().poll(reactor, Limit::Glance, woken);
        }
    }
}

impl Driver {
    /// The time at which an idle worker fires a timer that is due at `due`. If timers fire one
    /// after the other, some are fired together: a wake-up costs as much as firing a hundred
    /// timers. A timer that comes alone is not delayed.
    pub(crate) fn when_dense(&self, due: u64, now: u64) -> u64 {
        // Relaxed: hints; a stale value costs a wake-up, or a part of the gap.
        let fired = self.fired.load(Ordering::Relaxed);
        let gap = self.gap.load(Ordering::Relaxed);
        if now.saturating_sub(fired) < gap { due.max(fired.saturating_add(gap)) } else { due }
    }

    /// Records that `count` timers have just fired.
    pub(crate) fn note_fired(&self, now: u64, count: usize) {
        let gap = self.gap.load(Ordering::Relaxed);
        let gap = match count {
            DENSE.. => (2 * gap).min(GAP_MAX_NANOS),
            _ if count < DENSE / 2 => (gap / 2).max(GAP_MIN_NANOS),
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
