//! Is a task that waits for a socket woken? The protocols of `io/source.rs`, and of a poll that is
//! ended from outside (`parker.rs`).

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use selvedge_scheduler::Waiter;
use selvedge_scheduler::model::{self, PollSeat, Socket};

use crate::support::{Bell, Model};

/// A worker goes to wait for sockets while another thread wakes it for a different reason.
pub(super) const UNPARK_VS_POLL: Model =
    Model::new("unpark_vs_poll", "a wake against a worker that goes to wait for sockets", || {
        let seat = Arc::new(PollSeat::new());
        let waits = Arc::clone(&seat);
        let worker = thread::spawn(move || while !waits.poll() {});
        seat.unpark();
        worker.join().expect("no panic");
    })
    .finds(&["poll-without-second-look"]);

/// Data come while a reader finds none, clears the readiness, and goes to wait.
pub(super) const READY_VS_WAIT: Model =
    Model::new("ready_vs_wait", "data that come while a reader finds none and lies down", || {
        let socket = Arc::new(Socket::new());
        let has_data = Arc::new(AtomicBool::new(false));
        let (kernel_socket, kernel_data) = (Arc::clone(&socket), Arc::clone(&has_data));
        let kernel = thread::spawn(move || {
            // The kernel's own order: the data are there before it reports readiness. The readiness
            // word orders the two for the reader.
            kernel_data.store(true, Ordering::Relaxed);
            kernel_socket.becomes_ready();
        });
        let waker = Waker::from(Bell::here());
        let mut cx = Context::from_waker(&waker);
        let mut waiter = Waiter::new();
        loop {
            match socket.poll_ready(&mut waiter, &mut cx) {
                Poll::Ready(_) if has_data.load(Ordering::Relaxed) => break,
                Poll::Ready(ready) => socket.clear(ready),
                Poll::Pending => model::park(),
            }
        }
        kernel.join().expect("no panic");
    })
    .finds(&["wait-without-second-look", "clear-forgets-a-change", "look-relaxed"]);

/// Data come while a reader that tries the system call itself finds none, and goes to wait for a
/// change.
pub(super) const CHANGE_VS_WAIT: Model =
    Model::new("change_vs_wait", "data that come while somebody asks for them and lies down", || {
        let socket = Arc::new(Socket::new());
        let has_data = Arc::new(AtomicBool::new(false));
        let (kernel_socket, kernel_data) = (Arc::clone(&socket), Arc::clone(&has_data));
        let kernel = thread::spawn(move || {
            kernel_data.store(true, Ordering::Relaxed);
            kernel_socket.becomes_ready();
        });
        let waker = Waker::from(Bell::here());
        let mut cx = Context::from_waker(&waker);
        let mut waiter = Waiter::new();
        loop {
            let since = socket.changes();
            if has_data.load(Ordering::Relaxed) {
                break;
            }
            if socket.poll_changed(since, &mut waiter, &mut cx).is_pending() {
                model::park();
            }
        }
        socket.forget(&mut waiter);
        kernel.join().expect("no panic");
    })
    .finds(&["wait-without-second-look", "look-relaxed"]);

/// A reader suspends and then gives up, while data come and another reader finds none left. The
/// socket must not keep the first reader's waker.
pub(super) const FORGET_VS_READY: Model =
    Model::new("forget_vs_ready", "a wait that is given up while data come and go", || {
        let socket = Arc::new(Socket::new());
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(nobody_has_tried) = socket.poll_ready(&mut Waiter::new(), &mut cx) {
            socket.clear(nobody_has_tried);
        }
        let others = Arc::clone(&socket);
        let others = thread::spawn(move || {
            others.becomes_ready();
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(ready) = others.poll_ready(&mut Waiter::new(), &mut cx) {
                others.clear(ready);
            }
        });
        let bell = Bell::silent();
        let waker = Waker::from(Arc::clone(&bell));
        let mut waiter = Waiter::new();
        let _ = socket.poll_ready(&mut waiter, &mut Context::from_waker(&waker));
        socket.forget(&mut waiter);
        others.join().expect("no panic");
        drop(waker);
        assert_eq!(Arc::strong_count(&bell), 1, "the socket keeps the waker of one who waits no longer");
    })
    .finds(&["place-from-before-the-lock"]);
