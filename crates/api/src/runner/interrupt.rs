//! What does Ctrl-C do while `run` waits?
//!
//! As in asyncio, `run` handles the signal only on the main thread, and only if no other code does.
//! A handler that the program has [added](crate::EventLoop::add_signal_handler) to the loop takes
//! precedence. The loop decides which of the two a Ctrl-C is for, because it knows when the handler
//! was added and removed.

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
    use crate::signal::{CtrlC, DefaultAction, SIGINT, SignalTaken};

    /// Handles Ctrl-C while it lives.
    pub(in super::super) struct Interrupts {
        _taken: SignalTaken,
        bell: UnixStream,
        ring: Arc<Ring>,
        ctrl_c: CtrlC,
    }

    impl Interrupts {
        /// `None` if Ctrl-C cannot be handled here: not the main thread, or other code handles it.
        pub(in super::super) fn listen(event_loop: &EventLoop) -> Option<Interrupts> {
            // The standard library gives only the main thread the name "main".
            if thread::current().name() != Some("main") {
                return None;
            }
            let default_action = DefaultAction::of(SIGINT).ok().filter(|action| action.was_free())?;
            Interrupts::register(event_loop, default_action).ok()
        }

        fn register(event_loop: &EventLoop, default_action: Arc<DefaultAction>) -> io::Result<Interrupts> {
            let (bell, ring) = UnixStream::pair()?;
            ring.set_nonblocking(true)?;
            let ctrl_c = CtrlC::of(event_loop.shared().signals());
            let taken = default_action.raise(ctrl_c.flag())?.ring(&ring)?;
            Ok(Interrupts { _taken: taken, bell, ring: Arc::new(Ring(ring)), ctrl_c })
        }

        pub(in super::super) fn waker(&self) -> Waker {
            Waker::from(Arc::clone(&self.ring))
        }

        pub(in super::super) fn wait(&self, most: Option<Duration>) {
            // The socket refuses a timeout of zero.
            let most = most.map(|most| most.max(Duration::from_nanos(1)));
            if self.bell.set_read_timeout(most).is_err() {
                // This never happens in practice. Checking now and then is better than waiting for
                // ever.
                thread::sleep(Duration::from_millis(10).min(most.unwrap_or(Duration::MAX)));
                return;
            }
            // Several bytes count as one wake. Whatever this returns, the caller checks the state
            // itself.
            let _ = (&self.bell).read(&mut [0; 64]);
        }

        pub(in super::super) fn take(&self) -> bool {
            self.ctrl_c.take()
        }
    }

    /// The end of the socket to which a wake sends a byte.
    struct Ring(UnixStream);

    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            // A full socket holds unread bytes already, which wake the reader.
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

    /// Without Unix signals Ctrl-C keeps its default action.
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
