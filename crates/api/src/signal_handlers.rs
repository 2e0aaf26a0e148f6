//! What does the loop do when a signal arrives?
//!
//! ```text
//! the signal handler                                  a coroutine in the background
//! 1. raises the flag of each loop's handler           1. reads what has been sent
//! 2. sends a byte to each of these loops              2. takes down the flags, and calls the handlers of those that were up
//! ```
//!
//! So a flag that the second step misses has a byte behind it that is still to be read. The coroutine starts with the loop's first handler and lasts as long as
//! the loop; to add and to remove changes only a table (`signal/table.rs`), and what is registered for the process (`signal/default_action.rs`).

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

/// The greatest number that a signal has. Which of those below are signals the system says when one is to be caught.
const GREATEST: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 64 } else { 128 };
/// Bytes that are read at once: about as many as the socket has room for.
const AT_ONCE: usize = 512;

impl EventLoop {
    /// Calls `callback` each time the signal arrives, instead of what the signal does by default; several that arrive together may count as one. `signal` is one of
    /// those in [`signal`](crate::signal). Unix only.
    ///
    /// It is called on a worker, in a copy of the current context, and not again before it has returned. A panic is reported to the exception handler. A signal has one
    /// handler in each loop: a second one replaces the first. It stays until it is [removed](Self::remove_signal_handler) or the loop is closed;
    /// it is called also while the loop's end waits for tasks and for functions in threads.
    ///
    /// A handler for `SIGINT` takes the place of what [`run`](crate::run) does at Ctrl-C, which cancels main again as soon as the handler is removed.
    ///
    /// Any thread may call this, and several loops may have handlers for one signal: all are called. (asyncio: the main thread only.) What other code
    /// of the process has installed for the signal goes on being called, too. If that came after the loop's first handler (by signal-hook, or tokio), the default action
    /// comes back with the loop's end all the same.
    ///
    /// # Examples
    ///
    /// A server that ends well when it is asked to:
    ///
    /// ```
    /// use selvedge::signal::SIGTERM;
    ///
    /// # selvedge::run(async {
    /// let event_loop = selvedge::get_running_loop()?;
    /// let stop = event_loop.create_future();
    /// let asked = stop.clone();
    /// event_loop.add_signal_handler(SIGTERM, move || {
    ///     // Whoever asks twice has been heard.
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
    /// [`RuntimeError`] if the number is no signal's, if the signal cannot be caught (`SIGKILL`, `SIGSTOP`, and the program's own faults
    /// `SIGSEGV`, `SIGILL` and `SIGFPE`), or if the loop is closed; [`std::io::Error`] if the system has no descriptor or memory left.
    pub fn add_signal_handler(&self, signal: i32, callback: impl Fn() + Send + Sync + 'static) -> Result<()> {
        // Where it is refused, this is the last reference.
        let last = Contained::new(Arc::new(Handler::new(callback, copy_context())));
        let handler = Arc::clone(last.get());
        check(signal)?;
        if !can_be_caught(signal) {
            return Err(RuntimeError::new(format!("sig {signal} cannot be caught")).into());
        }
        self.hear_signals()?;
        let former = self.shared().signals().set(signal, handler)?;
        // What it captured may do anything when it is dropped: the lock is released.
        silently(|| drop(former));
        Ok(())
    }

    /// Takes the loop's handler for a signal away. From then on the signal does what it did before the first handler, unless another loop has one, too; at Ctrl-C
    /// a [`run`](crate::run) of this loop cancels main. False if there was no handler.
    ///
    /// On another worker the handler may be in a call that has begun.
    ///
    /// A signal that has arrived, and whose handler has not been called yet, goes to nobody.
    ///
    /// A signal that had been ignored, as `nohup` has it for `SIGHUP`, is ignored again. (asyncio: it does what it does by default.) But in a child that is
    /// started afterwards it does what it does by default: the system still has a handler of ours, which a child does not inherit.
    ///
    /// # Errors
    ///
    /// [`RuntimeError`] if the number is no signal's.
    pub fn remove_signal_handler(&self, signal: i32) -> Result<bool> {
        check(signal)?;
        Ok(self.shared().signals().remove(signal))
    }

    /// Starts the coroutine, if this is the loop's first handler.
    fn hear_signals(&self) -> Result<()> {
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

/// Ends when the bell is gone, or the loop.
async fn call_handlers(signals: Arc<Signals>, bell: Socket<mio::net::UnixStream>) {
    let read = |mut bell: &mio::net::UnixStream| bell.read(&mut [0; AT_ONCE]).map(Done::whole);
    while let Ok(1..) = bell.operation(Direction::Read, read).await {
        let mut last = 0;
        while let Some((signal, handler)) = signals.next_arrived(last) {
            handler.call(|panic| report::callback_panicked(None, panic.into()));
            last = signal;
        }
        // Signals that come one after the other all the time keep nobody else waiting.
        if sleep(Duration::ZERO).await.is_err() {
            return;
        }
    }
}
