//! hyper on Selvedge (feature `hyper`): what it wants of a runtime.
//!
//! The streams of [`net`](crate::net) implement hyper's `Read` and `Write` themselves.
//!
//! # Examples
//!
//! One connection of an HTTP server:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use selvedge::net::TcpStream;
//!
//! async fn hello(_request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello".into()))
//! }
//!
//! async fn serve(stream: TcpStream) -> selvedge::Result<()> {
//!     let mut http = http1::Builder::new();
//!     http.timer(selvedge::hyper::Timer);
//!     Ok(http.serve_connection(stream, service_fn(hello)).await?)
//! }
//! ```
//!
//! # Cancellation
//!
//! hyper cannot be told. If a request comes while the service waits for something of this library, it arrives there, as `Err(CancelledError)`, and the service may still
//! answer. Else, with the connection at rest or in the middle of a head or a body, the frame around it drops the connection, as with every future of another
//! crate: the task, or the [`timeout`](crate::timeout()) around it, ends with its error.
//!
//! For a server that ends well, stop accepting, call hyper's `graceful_shutdown` on each connection, and wait for their tasks; `examples/tiles` does it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use selvedge_scheduler::Timer as Armed;

use crate::task::create_task;
use crate::time;

/// Runs what hyper spawns as tasks of the running loop.
///
/// A task that panics is reported to the loop's exception handler.
///
/// # Panics
///
/// Where [`create_task`] does: outside of a loop.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(create_task(async move {
            future.await;
            Ok(())
        }));
    }
}

/// hyper's time limits, by the running loop's timers. In [virtual time](crate::RunnerBuilder::virtual_time) they follow that.
///
/// hyper cannot be told of a request, so its sleeps are no leaves: a cancellation reaches the connection at its socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep::new(Deadline::after(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Sleep::new(Deadline::at(deadline)))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: Instant) {
        let deadline = Deadline::at(deadline);
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            // Moved where it is: the next poll arms it anew.
            Some(armed) => armed.get_mut().deadline = deadline,
            None => *sleep = Box::pin(Sleep::new(deadline)),
        }
    }
}

struct Sleep {
    deadline: Deadline,
    timer: Armed,
}

#[derive(Clone, Copy)]
enum Deadline {
    /// By the loop's clock.
    Loop(u64),
    /// By the machine's, until a loop polls it: it was made outside of one.
    Machine(Instant),
}

impl Deadline {
    fn after(duration: Duration) -> Deadline {
        match (time::after(duration), Instant::now().checked_add(duration)) {
            (Some(deadline), _) => Deadline::Loop(deadline),
            (None, Some(instant)) => Deadline::Machine(instant),
            (None, None) => Deadline::Loop(time::NEVER),
        }
    }

    fn at(instant: Instant) -> Deadline {
        time::at(instant).map_or(Deadline::Machine(instant), Deadline::Loop)
    }
}

impl Sleep {
    fn new(deadline: Deadline) -> Sleep {
        Sleep { deadline, timer: Armed::new() }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Deadline::Machine(instant) = this.deadline {
            this.deadline = Deadline::at(instant);
        }
        let Deadline::Loop(deadline) = this.deadline else {
            // Without a loop there is no time that could pass; hyper has no error for that, so the limit counts as reached.
            return Poll::Ready(());
        };
        // An error says that the loop is closed: as above.
        this.timer.poll(deadline, cx).map(|_| ())
    }
}

impl rt::Sleep for Sleep {}
