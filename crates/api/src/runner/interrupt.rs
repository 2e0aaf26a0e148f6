//! What does Ctrl-C do while `run` waits?
//!
//! asyncio takes the signal over only on the main thread, and only if nobody else has. So does this. A signal handler cannot be taken
//! back out once it is chained into, so between two calls of `run` the handler stays and does what the system would have done.

#[cfg(unix)]
pub(super) use self::unix::Interrupts;

#[cfg(not(unix))]
pub(super) use self::elsewhere::Interrupts;

#[cfg(unix)]
mod unix {
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, OnceLock};
    use std::task::{Wake, Waker};
    use std::thread;
    use std::time::Duration;

    use signal_hook::consts::SIGINT;
    use signal_hook::{SigId, flag, low_level};

    /// Listens to Ctrl-C while it lives.
    pub(in super::super) struct Interrupts {
        happened: Arc<AtomicBool>,
        bell: UnixStream,
        ring: Arc<Ring>,
        registered: Vec<SigId>,
        default_action: Arc<AtomicBool>,
    }

    impl Interrupts {
        /// `None` if Ctrl-C is not ours to take.
        pub(in super::super) fn listen() -> Option<Interrupts> {
            // Only the main thread is called "main" by the standard library.
            if thread::current().name() != Some("main") {
                return None;
            }
            let default_action = Arc::clone(default_action()?);
            Interrupts::register(default_action).ok()
        }

        fn register(default_action: Arc<AtomicBool>) -> io::Result<Interrupts> {
            let (bell, ring) = UnixStream::pair()?;
            ring.set_nonblocking(true)?;
            let happened = Arc::new(AtomicBool::new(false));
            let signal_end = ring.try_clone()?;
            let ring = Arc::new(Ring(ring));
            let mut this = Interrupts { happened, bell, ring, registered: Vec::new(), default_action };
            // Actions run in this order: when the bell rings, the flag is up.
            this.registered.push(flag::register(SIGINT, Arc::clone(&this.happened))?);
            this.registered.push(low_level::pipe::register(SIGINT, signal_end)?);
            // Ordering: SeqCst, with the signal handler, which reads it on whatever thread the signal arrives.
            this.default_action.store(false, Ordering::SeqCst);
            Ok(this)
        }

        pub(in super::super) fn waker(&self) -> Waker {
            Waker::from(Arc::clone(&self.ring))
        }

        pub(in super::super) fn wait(&self, most: Option<Duration>) {
            // A zero timeout is an error to the socket.
            let most = most.map(|most| most.max(Duration::from_nanos(1)));
            if self.bell.set_read_timeout(most).is_err() {
                // Unheard of; but looking again now and then is better than to wait for ever.
                thread::sleep(Duration::from_millis(10).min(most.unwrap_or(Duration::MAX)));
                return;
            }
            // Several rings are one. Whatever the outcome, the caller looks for itself.
            let _ = (&self.bell).read(&mut [0; 64]);
        }

        pub(in super::super) fn take(&self) -> bool {
            // Ordering: SeqCst, with the handler's store.
            self.happened.swap(false, Ordering::SeqCst)
        }
    }

    impl Drop for Interrupts {
        fn drop(&mut self) {
            // First the default action: a signal in between ends the program instead of nothing.
            self.default_action.store(true, Ordering::SeqCst);
            for id in self.registered.drain(..) {
                low_level::unregister(id);
            }
        }
    }

    /// The end of the socket that wakes.
    struct Ring(UnixStream);

    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            // A full socket has rung already.
            let _ = (&self.0).write(&[1]);
        }
    }

    /// Whether the signal does what it does by default: end the program. `None` if somebody had taken the signal over, or had it
    /// ignored, before `run` was first called.
    fn default_action() -> Option<&'static Arc<AtomicBool>> {
        static INSTALLED: OnceLock<Option<Arc<AtomicBool>>> = OnceLock::new();
        let installed = INSTALLED.get_or_init(|| {
            if is_taken() {
                return None;
            }
            let condition = Arc::new(AtomicBool::new(true));
            flag::register_conditional_default(SIGINT, Arc::clone(&condition)).ok()?;
            Some(condition)
        });
        installed.as_ref()
    }

    /// Whether the signal has a handler or is ignored, where the system tells; elsewhere it is taken to be free.
    fn is_taken() -> bool {
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
        status.lines().any(|line| {
            let Some((name, mask)) = line.split_once(':') else { return false };
            let is_mask = name == "SigIgn" || name == "SigCgt";
            is_mask && u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << (SIGINT - 1)) != 0)
        })
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::convert::Infallible;
    use std::task::Waker;
    use std::time::Duration;

    /// Ctrl-C keeps its default action here.
    pub(in super::super) struct Interrupts(Infallible);

    impl Interrupts {
        pub(in super::super) fn listen() -> Option<Interrupts> {
            None
        }

        pub(in super::super) fn waker(&self) -> Waker {
            match self.0 {}
        }

        pub(in super::super) fn wait(&self, _most: Option<Duration>) {
            match self.0 {}
        }

        pub(in super::super) fn take(&self) -> bool {
            match self.0 {}
        }
    }
}
