//! Which presses of Ctrl-C are for main, and which for the loop's handler?
//!
//! A run asks later than they arrive, when a handler may have come or gone. So that is decided when one comes or goes, under the lock of the loop's
//! [`Signals`]: what arrived before it came is kept for the run, what arrived while it was there is not for the run.
//!
//! A press while the handler is being added may have raised both flags, that of the run first. It is the handler's:
//!
//! ```text
//! to add a handler                                                               the signal handler
//! 1. its flag is registered                                                      1. raises the flag of the run
//! 2. the flag of the run is taken down, and noted to have been up (`note`)       2. raises the flag of the handler
//! 3. its bell is registered: the signal handlers that were at work have ended
//! 4. what was noted is kept, unless the flag of the handler is up (`settle`)
//! ```
//!
//! A press that step 2 has seen has raised the handler's flag before step 4, or never will. One that it has not seen finds the handler registered.

use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Signals;

/// What a run of the loop is told of Ctrl-C: the presses while the loop had no handler of its own for it.
pub(crate) struct CtrlC {
    signals: Arc<Signals>,
    arrived: Arc<AtomicBool>,
}

/// The loop's side of a run's [`CtrlC`].
#[derive(Default)]
pub(super) struct Pressed {
    /// Raised by the signal handler.
    arrived: Arc<AtomicBool>,
    earlier: Earlier,
}

/// What arrived before the handler came.
#[derive(Default)]
enum Earlier {
    #[default]
    Nothing,
    /// While the handler comes: it may be the handler's.
    Noted,
    Kept,
}

impl Pressed {
    pub(super) fn has_flag(&self, flag: &Arc<AtomicBool>) -> bool {
        Arc::ptr_eq(&self.arrived, flag)
    }

    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.arrived)
    }

    /// A handler comes.
    pub(super) fn note(&mut self) {
        let has_arrived = self.take_arrived();
        if has_arrived && matches!(self.earlier, Earlier::Nothing) {
            self.earlier = Earlier::Noted;
        }
    }

    /// The handler has come, or could not.
    pub(super) fn settle(&mut self, is_the_handlers: bool) {
        if matches!(self.earlier, Earlier::Noted) {
            self.earlier = if is_the_handlers { Earlier::Nothing } else { Earlier::Kept };
        }
    }

    /// A handler goes.
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

    /// For the signal handler to raise.
    pub(crate) fn flag(&self) -> &Arc<AtomicBool> {
        &self.arrived
    }

    /// Whether Ctrl-C was pressed since this was last asked.
    pub(crate) fn take(&self) -> bool {
        self.signals.take_press(&self.arrived)
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

    /// A press as the signal handler notes it, at each place between the coming and going of a handler.
    #[test]
    fn what_arrives_without_a_handler_is_mains_whenever_main_asks() -> Result<()> {
        let runner = Runner::builder().workers(1).build()?;
        let event_loop = runner.get_loop();
        let presses = CtrlC::of(event_loop.shared().signals());
        let press = || presses.flag().store(true, Ordering::SeqCst);
        let add = || event_loop.add_signal_handler(SIGINT, || ());
        assert!(!presses.take());

        press();
        assert!(presses.take());
        assert!(!presses.take());

        press();
        add()?;
        press();
        assert!(presses.take(), "it came before the handler, which came before main asked");
        assert!(!presses.take(), "it came after the handler");

        press();
        assert!(event_loop.remove_signal_handler(SIGINT)?);
        assert!(!presses.take(), "it came before the handler went, which went before main asked");

        press();
        assert!(presses.take());

        add()?;
        press();
        runner.close();
        assert!(!presses.take(), "the handler went with the loop");
        press();
        assert!(presses.take());
        Ok(())
    }
}
