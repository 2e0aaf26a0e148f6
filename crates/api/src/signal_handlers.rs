//! What does the loop do when a signal arrives?
//!
//! ```text
//! the signal handler                           a coroutine in the background
//! 1. raises the flag of each loop's handler    1. reads the bytes that have been sent
//! 2. sends a byte to each of these loops       2. clears the raised flags, calls their handlers
//! ```
//!
//! If the coroutine's second step misses a flag, the byte that belongs to it is still unread, so
//! the coroutine runs again. The coroutine starts with the loop's first handler and lasts as long
//! as the loop. Adding and removing handlers only changes a table (`signal/table.rs`) and the
//! registrations of the process (`signal/default_action.rs`).
//!
//! When a loop ends, it first waits for tasks and then for functions in threads, and the handlers
//! work during both. Then all handlers are unregistered. Only after that are their captured values
//! dropped and the loop closed: both may take long, and a signal meanwhile performs its default
//! action.
//!
//! Rejected: a socket and a coroutine for each handler. After a removal, the coroutine's end stays
//! open until it is polled, and a program that adds and removes handlers often runs out of
//! descriptors.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use selvedge_scheduler::Direction;

use crate::contain::{Contained, silently};
use crate::context_var::copy_context;
use crate::error::{Result, RuntimeError};
use crate::event_loop::{EventLoop, report};
use crate::net::{Done, Socket};
use crate::signal::{Handler, Signals, can_be_caught, no_signal};
use crate::waiting::sleep;

/// The greatest number of a signal. Which smaller numbers are signals is decided by the system when
/// a handler is installed.
const GREATEST: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 64 } else { 128 };
/// The number of bytes of one read: about as many as fit into the socket.
const AT_ONCE: usize = 512;

impl EventLoop {
    /// Calls `callback` each time the signal arrives, instead of the signal's default action.
    /// Several signals that arrive together may cause one call. `signal` is one of those in
    /// [`signal`](crate::signal). Unix only.
    ///
    /// `callback` runs on a worker, in a copy of the current context; its next call begins only
    /// when it has returned. A panic is reported to the exception handler. A signal has one handler
    /// in each loop: a second one replaces the first. The handler stays until it is
    /// [removed](Self::remove_signal_handler) or the loop is closed; it is also called while a loop
    /// that is ending waits for tasks and for functions in threads.
    ///
    /// A handler for `SIGINT` replaces what [`run`](crate::run) does at Ctrl-C. As soon as the
    /// handler is removed, Ctrl-C cancels main again.
    ///
    /// Any thread may call this, and several loops may have handlers for one signal: all are
    /// called. (asyncio: the main thread only.) Handlers that other code of the process has
    /// installed for the signal are called, too. If they were installed after the loop's first
    /// handler (by signal-hook, or tokio), the default action is nevertheless switched on again
    /// when the loop ends.
    ///
    /// # Examples
    ///
    /// A server that ends cleanly on `SIGTERM`:
    ///
    /// ```
    /// use selvedge::signal::SIGTERM;
    ///
    /// # selvedge::run(async {
    /// let event_loop = selvedge::get_running_loop()?;
    /// let stop = event_loop.create_future();
    /// let asked = stop.clone();
    /// event_loop.add_signal_handler(SIGTERM, move || {
    ///     // A second signal changes nothing.
    ///     let _ = asked.set_result(());
    /// })?;
    ///
    /// let server = selvedge::start_server(async |_, writer| writer.write("hello"), "127.0.0.1:0").await?;
    /// // Somewhere else: kill PID
    /// # std::process::Command::new("kill").arg(std::process::id().to_string()).status()?;
    /// stop.await?;
    /// server.close();
    /// server.wait_closed().await?;
    /// # Ok(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the number is not a signal's, if the signal cannot be caught (`SIGKILL`,
    /// `SIGSTOP`, and the program's own faults `SIGSEGV`, `SIGILL` and `SIGFPE`), or if the loop is
    /// closed; [`std::io::Error`] if the system has no descriptor or memory left.
    pub fn add_signal_handler(&self, signal: i32, callback: impl Fn() + Send + Sync + 'static) -> Result<()> {
        // If the handler is refused below, this holds its last reference.
        let last = Contained::new(Arc::new(Handler::new(callback, copy_context())));
        let handler = Arc::clone(last.get());
        check(signal)?;
        if !can_be_caught(signal) {
            return Err(RuntimeError::new(format!("sig {signal} cannot be caught")).into());
        }
        self.start_listening()?;
        let former = self.shared().signals().set(signal, handler)?;
        // Dropping the captured values runs foreign code: the lock is released before.
        silently(|| drop(former));
        Ok(())
    }

    /// Removes the loop's handler for a signal. From then on the signal does what it did before the
    /// first handler, unless another loop has a handler too; Ctrl-C cancels main of a
    /// [`run`](crate::run) of this loop. False if there was no handler.
    ///
    /// A call of the handler that has begun on another worker continues.
    ///
    /// A signal that has arrived, and whose handler has not been called yet, is dropped.
    ///
    /// A signal that had been ignored, as `nohup` does with `SIGHUP`, is ignored again. (asyncio
    /// restores the default action.) But in a child that is started afterwards the default action
    /// applies: the system still has a handler of this process installed, which a child does not
    /// inherit.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the number is not a signal's.
    pub fn remove_signal_handler(&self, signal: i32) -> Result<bool> {
        check(signal)?;
        Ok(self.shared().signals().remove(signal))
    }

    /// Starts the background coroutine, if this is the loop's first handler.
    fn start_listening(&self) -> Result<()> {
        if self.shared().signals().is_open()? {
            return Ok(());
        }
        let (far, near) = UnixStream::pair()?;
        far.set_nonblocking(true)?;
        near.set_nonblocking(true)?;
        let near = Socket::watch_on(self.scheduler(), mio::net::UnixStream::from_std(near))?;
        if self.shared().signals().try_open(far)? {
            self.run_in_background(call_handlers(Arc::clone(self.shared().signals()), near));
        }
        Ok(())
    }
}

fn check(signal: i32) -> Result<()> {
    if (1..=GREATEST).contains(&signal) { Ok(()) } else { Err(no_signal(signal)) }
}

/// Ends when the bell is dropped or the loop is closed.
async fn call_handlers(signals: Arc<Signals>, bell: Socket<mio::net::UnixStream>) {
    let read = |mut bell: &mio::net::UnixStream| bell.read(&mut [0; AT_ONCE]).map(Done::whole);
    while let Ok(1..) = bell.operation(Direction::Read, read).await {
        let mut last = 0;
        while let Some((signal, handler)) = signals.next_arrived(last) {
            handler.call(|panic| report::callback_panicked(None, panic.into()));
            last = signal;
        }
        // Other tasks get their turn even if signals arrive without a pause.
        if sleep(Duration::ZERO).await.is_err() {
            return;
        }
    }
}
