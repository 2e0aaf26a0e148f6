//! For which signals does the loop have handlers?
//!
//! Replacing a handler changes no registration, so no signal is lost in between.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound::{Excluded, Unbounded};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::ctrl_c::CtrlCFlag;
use super::{DefaultAction, Raising, SIGINT, SignalTaken};
use crate::contain;
use crate::context::Context;
use crate::error::{EVENT_LOOP_IS_CLOSED, Error, PanicError, Result, RuntimeError};

/// The loop's handlers.
pub(crate) struct Signals(Mutex<State>);

#[derive(Default)]
struct State {
    is_closed: bool,
    /// The end of the socket that the signal handler writes to; `None` before the first handler.
    bell: Option<UnixStream>,
    entries: BTreeMap<i32, Entry>,
    /// The runs of this loop that handle Ctrl-C.
    ctrl_c: Vec<CtrlCFlag>,
}

struct Entry {
    taken: SignalTaken,
    has_arrived: Arc<AtomicBool>,
    handler: Arc<Handler>,
}

pub(crate) struct Handler {
    callback: Box<dyn Fn() + Send + Sync>,
    context: Context,
}

impl Handler {
    pub(crate) fn new(callback: impl Fn() + Send + Sync + 'static, context: Context) -> Handler {
        Handler { callback: Box::new(callback), context }
    }

    /// Calls the callback. `report` gets its panic.
    pub(crate) fn call(self: Arc<Self>, report: impl Fn(PanicError)) {
        let report_panic = |called: std::result::Result<(), PanicError>| called.unwrap_or_else(&report);
        report_panic(contain::call(|| self.context.run(&self.callback)));
        // If the handler was removed meanwhile, this drops the last reference and the callback's
        // captured values. It is a separate call, because two panics at once would end the process.
        report_panic(contain::call(|| drop(self)));
    }
}

pub(crate) fn no_signal(signal: i32) -> Error {
    RuntimeError::new(format!("invalid signal number {signal}")).into()
}

impl Signals {
    pub(crate) fn new() -> Arc<Signals> {
        Arc::new(Signals(Mutex::default()))
    }

    /// Whether there is a bell already.
    pub(crate) fn is_open(&self) -> Result<bool> {
        let state = self.0.lock();
        state.check()?;
        Ok(state.bell.is_some())
    }

    /// False if another thread was faster.
    pub(crate) fn try_open(&self, bell: UnixStream) -> Result<bool> {
        let mut state = self.0.lock();
        state.check()?;
        let is_first = state.bell.is_none();
        if is_first {
            state.bell = Some(bell);
        }
        Ok(is_first)
    }

    /// Adds a handler. Returns the one that it replaced.
    pub(crate) fn set(&self, signal: i32, handler: Arc<Handler>) -> Result<Option<Arc<Handler>>> {
        let mut state = self.0.lock();
        state.check()?;
        if let Some(entry) = state.entries.get_mut(&signal) {
            return Ok(Some(std::mem::replace(&mut entry.handler, handler)));
        }
        let has_arrived = Arc::default();
        let raising = match DefaultAction::of(signal).and_then(|default| default.raise(&has_arrived)) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(no_signal(signal)),
            raising => raising?,
        };
        state.insert(signal, raising, has_arrived, handler)?;
        Ok(None)
    }

    /// Removes a handler. False if there was none.
    pub(crate) fn remove(&self, signal: i32) -> bool {
        let entry = {
            let mut state = self.0.lock();
            if signal == SIGINT {
                state.release_ctrl_c();
            }
            state.entries.remove(&signal)
        };
        let Some(handler) = entry.map(Entry::unregister) else { return false };
        // Dropping the captured values runs foreign code: the lock is released before.
        contain::silently(|| drop(handler));
        true
    }

    /// Removes all handlers, for good.
    pub(crate) fn close(&self) {
        let (entries, bell) = {
            let mut state = self.0.lock();
            state.is_closed = true;
            state.release_ctrl_c();
            (std::mem::take(&mut state.entries), state.bell.take())
        };
        drop(bell);
        // First every signal gets its default action back: dropping the callbacks' captured values
        // is the user's code, which may take long or panic.
        let handlers: Vec<_> = entries.into_values().map(Entry::unregister).collect();
        for handler in handlers {
            contain::silently(|| drop(handler));
        }
    }

    /// Registers a run for Ctrl-C, and returns the flag that Ctrl-C raises.
    pub(super) fn listen(&self) -> Arc<AtomicBool> {
        let entry = CtrlCFlag::default();
        let flag = entry.flag();
        self.0.lock().ctrl_c.push(entry);
        flag
    }

    /// Whether Ctrl-C has arrived for the run with this flag.
    pub(super) fn take_ctrl_c(&self, flag: &Arc<AtomicBool>) -> bool {
        let mut state = self.0.lock();
        let has_handler = state.has_handler(SIGINT);
        state.ctrl_c.iter_mut().find(|it| it.has_flag(flag)).is_some_and(|it| it.take(has_handler))
    }

    pub(super) fn unlisten(&self, flag: &Arc<AtomicBool>) {
        self.0.lock().ctrl_c.retain(|it| !it.has_flag(flag));
    }

    /// The first handler, after that of signal `last`, whose signal has arrived.
    pub(crate) fn next_arrived(&self, last: i32) -> Option<(i32, Arc<Handler>)> {
        let state = self.0.lock();
        let mut later = state.entries.range((Excluded(last), Unbounded));
        // Ordering: SeqCst, with the signal handler's store.
        let (&signal, entry) = later.find(|(_, entry)| entry.has_arrived.swap(false, Ordering::SeqCst))?;
        Some((signal, Arc::clone(&entry.handler)))
    }
}

impl Entry {
    fn unregister(self) -> Arc<Handler> {
        drop(self.taken);
        self.handler
    }
}

impl State {
    fn insert(
        &mut self,
        signal: i32,
        raising: Raising,
        has_arrived: Arc<AtomicBool>,
        handler: Arc<Handler>,
    ) -> io::Result<()> {
        let bell = self.bell.as_ref().expect("it is opened first, and taken when the loop is closed");
        let ctrl_c = if signal == SIGINT { &mut self.ctrl_c[..] } else { &mut [] };
        ctrl_c.iter_mut().for_each(CtrlCFlag::note);
        // If a signal handler has raised a flag that was noted, it has raised the other one before
        // the next line has returned, or never will: whenever an action is registered or removed,
        // signal-hook-registry waits for the signal handlers that read the former table (the write
        // barrier of its `HalfLock`).
        let taken = raising.ring(bell);
        // Ordering: SeqCst, with the signal handler's store.
        let is_the_handlers = taken.is_ok() && has_arrived.load(Ordering::SeqCst);
        for flag in ctrl_c {
            flag.settle(is_the_handlers);
        }
        self.entries.insert(signal, Entry { taken: taken?, has_arrived, handler });
        Ok(())
    }

    fn has_handler(&self, signal: i32) -> bool {
        self.entries.contains_key(&signal)
    }

    fn check(&self) -> Result<()> {
        if self.is_closed { Err(RuntimeError::new(EVENT_LOOP_IS_CLOSED).into()) } else { Ok(()) }
    }

    /// Called before the handler for Ctrl-C is removed: its signals must not reach main.
    fn release_ctrl_c(&mut self) {
        if self.has_handler(SIGINT) {
            self.ctrl_c.iter().for_each(CtrlCFlag::drop_arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use signal_hook::low_level::raise;

    use super::super::CtrlC;
    use super::*;
    use crate::context_var::copy_context;
    use crate::runner::Runner;

    /// One Ctrl-C is counted once.
    #[test]
    fn a_press_while_a_handler_is_added_is_the_handlers_alone() -> Result<()> {
        let runner = Runner::builder().workers(1).build()?;
        let event_loop = runner.get_loop();
        let (_bell, ring) = UnixStream::pair()?;
        let ctrl_c = CtrlC::of(event_loop.shared().signals());
        let _taken = DefaultAction::of(SIGINT)?.raise(ctrl_c.flag())?.ring(&ring)?;
        // Creates the bell.
        event_loop.add_signal_handler(SIGINT, || ())?;
        assert!(event_loop.remove_signal_handler(SIGINT)?);

        let (called, calls) = mpsc::channel();
        let handler = Handler::new(move || called.send(()).expect("the test waits"), copy_context());
        {
            let mut state = event_loop.shared().signals().0.lock();
            let has_arrived = Arc::default();
            let raising = DefaultAction::of(SIGINT)?.raise(&has_arrived)?;
            raise(SIGINT)?;
            state.insert(SIGINT, raising, has_arrived, Arc::new(handler))?;
        }
        assert!(!ctrl_c.take(), "it is not main's");
        calls.recv_timeout(Duration::from_secs(30)).expect("it is the handler's");
        assert!(!ctrl_c.take());
        Ok(())
    }
}
