//! The models' door to the watch.

use std::sync::Arc;

use crate::shared::Shared;

/// The watch, played by a thread of the model.
pub struct Watch<'a>(super::Watch<'a>);

impl<'a> Watch<'a> {
    /// The calling thread is the watch.
    pub(crate) fn new(shared: &'a Arc<Shared>) -> Self {
        shared.watchdog.watch.occupy();
        Self(super::Watch::new(shared))
    }

    /// Looks once.
    pub fn look(&mut self) {
        self.0.look();
    }

    /// Lends spares, or keeps them, until there are `needed` workers.
    pub fn want(&mut self, needed: usize) {
        self.0.balance(needed);
    }

    /// Sleeps, if all workers do, until one of them wakes.
    pub fn sleep_while_idle(&mut self) {
        self.0.sleep_while_idle();
    }
}
