//! When does a signal perform its default action, and when does it notify runs and loops instead?
//!
//! signal-hook installs one handler with the system for each signal, which calls the registered
//! actions; it cannot be uninstalled. So before Selvedge first handles a signal, it also registers
//! the signal's default action, which is switched off while any run or loop handles the signal.
//!
//! Several runs and loops may handle one signal, so they are counted. With a plain flag that each
//! of them sets and clears, the first one that leaves would clear it, and the next signal would end
//! a program whose other loop still handles it.
//!
//! A signal that was ignored or handled by other code before has no default action of ours.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;
use signal_hook::consts::{FORBIDDEN, SIGIO, SIGPIPE};
use signal_hook::{SigId, flag, low_level};

/// A shell reports a program that was ended by a signal with this plus the signal's number.
const ENDED_BY_SIGNAL: i32 = 128;

/// What a signal does while no run or loop handles it.
pub(crate) struct DefaultAction {
    signal: i32,
    is_on: Arc<AtomicBool>,
    /// The number of runs and loops that handle the signal. `is_on` changes together with it, under
    /// its lock.
    handlers: Mutex<usize>,
    was_free: bool,
}

/// A run or a loop handles a signal while this lives: the default action is off.
#[must_use]
pub(crate) struct SignalTaken {
    // Dropped in this order: a signal in between performs its default action, instead of nothing.
    _suspended: Suspended,
    _actions: [Action; 2],
}

/// While this lives, the signal raises the flag and also performs its default action.
#[must_use]
pub(crate) struct Raising {
    default_action: Arc<DefaultAction>,
    flag: Arc<AtomicBool>,
    raises: Action,
}

struct Suspended(Arc<DefaultAction>);

struct Action(SigId);

/// False for `SIGKILL` and `SIGSTOP`, which the system does not allow to be caught, and for
/// `SIGSEGV`, `SIGILL` and `SIGFPE`: after such a fault of its own the program would have to repeat
/// the faulting instruction.
pub(crate) fn can_be_caught(signal: i32) -> bool {
    !FORBIDDEN.contains(&signal)
}

impl DefaultAction {
    /// The signal must be one that can be caught.
    ///
    /// # Errors
    ///
    /// The system's error: `EINVAL` if the number is not a signal's.
    pub(crate) fn of(signal: i32) -> io::Result<Arc<DefaultAction>> {
        static KNOWN: Mutex<BTreeMap<i32, Arc<DefaultAction>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock();
        if let Some(action) = known.get(&signal) {
            return Ok(Arc::clone(action));
        }
        let is_on = Arc::new(AtomicBool::new(true));
        let was_free = !is_taken(signal)?;
        if was_free {
            install(signal, Arc::clone(&is_on))?;
        }
        let action = Arc::new(DefaultAction { signal, is_on, handlers: Mutex::new(0), was_free });
        known.insert(signal, Arc::clone(&action));
        Ok(action)
    }

    /// Whether the signal was neither handled nor ignored when Selvedge first used it. If it was,
    /// that behaviour counts as its default action.
    pub(crate) fn was_free(&self) -> bool {
        self.was_free
    }

    /// Registers the flag: from now on the signal raises it. When this returns, all signal handlers
    /// that did not know the flag have ended.
    pub(crate) fn raise(self: Arc<Self>, flag: &Arc<AtomicBool>) -> io::Result<Raising> {
        let raises = Action(flag::register(self.signal, Arc::clone(flag))?);
        Ok(Raising { default_action: self, flag: Arc::clone(flag), raises })
    }

    fn suspend(self: Arc<Self>) -> Suspended {
        let mut handlers = self.handlers.lock();
        *handlers += 1;
        // Ordering: SeqCst, with the signal handler, which reads it on any thread at which the
        // signal arrives.
        self.is_on.store(false, Ordering::SeqCst);
        drop(handlers);
        Suspended(self)
    }
}

impl Raising {
    /// Registers the bell: from now on the signal raises the flag, then sends a byte to `bell`, and
    /// no longer performs its default action. `bell` must be non-blocking: if it has no space for
    /// the byte, it holds unread bytes already.
    ///
    /// When this returns, all signal handlers that were running at the call have ended.
    pub(crate) fn ring(self, bell: &UnixStream) -> io::Result<SignalTaken> {
        let Raising { default_action, flag, raises } = self;
        // The byte is sent after the flag has been raised: the system's handler calls the actions
        // in the order of their registration.
        let rings = Action(low_level::pipe::register(default_action.signal, bell.try_clone()?)?);
        // Ordering: SeqCst, with the signal handler's store.
        if flag.load(Ordering::SeqCst) {
            // The flag may have been raised by a signal handler that did not know the bell yet.
            let _ = (&*bell).write(&[1]);
        }
        Ok(SignalTaken { _suspended: default_action.suspend(), _actions: [raises, rings] })
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        let mut handlers = self.0.handlers.lock();
        *handlers -= 1;
        if *handlers == 0 {
            // Ordering: SeqCst, with the signal handler.
            self.0.is_on.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        low_level::unregister(self.0);
    }
}

fn install(signal: i32, is_on: Arc<AtomicBool>) -> io::Result<SigId> {
    if low_level::signal_name(signal).is_some() && !is_misjudged(signal) {
        return flag::register_conditional_default(signal, is_on);
    }
    // Real-time signals, and a few that other systems do not have. All of them end the program.
    // This process cannot end itself by such a signal, but it can return the status that a shell
    // would report.
    flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL.saturating_add(signal), is_on)
}

/// `SIGIO` ends a program on Linux; signal-hook's table says that it is ignored, as it is
/// elsewhere.
fn is_misjudged(signal: i32) -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && signal == SIGIO
}

fn is_taken(signal: i32) -> io::Result<bool> {
    says_taken(std::fs::read_to_string("/proc/self/status"), signal)
}

/// Whether the signal has a handler or is ignored, according to the system's status file. If that
/// cannot be read, the signal counts as free, except `SIGPIPE`, which the standard library ignores
/// in every program.
fn says_taken(status: io::Result<String>, signal: i32) -> io::Result<bool> {
    let status = match status {
        Ok(status) => status,
        // The file could not be read for lack of descriptors or memory. A guess would be kept for
        // ever.
        Err(error) if lacks_resources(&error) => return Err(error),
        Err(_) => return Ok(signal == SIGPIPE),
    };
    let number = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    let bit = number.and_then(|number| 1_u64.checked_shl(number)).unwrap_or(0);
    Ok(status.lines().any(|line| {
        let Some((name, mask)) = line.split_once(':') else { return false };
        let is_mask = name == "SigIgn" || name == "SigCgt";
        is_mask && u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & bit != 0)
    }))
}

fn lacks_resources(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGINT, SIGTERM};

    use super::*;

    #[test]
    fn what_the_system_says_is_taken() {
        let status =
            "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004000\n";
        let says = |signal| says_taken(Ok(status.to_owned()), signal).ok();
        assert_eq!([SIGPIPE, SIGTERM, SIGINT, 64, 65].map(says), [true, true, false, false, false].map(Some));
    }

    /// As in a sandbox that hides the status file.
    #[test]
    fn what_the_system_does_not_tell_is_guessed() {
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::PERM, Errno::LOOP, Errno::IO] {
            let says = |signal| says_taken(Err(errno.into()), signal).ok();
            assert_eq!([SIGPIPE, SIGTERM, SIGINT].map(says), [true, false, false].map(Some), "{errno}");
        }
    }

    #[test]
    fn what_could_not_be_asked_is_not_guessed() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            let error = says_taken(Err(errno.into()), SIGTERM).expect_err("it can be asked later");
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
        }
    }
}
