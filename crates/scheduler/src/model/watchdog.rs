//! Which parts of the watchdog can the models reach?

use std::sync::Arc;

use crate::shared::Shared;
use crate::sync::Ordering;

/// The watchdog's thread, played by a thread of the model.
pub struct Watchdog<'a>(super::WatchdogThread<'a>);

impl<'a> Watchdog<'a> {
    /// The calling thread is the watchdog's.
    pub(crate) fn new(shared: &'a Arc<Shared>) -> Self {
        shared.watchdog.alarm.occupy();
        Self(super::WatchdogThread::new(shared))
    }

    /// Looks once, when the next look is due.
    pub fn look(&mut self) {
        crate::sync::pass(super::INTERVAL);
        self.0.look();
    }

    /// Lends standbys, or takes their dismissal back, until there are `needed` workers.
    pub fn want(&mut self, needed: usize) {
        self.0.balance(needed);
    }

    /// Makes the worker at place `index` a computing thread. False: its poll has ended meanwhile.
    pub fn demote(&mut self, index: usize) -> bool {
        self.0.last[index].poll = self.0.shared.slots[index].progress.poll.load(Ordering::Relaxed);
        self.0.demote(index, &super::Found::default())
    }

    /// Lets computing threads take places while tasks are due in the lanes.
    pub fn lend_computing(&mut self) {
        self.0.lend_computing();
    }

    /// Sleeps, if all workers do, until one of them wakes.
    pub fn sleep_while_idle(&mut self) {
        self.0.shared.rest_watchdog(None);
        if self.0.shared.watchdog.sleeps.load(Ordering::Relaxed) {
            self.0.shared.watchdog.alarm.wait();
        }
    }
}
