//! Which arrivals of Ctrl-C are for main, and which for the loop's handler?
//!
//! A run checks for Ctrl-C some time after it arrived, when a handler may have been added or
//! removed in between. So the decision is made when a handler is added or removed, under the lock
//! of the loop's [`Signals`](super::Signals): a Ctrl-C that arrived before the handler was added is
//! kept for the run, and one that arrived while the loop had the handler is not for the run.
//!
//! A Ctrl-C that arrives while the handler is being added may have raised both flags, that of the
//! run first. It belongs to the handler:
//!
//! ```text
//! to add a handler                                          the signal handler
//! 1. registers the handler's flag                           1. raises the run's flag
//! 2. clears the run's flag, notes that it was up (`note`)   2. raises the handler's flag
//! 3. registers its bell: signal handlers that were running have ended
//! 4. keeps what was noted, unless the handler's flag is up (`settle`)
//! ```
//!
//! If step 2 has seen a Ctrl-C, its signal handler has raised the handler's flag before step 4 or
//! will never raise it. If step 2 has not seen it, its signal handler finds the handler registered.
//!
//! Rejected: unregistering the run's flag while there is a handler. Registered again, it would be
//! raised after the byte that wakes the run has been sent, and the run might find nothing and sleep
//! on.

use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Signals;

/// The Ctrl-C signals for a run of the loop: those that arrive while the loop has no handler of its
/// own.
pub(crate) struct CtrlC {
    signals: Arc<Signals>,
    arrived: Arc<AtomicBool>,
}

/// The loop's part of a run's [`CtrlC`].
#[derive(Default)]
pub(super) struct CtrlCFlag {
    /// Raised by the signal handler.
    arrived: Arc<AtomicBool>,
    earlier: Earlier,
}

/// What arrived before the handler was added.
#[derive(Default)]
enum Earlier {
    #[default]
    Nothing,
    /// A Ctrl-C arrived while the handler was being added: it may belong to the handler.
    Noted,
    Kept,
}

impl CtrlCFlag {
    pub(super) fn has_flag(&self, flag: &Arc<AtomicBool>) -> bool {
        Arc::ptr_eq(&self.arrived, flag)
    }

    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.arrived)
    }

    /// Called while a handler is being added.
    pub(super) fn note(&mut self) {
        let has_arrived = self.take_arrived();
        if has_arrived && matches!(self.earlier, Earlier::Nothing) {
            self.earlier = Earlier::Noted;
        }
    }

    /// Called when the handler has been added, or adding it has failed.
    pub(super) fn settle(&mut self, is_the_handlers: bool) {
        if matches!(self.earlier, Earlier::Noted) {
            self.earlier = if is_the_handlers { Earlier::Nothing } else { Earlier::Kept };
        }
    }

    /// Called when a handler is removed.
    pub(super) fn drop_arrived(&self) {
        self.take_arrived();
    }

    pub(super) fn take(&mut self, has_handler: bool) -> bool {
        let is_ours = self.take_arrived() && !has_handler;
        matches!(take(&mut self.earlier), Earlier::Kept) || is_ours
    }

    fn take_arrived(&self) -> bool {
        // Ordering: SeqCst, with the signal handler's store.
        self.arrived.swap(false, Ordering::SeqCst)
    }
}

impl CtrlC {
    /// For a run of the loop that has these handlers.
    pub(crate) fn of(signals: &Arc<Signals>) -> CtrlC {
        CtrlC { signals: Arc::clone(signals), arrived: signals.listen() }
    }

    /// The flag that the signal handler raises.
    pub(crate) fn flag(&self) -> &Arc<AtomicBool> {
        &self.arrived
    }

    /// Whether Ctrl-C has arrived since the last call.
    pub(crate) fn take(&self) -> bool {
        self.signals.take_ctrl_c(&self.arrived)
    }
}

impl Drop for CtrlC {
    fn drop(&mut self) {
        self.signals.unlisten(&self.arrived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::runner::Runner;
    use crate::signal::SIGINT;

    /// Sets the flag as the signal handler does, at each point between adding and removing a
    /// handler.
    #[test]
    fn what_arrives_without_a_handler_is_mains_whenever_main_asks() -> Result<()> {
        let runner = Runner::builder().workers(1).build()?;
        let event_loop = runner.get_loop();
        let ctrl_c = CtrlC::of(event_loop.shared().signals());
        let press = || ctrl_c.flag().store(true, Ordering::SeqCst);
        let add = || event_loop.add_signal_handler(SIGINT, || ());
        assert!(!ctrl_c.take());

        press();
        assert!(ctrl_c.take());
        assert!(!ctrl_c.take());

        press();
        add()?;
        press();
        assert!(ctrl_c.take(), "it came before the handler, which came before main asked");
        assert!(!ctrl_c.take(), "it came after the handler");

        press();
        assert!(event_loop.remove_signal_handler(SIGINT)?);
        assert!(!ctrl_c.take(), "it came before the handler went, which went before main asked");

        press();
        assert!(ctrl_c.take());

        add()?;
        press();
        runner.close();
        assert!(!ctrl_c.take(), "the handler went with the loop");
        press();
        assert!(ctrl_c.take());
        Ok(())
    }
}
