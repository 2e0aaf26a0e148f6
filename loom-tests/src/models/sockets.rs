//! Does who waits for a socket get to know? The protocols of `io/source.rs` and of a poll that is ended from outside (`parker.rs`).

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use selvedge_scheduler::Waiter;
use selvedge_scheduler::model::{self, PollSeat, Socket};

use crate::support::{Bell, Model};

/// A worker goes to wait for sockets while somebody wakes it for something else.
pub(super) const UNPARK_VS_POLL: Model =
    Model::new("unpark_vs_poll", "a wake against a worker that goes to wait for sockets", || {
        let seat = Arc::new(PollSeat::new());
        let waits = Arc::clone(&seat);
        let worker = thread::spawn(move || while !waits.poll() {});
        seat.unpark();
        worker.join().expect("no panic");
    })
    .finds(&["poll-without-second-look"]);

/// Something comes while a reader finds nothing, clears the readiness, and goes to wait.
pub(super) const READY_VS_WAIT: Model =
    Model::new("ready_vs_wait", "data that come while a reader finds none and lies down", || {
        let socket = Arc::new(Socket::new());
        let has_data = Arc::new(AtomicBool::new(false));
        let (kernel_socket, kernel_data) = (Arc::clone(&socket), Arc::clone(&has_data));
        let kernel = thread::spawn(move || {
            // The system's own order: the data are there before it tells. The socket's lock orders the two for the reader.
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
    .finds(&["wait-without-second-look", "clear-forgets-a-change"]);
