//! What does Ctrl-C do while `run` waits?
//!
//! asyncio takes the signal over only on the main thread, and only if nobody else has. So does this. A handler that the program has
//! [added](crate::EventLoop::add_signal_handler) to the loop takes its place: which of the two a press is for is decided by the loop,
//! which knows when the handler came and went.

#[cfg(unix)]
pub(super) use self::unix::Interrupts;

#[cfg(not(unix))]
pub(super) use self::elsewhere::Interrupts;

#[cfg(unix)]
mod unix {
    use std::io::{self, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::task::{Wake, Waker};
    use std::thread;
    use std::time::Duration;

    use crate::event_loop::EventLoop;
    use crate::signal::{CtrlC, DefaultAction, SIGINT, Told};

    /// Listens to Ctrl-C while it lives.
    pub(in super::super) struct Interrupts {
        _told: Told,
        bell: UnixStream,
        ring: Arc<Ring>,
        presses: CtrlC,
    }

    impl Interrupts {
        /// `None` if Ctrl-C is not ours to take.
        pub(in super::super) fn listen(event_loop: &EventLoop) -> Option<Interrupts> {
            // Only the main thread is called "main" by the standard library.
            if thread::current().name() != Some("main") {
                return None;
            }
            let default_action = DefaultAction::of(SIGINT).ok().filter(|action| action.was_free())?;
            Interrupts::register(event_loop, default_action).ok()
        }

        fn register(event_loop: &EventLoop, default_action: Arc<DefaultAction>) -> io::Result<Interrupts> {
            let (bell, ring) = UnixStream::pair()?;
            ring.set_nonblocking(true)?;
            let presses = CtrlC::of(event_loop.shared().signals());
            let told = default_action.raise(presses.flag())?.ring(&ring)?;
            Ok(Interrupts { _told: told, bell, ring: Arc::new(Ring(ring)), presses })
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
            self.presses.take()
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
}

#[cfg(not(unix))]
mod elsewhere {
    use std::convert::Infallible;
    use std::task::Waker;
    use std::time::Duration;

    use crate::event_loop::EventLoop;

    /// Ctrl-C keeps its default action here.
    pub(in super::super) struct Interrupts(Infallible);

    impl Interrupts {
        pub(in super::super) fn listen(_event_loop: &EventLoop) -> Option<Interrupts> {
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
