//! Which presses of Ctrl-C are for main, and which for the loop's handler?
//!
//! A run asks later than they arrive, when a handler may have come or gone. So that is decided when one comes or goes, under the lock of the loop's
//! [`Signals`](super::Signals): what arrived before it came is kept for the run, what arrived while it was there is not for the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::EventLoop;
use crate::signal::SIGINT;

/// What a run of the loop is told of Ctrl-C: the presses while the loop had no handler of its own for it.
pub(crate) struct Presses {
    event_loop: EventLoop,
    pressed: Arc<Pressed>,
}

#[derive(Default)]
pub(super) struct Pressed {
    /// Raised by the signal handler.
    arrived: Arc<AtomicBool>,
    /// It had arrived before the handler came. Relaxed: under the lock.
    is_kept: AtomicBool,
}

impl Pressed {
    /// A handler comes.
    pub(super) fn keep(&self) {
        // Ordering: SeqCst, with the signal handler's store.
        if self.arrived.swap(false, Ordering::SeqCst) {
            self.is_kept.store(true, Ordering::Relaxed);
        }
    }

    /// A handler goes.
    pub(super) fn drop_arrived(&self) {
        // Ordering: SeqCst, with the signal handler's store.
        self.arrived.store(false, Ordering::SeqCst);
    }
}

impl Presses {
    pub(crate) fn of(event_loop: &EventLoop) -> Presses {
        let pressed = Arc::<Pressed>::default();
        event_loop.signals().0.lock().presses.push(Arc::clone(&pressed));
        Presses { event_loop: event_loop.clone(), pressed }
    }

    /// For the signal handler to raise.
    pub(crate) fn flag(&self) -> &Arc<AtomicBool> {
        &self.pressed.arrived
    }

    /// Whether Ctrl-C was pressed since this was last asked.
    pub(crate) fn take(&self) -> bool {
        let state = self.event_loop.signals().0.lock();
        // Ordering: SeqCst, with the signal handler's store.
        let has_arrived = self.pressed.arrived.swap(false, Ordering::SeqCst);
        let is_ours = has_arrived && !state.has_handler(SIGINT);
        self.pressed.is_kept.swap(false, Ordering::Relaxed) || is_ours
    }
}

impl Drop for Presses {
    fn drop(&mut self) {
        self.event_loop.signals().0.lock().presses.retain(|it| !Arc::ptr_eq(it, &self.pressed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::runner::Runner;

    /// A press as the signal handler notes it, at each place between the coming and going of a handler.
    #[test]
    fn what_arrives_without_a_handler_is_mains_whenever_main_asks() -> Result<()> {
        let runner = Runner::builder().workers(1).build()?;
        let event_loop = runner.get_loop();
        let presses = Presses::of(&event_loop);
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
