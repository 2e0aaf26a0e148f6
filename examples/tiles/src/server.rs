//! How are connections accepted, and how do they end?
//!
//! When the server is cancelled, as it is by Ctrl-C and by `SIGTERM`, it accepts no more
//! connections, and each connection ends with the request that is under way. Connections that have
//! not ended after [`DRAINING`] are cancelled.
//!
//! A connection is a task, and so is each tile (`routes.rs`): the scheduler learns that tiles are
//! cpu-bound, and keeps connections light.

use std::future::{Future as _, poll_fn};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use selvedge::net::{TcpListener, TcpStream};
use selvedge::{Error, Future, Result, Task, create_task, get_running_loop};

use crate::cli::Serve;
use crate::counts::Counts;
use crate::routes::{self, Answer};

/// How long requests under way may take to end when the server stops: longer than any tile takes,
/// and short enough for a person who waits.
const DRAINING: Duration = Duration::from_secs(5);
/// The pause when the system has no more descriptors: some may be freed meanwhile.
const NO_DESCRIPTORS: Duration = Duration::from_millis(100);
/// Tasks of ended connections are removed when the list has this many entries, or twice as many as
/// remained the last time.
const FORGET_FROM: usize = 64;
/// Larger than any browser sends.
const LARGEST_HEAD: usize = 16 * 1024;

/// Serves until it is cancelled. Returns the final message.
pub(crate) async fn serve(options: Serve) -> Result<String> {
    let listener = bind(options.listen)?;
    let addr = listener.local_addr()?;
    #[cfg(unix)]
    cancel_at_sigterm()?;
    // For the process that started this program, which may read the port from it.
    writeln!(
        io::stdout(),
        "tiles: http://{addr}/ is the map, http://{addr}/dashboard the dashboard; Ctrl-C stops"
    )?;
    let server = Server::new(options.header_timeout)?;
    let counts = server.counts();
    server.run(listener).await?;
    Ok(format!("tiles: stopped after {} requests\n", counts.requests()))
}

/// The message of the cancellation that `SIGTERM` causes.
pub(crate) const BY_SIGTERM: &str = "SIGTERM";

/// Cancels the main task at `SIGTERM`, which service managers and containers send, as `run` does at
/// Ctrl-C.
#[cfg(unix)]
fn cancel_at_sigterm() -> Result<()> {
    let main = selvedge::current_task().expect("it serves in a task");
    get_running_loop()?.add_signal_handler(selvedge::signal::SIGTERM, move || {
        main.cancel_with(BY_SIGTERM);
    })
}

/// Listens on `addr`. The error message says what to do.
pub(crate) fn bind(addr: SocketAddr) -> Result<StdListener> {
    StdListener::bind(addr).map_err(|error| {
        let port = addr.port();
        Error::msg(match error.kind() {
            ErrorKind::AddrInUse => format!(
                "{addr} is in use by another program: stop that one, or choose another port \
                 (--listen {}:0 takes one that is free)",
                addr.ip()
            ),
            ErrorKind::PermissionDenied => format!(
                "this user may not listen on port {port}: choose one above 1023, as in --listen {}:8080",
                addr.ip()
            ),
            ErrorKind::AddrNotAvailable => format!(
                "{} is not an address of this machine: --listen 127.0.0.1:{port} serves this machine alone, \
                 --listen 0.0.0.0:{port} everybody",
                addr.ip()
            ),
            _ => format!("cannot listen on {addr}: {error}"),
        })
    })
}

pub(crate) struct Server {
    counts: Arc<Counts>,
    http: http1::Builder,
    /// Gets its result when the server stops.
    stopping: Future<()>,
}

impl Server {
    pub(crate) fn new(header_timeout: Duration) -> Result<Server> {
        let mut http = http1::Builder::new();
        http.timer(selvedge::hyper::Timer).header_read_timeout(header_timeout).max_buf_size(LARGEST_HEAD);
        // A client may close its sending side after its request and still wait for the response.
        http.half_close(true);
        let stopping = get_running_loop()?.create_future();
        Ok(Server { counts: Arc::default(), http, stopping })
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Serves until it is cancelled, and then until the connections have ended, for at most
    /// [`DRAINING`].
    pub(crate) async fn run(&self, listener: StdListener) -> Result<()> {
        let mut connections = Vec::new();
        let ended = self.accept(TcpListener::from_std(listener)?, &mut connections).await;
        // The future is already done if the loop is shutting down.
        let _ = self.stopping.set_result(());
        // `wait` rejects an empty list, as asyncio's does.
        let left = if connections.is_empty() {
            Vec::new()
        } else {
            selvedge::wait(connections).timeout(DRAINING).await?.1
        };
        if !left.is_empty() {
            let _ =
                writeln!(io::stderr(), "tiles: connections cut off that did not end in time: {}", left.len());
        }
        for connection in &left {
            connection.cancel();
        }
        if ended.is_cancelled() { Ok(()) } else { Err(ended) }
    }

    /// Accepts connections until an error that is not temporary, and returns that error.
    async fn accept(&self, listener: TcpListener, connections: &mut Vec<Task<()>>) -> Error {
        let mut forget_at = FORGET_FROM;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => connections.push(create_task(self.connection(stream))),
                Err(error) if error.is_cancelled() => return error,
                // The client has disconnected already, so there is nothing to do.
                Err(error) if error.io_kind() == Some(ErrorKind::ConnectionAborted) => {}
                // There are no more descriptors. The next connection may succeed.
                Err(error) => {
                    let _ = writeln!(io::stderr(), "tiles: a connection could not be accepted: {error}");
                    if let Err(error) = selvedge::sleep(NO_DESCRIPTORS).await {
                        return error;
                    }
                }
            }
            if connections.len() >= forget_at {
                connections.retain(|connection| !connection.done());
                forget_at = (2 * connections.len()).max(FORGET_FROM);
            }
        }
    }

    /// One connection, from its first request to its last.
    fn connection(
        &self,
        stream: TcpStream,
    ) -> impl std::future::Future<Output = Result<()>> + Send + 'static {
        let counts = self.counts();
        let service = service_fn(move |request| {
            let counts = Arc::clone(&counts);
            async move {
                let began = Instant::now();
                let (route, answer) = routes::answer(&request, &counts).await?;
                counts.answered(route, answer.status().as_u16(), began.elapsed());
                Result::<Answer>::Ok(answer)
            }
        });
        let serving = self.http.serve_connection(stream, service);
        let mut stopping = Some(self.stopping.clone());
        let open = Open::count(self.counts());
        async move {
            let mut serving = pin!(serving);
            let ended = poll_fn(|cx| {
                if stopping.as_mut().is_some_and(|told| Pin::new(told).poll(cx).is_ready()) {
                    stopping = None;
                    serving.as_mut().graceful_shutdown();
                }
                serving.as_mut().poll(cx)
            });
            // An error on a connection (malformed, too slow, disconnected) ends the connection and
            // is counted. hyper has sent a response where that makes sense.
            open.end(ended.await.is_err());
            Ok(())
        }
    }
}

/// Counts a connection as open until it has ended in any way.
struct Open {
    counts: Arc<Counts>,
    failed: bool,
}

impl Open {
    fn count(counts: Arc<Counts>) -> Open {
        counts.connected();
        Open { counts, failed: true }
    }

    fn end(mut self, failed: bool) {
        self.failed = failed;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.disconnected(self.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_comes_with_what_to_do() {
        let taken = StdListener::bind("127.0.0.1:0").unwrap();
        let message = bind(taken.local_addr().unwrap()).unwrap_err().to_string();
        assert!(message.contains("is in use by another program: stop that one"), "{message}");
        assert!(message.contains("--listen 127.0.0.1:0"), "{message}");
        // An address that is reserved for documentation.
        let message = bind("192.0.2.1:8080".parse().unwrap()).unwrap_err().to_string();
        assert!(message.contains("not an address of this machine"), "{message}");
    }
}
