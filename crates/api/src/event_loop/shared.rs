//! What do all references to one loop share?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use selvedge_scheduler::{Hooks, TaskRef};

use super::running::RunningFunctions;
use super::{EventLoop, ExceptionContext, report};
use crate::contain::Contained;
#[cfg(unix)]
use crate::signal::Signals;
use crate::sync::Mutex;

/// The program's handler. Its drop is the program's code too, hence `Contained`.
pub(super) type ExceptionHandler = Contained<Box<dyn Fn(&EventLoop, &ExceptionContext) + Send + Sync>>;

/// The loop's own state. It is the scheduler's hooks object, so that it is found through the scheduler.
pub(crate) struct LoopShared {
    exception_handler: Mutex<Option<Arc<ExceptionHandler>>>,
    debug: AtomicBool,
    running: RunningFunctions,
    #[cfg(unix)]
    signals: Arc<Signals>,
}

impl LoopShared {
    pub(crate) fn new(debug: bool) -> LoopShared {
        LoopShared {
            exception_handler: Mutex::new(None),
            debug: AtomicBool::new(debug),
            running: RunningFunctions::default(),
            #[cfg(unix)]
            signals: Signals::new(),
        }
    }

    /// The count of the functions that `to_thread` and executors run on threads of this loop.
    pub(crate) fn running(&self) -> &RunningFunctions {
        &self.running
    }

    #[cfg(unix)]
    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    pub(super) fn set_exception_handler(&self, handler: Option<Arc<ExceptionHandler>>) {
        let former = std::mem::replace(&mut *self.exception_handler.lock(), handler);
        // The lock is released by now: dropping what the former handler captured may run any code.
        // (`Contained` catches its panic.)
        drop(former);
    }

    pub(super) fn exception_handler(&self) -> Option<Arc<ExceptionHandler>> {
        self.exception_handler.lock().clone()
    }

    pub(super) fn set_debug(&self, enabled: bool) {
        // Relaxed: a switch; nothing is published through it.
        self.debug.store(enabled, Ordering::Relaxed);
    }

    pub(super) fn is_debug(&self) -> bool {
        self.debug.load(Ordering::Relaxed)
    }
}

impl Hooks for LoopShared {
    fn slow_poll(&self, task: &TaskRef, lasted: Duration) {
        if self.is_debug() {
            report::slow_poll(task, lasted);
        }
    }
}
