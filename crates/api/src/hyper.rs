//! hyper on Selvedge (feature `hyper`): the executor and timer that hyper needs from a runtime.
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
//!     // A client that sends its request and then ends its side still waits for the answer.
//!     http.timer(selvedge::hyper::Timer).half_close(true);
//!     if let Err(error) = http.serve_connection(stream, service_fn(hello)).await {
//!         // A client that disconnects or sends garbage is not a failure of this program.
//!         if selvedge::get_running_loop()?.get_debug() {
//!             eprintln!("a connection ended early: {error}");
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Cancellation
//!
//! hyper does not know cancellation requests. If a request comes while the service waits for
//! something of this library, it arrives there as `Err(CancelledError)`, and the service may still
//! answer. Otherwise, with the connection idle or in the middle of a head or a body, the frame
//! around it drops the connection, as with every future of another crate: the task, or the
//! [`timeout`](crate::timeout()) around it, ends with its error. (An error of the socket would not
//! do that: hyper takes it for the end of the connection, which counts as a success, so the request
//! would have no effect.)
//!
//! # A server that shuts down gracefully
//!
//! It stops accepting, calls hyper's `graceful_shutdown` on each connection, and waits for the
//! connections' tasks up to a limit. One [`Future`](crate::Future) notifies all connections.
//! (`examples/tiles` is such a server, with Ctrl-C.)
//!
//! ```
//! use std::convert::Infallible;
//! use std::future::{Future, poll_fn};
//! use std::pin::{Pin, pin};
//! use std::time::Duration;
//!
//! use hyper::body::Incoming;
//! use hyper::server::conn::http1;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use selvedge::net::{TcpListener, TcpStream};
//! use selvedge::{create_task, gather, get_running_loop, sleep, wait_for};
//!
//! async fn hello(_request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello".into()))
//! }
//!
//! async fn serve(stream: TcpStream, stop: selvedge::Future<()>) -> selvedge::Result<()> {
//!     let mut http = http1::Builder::new();
//!     // A client that sends only half a request is dropped after a while; this needs the timer.
//!     http.timer(selvedge::hyper::Timer).header_read_timeout(Duration::from_secs(5)).half_close(true);
//!     let mut serving = pin!(http.serve_connection(stream, service_fn(hello)));
//!     let mut stop = Some(stop);
//!     let ended = poll_fn(|cx| {
//!         // Once: the connection then ends after the current request, or at once if there is none.
//!         if stop.as_mut().is_some_and(|stop| Pin::new(stop).poll(cx).is_ready()) {
//!             stop = None;
//!             serving.as_mut().graceful_shutdown();
//!         }
//!         serving.as_mut().poll(cx)
//!     });
//!     if let Err(error) = ended.await {
//!         if get_running_loop()?.get_debug() {
//!             eprintln!("a connection ended early: {error}");
//!         }
//!     }
//!     Ok(())
//! }
//!
//! async fn serve_all(listener: TcpListener) -> selvedge::Result<()> {
//!     let stop = get_running_loop()?.create_future::<()>();
//!     let mut connections = Vec::new();
//!     loop {
//!         match listener.accept().await {
//!             Ok((stream, _)) => connections.push(create_task(serve(stream, stop.clone()))),
//!             // Clean-up may await: requests in progress have ten seconds. Then the
//!             // cancellation is returned.
//!             Err(error) if error.is_cancelled() => {
//!                 drop(listener);
//!                 stop.set_result(())?;
//!                 let _ = wait_for(gather(connections).return_exceptions(), Duration::from_secs(10)).await;
//!                 return Err(error);
//!             }
//!             // The system may have no more descriptors.
//!             Err(_) => sleep(Duration::from_millis(100)).await?,
//!         }
//!         connections.retain(|connection| !connection.done());
//!     }
//! }
//!
//! # selvedge::run(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! let serving = create_task(serve_all(listener));
//! # let client = TcpStream::connect(address).await?;
//! # client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await?;
//! # let mut answer = [0; 1000];
//! # let n = client.read(&mut answer).await?;
//! # assert!(answer[..n].ends_with(b"hello"));
//! // … and when the server should end:
//! serving.cancel();
//! assert!(serving.await.is_err_and(|error| error.is_cancelled()));
//! # assert_eq!(client.read(&mut answer).await?, 0);
//! # Ok(())
//! # }).unwrap();
//! ```

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use selvedge_scheduler::{Moment, Timer as Armed};

use crate::task::create_task;
use crate::time;

/// Runs the futures that hyper spawns as tasks of the running loop.
///
/// A task that panics is reported to the loop's exception handler.
///
/// # Panics
///
/// Panics outside of a loop, as [`create_task`] does.
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

/// hyper's time limits, based on the running loop's timers. They follow [virtual
/// time](crate::RunnerBuilder::virtual_time).
///
/// hyper does not know cancellation requests, so its sleeps are no leaves: a cancellation reaches
/// the connection at its socket.
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
            // The sleep is changed in place: the next poll arms it again.
            Some(armed) => {
                let armed = armed.get_mut();
                (armed.deadline, armed.was_polled) = (deadline, false);
            }
            None => *sleep = Box::pin(Sleep::new(deadline)),
        }
    }
}

struct Sleep {
    deadline: Deadline,
    timer: Armed,
    /// Whether it was polled since it was given this deadline.
    was_polled: bool,
}

#[derive(Clone, Copy)]
enum Deadline {
    /// On the loop's clock.
    Loop(Moment),
    /// On the machine's clock, until a loop polls it: it was made outside of a loop.
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
        Sleep { deadline, timer: Armed::new(), was_polled: false }
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
            // Without a loop no time can pass, and hyper has no error for that, so the limit counts
            // as reached.
            return Poll::Ready(());
        };
        // hyper sets limits that lie far ahead, one for each request, so the clock is not read at
        // the first poll. A limit that has passed already ends at the next poll, which comes soon.
        let polled = if std::mem::replace(&mut this.was_polled, true) {
            this.timer.poll_at(deadline, cx)
        } else {
            this.timer.start_at(deadline, cx).map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
        };
        // An error means that the loop is closed, which is handled as above.
        polled.map(|_| ())
    }
}

impl rt::Sleep for Sleep {}
