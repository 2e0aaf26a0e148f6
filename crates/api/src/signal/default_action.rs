//! What does the process do when a signal arrives?
//!
//! signal-hook installs a handler with the system, once for each signal, which calls the actions that are registered; it cannot be taken out again. So the first of us who
//! wants to be told of a signal has its default action registered as well, which is switched off as long as anybody is told.
//!
//! Runs and loops are told side by side, so those who are told are counted: a flag that each sets and clears for itself would be cleared by the first one
//! that leaves.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;
use signal_hook::consts::{FORBIDDEN, SIGIO, SIGPIPE};
use signal_hook::{SigId, flag, low_level};

/// What a shell adds to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;

/// What a signal does when nobody is told of it.
pub(crate) struct DefaultAction {
    signal: i32,
    is_on: Arc<AtomicBool>,
    /// Those who are told. `is_on` changes under its lock, with it.
    told: Mutex<usize>,
    was_free: bool,
}

/// Somebody is told of a signal while this lives, and the signal does not do what it does by default.
#[must_use]
pub(crate) struct Told {
    // Dropped in this order: a signal in between does what it does by default, instead of nothing.
    _suspended: Suspended,
    _actions: [Action; 2],
}

/// The signal raises the flag while this lives, and does what it does by default as well.
#[must_use]
pub(crate) struct Raising {
    default_action: Arc<DefaultAction>,
    flag: Arc<AtomicBool>,
    raises: Action,
}

struct Suspended(Arc<DefaultAction>);

struct Action(SigId);

/// False for `SIGKILL` and `SIGSTOP`, which the system lets nobody catch, and for `SIGSEGV`, `SIGILL` and `SIGFPE`: after a fault of its own the program would have to go
/// on with the instruction at fault.
pub(crate) fn can_be_caught(signal: i32) -> bool {
    !FORBIDDEN.contains(&signal)
}

impl DefaultAction {
    /// The signal must be one that can be caught.
    ///
    /// # Errors
    ///
    /// The system's: `EINVAL` if the number is no signal's.
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
        let action = Arc::new(DefaultAction { signal, is_on, told: Mutex::new(0), was_free });
        known.insert(signal, Arc::clone(&action));
        Ok(action)
    }

    /// Whether nobody had taken the signal over, or had it ignored, before one of us was first told of it. If somebody had, what they wanted is what it does by
    /// default.
    pub(crate) fn was_free(&self) -> bool {
        self.was_free
    }

    /// From now on the signal raises the flag. The signal handlers that did not know of it yet have ended.
    pub(crate) fn raise(self: Arc<Self>, flag: &Arc<AtomicBool>) -> io::Result<Raising> {
        let raises = Action(flag::register(self.signal, Arc::clone(flag))?);
        Ok(Raising { default_action: self, flag: Arc::clone(flag), raises })
    }

    fn suspend(self: Arc<Self>) -> Suspended {
        let mut told = self.told.lock();
        *told += 1;
        // Ordering: SeqCst, with the signal handler, which reads it on whatever thread the signal arrives.
        self.is_on.store(false, Ordering::SeqCst);
        drop(told);
        Suspended(self)
    }
}

impl Raising {
    /// From now on the signal sends a byte to `bell` after it has raised the flag, instead of what it does by default. A bell that has no room for the byte has rung already:
    /// it must not block.
    ///
    /// The signal handlers that were at work when this was called have ended.
    pub(crate) fn ring(self, bell: &UnixStream) -> io::Result<Told> {
        let Raising { default_action, flag, raises } = self;
        // It happens after the flag has been raised: the system's handler keeps to the order in which they were registered.
        let rings = Action(low_level::pipe::register(default_action.signal, bell.try_clone()?)?);
        // Ordering: SeqCst, with the signal handler's store.
        if flag.load(Ordering::SeqCst) {
            // Perhaps by one that did not know the bell yet.
            let _ = (&*bell).write(&[1]);
        }
        Ok(Told { _suspended: default_action.suspend(), _actions: [raises, rings] })
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        let mut told = self.0.told.lock();
        *told -= 1;
        if *told == 0 {
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
    // Real-time signals and a few that other systems do not have: all of them end the program. To be ended by them is out of reach here; what a shell makes of
    // that is not.
    flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL.saturating_add(signal), is_on)
}

/// Linux ends a program by `SIGIO`; signal-hook's table has it ignored, as it is elsewhere.
fn is_misjudged(signal: i32) -> bool {
    cfg!(any(target_os = "linux", target_os = "android")) && signal == SIGIO
}

fn is_taken(signal: i32) -> io::Result<bool> {
    says_taken(std::fs::read_to_string("/proc/self/status"), signal)
}

/// Whether the signal has a handler or is ignored, where the system tells. Where it does not, or must not, the signal is taken to be free, but for the one that the
/// standard library has ignored in every program.
fn says_taken(status: io::Result<String>, signal: i32) -> io::Result<bool> {
    let status = match status {
        Ok(status) => status,
        // There was no descriptor left for the question, or no memory. A guess would stay for good.
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

    /// In a sandbox.
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
