//! How does a server come to its connections?

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::panic::Location;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as PollContext, Poll};
use std::time::Duration;

use super::given::IntoServer;
use super::link::Link;
use super::listener::{Accepted, Listener};
use super::open::Where;
use super::reader::{DEFAULT_LIMIT, StreamReader, check_limit};
use super::server::{Membership, Server, Shared};
use super::watched::{Place, Watched};
use super::writer::StreamWriter;
use crate::context::Context;
use crate::context_var::copy_context;
use crate::coroutine::Coroutine;
use crate::error::{Error, Result};
use crate::event_loop::{EventLoop, ExceptionContext, get_running_loop};
use crate::net::{DEFAULT_BACKLOG, IoDirection, ToSocketAddrs, lookup};
use crate::task::{self, current_task};
use crate::waiting::{Sleep, sleep};

/// How long a server pauses when the operating system has no descriptor for a connection: asyncio's constant.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// So many connections are accepted before others have their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// Listens for TCP connections, and runs `callback` as a task for each, with its reader and its writer.
///
/// The server listens at every address that `target` stands for. Port 0 lets the operating system choose one for each: [`Server::local_addrs`] tells.
///
/// The callback is called for each connection. So what its coroutines share goes along as a clone, as below: an `async` closure that captures (`async move |reader, writer| …`) cannot
/// be called twice, and is refused ("async closure does not implement `Fn`").
///
/// An error that the callback returns goes to the loop's exception handler ("Unhandled exception in `client_connected_cb`"), and its connection is closed. A client that vanishes is
/// no such error: if the callback fails with what its own reader or writer said of that (`ConnectionReset`, `BrokenPipe`, an
/// [`IncompleteReadError`](crate::IncompleteReadError)), that is a line on standard error in [debug mode](EventLoop::set_debug), and nothing else. The connection is closed, too,
/// when the task panics ("Task exception was never retrieved") or is cancelled. When the operating system has no more descriptors, that is reported too, and the server accepts nothing for a
/// second.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use selvedge::{open_connection, start_server};
///
/// # selvedge::run(async {
/// // What all connections share goes along as a clone.
/// let count = Arc::new(AtomicUsize::new(0));
/// let server = start_server(move |_, writer| {
///     let count = count.clone();
///     async move {
///         writer.write(format!("you are number {}\n", count.fetch_add(1, Ordering::Relaxed)))
///     }
/// }, "127.0.0.1:0").limit(1024).await?;
///
/// for number in 0..3 {
///     let (mut reader, _writer) = open_connection(&server.local_addrs()[..]).await?;
///     assert_eq!(reader.readline().await?, format!("you are number {number}\n").into_bytes());
/// }
/// server.close();
/// server.wait_closed().await
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`std::io::Error`] (`AddrInUse`, `PermissionDenied` …); [`RuntimeError`](crate::RuntimeError) outside of a loop, or for a limit of zero.
#[track_caller]
pub fn start_server<C, F>(callback: C, target: impl ToSocketAddrs) -> StartServer
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    StartServer::new(callback, Where::Inet(target.target()))
}

/// Listens at a path of the file system, or at an [abstract name](crate::net::UnixListener#abstract-names). As [`start_server`] otherwise.
///
/// As in asyncio, a socket that lies at the path makes way, and the server removes its own when it is closed.
///
/// # Examples
///
/// ```
/// use selvedge::{open_unix_connection, start_unix_server};
///
/// # selvedge::run(async {
/// let path = std::env::temp_dir().join(format!("selvedge-streams-{}", std::process::id()));
/// let server = start_unix_server(async |_, writer| writer.write("hello\n"), &path).await?;
/// let (mut reader, _writer) = open_unix_connection(&path).await?;
/// assert_eq!(reader.readline().await?, b"hello\n");
/// server.close();
/// assert!(!path.exists());
/// # Ok(())
/// # }).unwrap();
/// ```
#[cfg(unix)]
#[track_caller]
pub fn start_unix_server<C, F>(callback: C, path: impl AsRef<Path>) -> StartServer
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    StartServer::new(callback, Where::Unix(path.as_ref().into()))
}

/// Serves the connections of a [`TcpListener`](crate::net::TcpListener) or a [`UnixListener`](crate::net::UnixListener): asyncio's `start_server(sock=…)`. As
/// [`start_server`] otherwise.
///
/// For a listener that came from elsewhere (`from_std`: a service manager, a socket with options of its own), and for who wants to know the address before anybody is
/// served. The server closes it. The file of a Unix socket stays, as the server has not made it.
///
/// A listener that was made in another loop is the running one's from then on; that other loop may end.
///
/// # Examples
///
/// ```
/// use selvedge::net::TcpListener;
/// use selvedge::{open_connection, start_server_on};
///
/// # selvedge::run(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let addr = listener.local_addr()?;
/// let server = start_server_on(async |_, writer| writer.write("hello\n"), listener).limit(1024).await?;
/// assert_eq!(server.local_addrs(), [addr]);
///
/// let (mut reader, _writer) = open_connection(addr).await?;
/// assert_eq!(reader.readline().await?, b"hello\n");
/// server.close();
/// server.wait_closed().await
/// # }).unwrap();
/// ```
///
/// # Errors
///
/// [`RuntimeError`](crate::RuntimeError) outside of a loop, or for a limit of zero; [`std::io::Error`] if the loop cannot watch the listener. The listener is closed then.
#[track_caller]
pub fn start_server_on<C, F>(callback: C, listener: impl IntoServer) -> StartServer
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    StartServer::new(callback, Where::On(listener.into_listener()))
}

/// A server that starts when this is awaited. Made by [`start_server`], [`start_unix_server`] and [`start_server_on`].
#[must_use = "nothing is served unless it is awaited"]
pub struct StartServer {
    settings: Settings,
    /// Knows the callback. Its type is not in the server's, so that an unfit callback is told where it is handed in, and nowhere else.
    start: Box<dyn FnOnce(Settings) -> Starting + Send>,
}

struct Settings {
    target: Where<Listener>,
    limit: usize,
    backlog: u32,
    created_at: &'static Location<'static>,
}

impl StartServer {
    #[track_caller]
    fn new<C, F>(callback: C, target: Where<Listener>) -> StartServer
    where
        C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
        F: Coroutine<Item = ()>,
    {
        let settings = Settings {
            target,
            limit: DEFAULT_LIMIT,
            backlog: DEFAULT_BACKLOG,
            created_at: Location::caller(),
        };
        let start = Box::new(move |settings| Starting(Box::pin(start(callback, settings))));
        StartServer { settings, start }
    }

    /// The [limit](StreamReader) of the connections' readers. 64 KiB by default.
    pub fn limit(mut self, limit: usize) -> StartServer {
        self.settings.limit = limit;
        self
    }

    /// How many connections may wait to be accepted. 1,024 by default (asyncio: 100); the operating system has a bound of its own (Linux: `net.core.somaxconn`), which a larger
    /// number stands for. Clients that find no place try again only after a second. Without effect for a listener that is there already: it has its own.
    pub fn backlog(mut self, backlog: u32) -> StartServer {
        self.settings.backlog = backlog;
        self
    }
}

impl IntoFuture for StartServer {
    type Output = Result<Server>;
    type IntoFuture = Starting;

    fn into_future(self) -> Starting {
        (self.start)(self.settings)
    }
}

/// The future of [`StartServer`].
#[must_use = "futures do nothing unless awaited"]
pub struct Starting(Pin<Box<dyn Future<Output = Result<Server>> + Send>>);

impl Future for Starting {
    type Output = Result<Server>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut PollContext<'_>) -> Poll<Result<Server>> {
        self.0.as_mut().poll(cx)
    }
}

async fn start<C, F>(callback: C, settings: Settings) -> Result<Server>
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    let Settings { target, limit, backlog, created_at } = settings;
    check_limit(limit)?;
    let event_loop = get_running_loop()?;
    let listeners = match target {
        Where::Inet(target) => Listener::bind(lookup(target).await?, backlog)?,
        #[cfg(unix)]
        Where::Unix(path) => vec![Listener::bind_unix(&path, backlog)?],
        Where::On(listener) => vec![listener.move_here()?],
    };
    let count = listeners.len();
    let server = Server::of(listeners);
    let host = Arc::new(Host {
        callback,
        limit,
        created_at,
        context: copy_context(),
        event_loop: event_loop.clone(),
        shared: Arc::clone(server.shared()),
    });
    for index in 0..count {
        let mut accepting = Accepting { host: Arc::clone(&host), index, io: IoDirection::new(), pause: None };
        let mut place = Place::default();
        event_loop.run_in_background(async move { poll_fn(|cx| accepting.poll(&mut place, cx)).await });
    }
    Ok(server)
}

/// What every connection of a server has in common.
struct Host<C> {
    callback: C,
    limit: usize,
    created_at: &'static Location<'static>,
    /// Of whoever started the server. Each connection's task has a copy.
    context: Context,
    event_loop: EventLoop,
    shared: Arc<Shared>,
}

/// Accepts from one of a server's listeners until the server is closed.
struct Accepting<C> {
    host: Arc<Host<C>>,
    index: usize,
    io: IoDirection,
    pause: Option<Sleep>,
}

impl<C, F> Accepting<C>
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    fn poll(&mut self, place: &mut Place, cx: &mut PollContext<'_>) -> Poll<()> {
        if self.host.shared.poll_look(place, cx, Watched::is_closed).is_ready() {
            return Poll::Ready(());
        }
        for _ in 0..ACCEPTED_AT_ONCE {
            if let Some(pause) = &mut self.pause {
                // An error would say that the loop is closed, and so would the next accept.
                match Pin::new(pause).poll(cx) {
                    Poll::Ready(_) => self.pause = None,
                    Poll::Pending => return Poll::Pending,
                }
            }
            let Some(accepted) = self.host.shared.poll_accept(self.index, &mut self.io, cx) else {
                return Poll::Ready(());
            };
            match accepted {
                Poll::Ready(Ok(accepted)) => match self.host.serve(accepted) {
                    Ok(()) => {}
                    Err(_) if self.host.event_loop.is_closed() => return Poll::Ready(()),
                    Err(error) => self.host.report("a connection was lost as it was accepted", error),
                },
                Poll::Ready(Err(_)) if self.host.event_loop.is_closed() => return Poll::Ready(()),
                Poll::Ready(Err(error)) if is_over_already(&error) => {}
                Poll::Ready(Err(error)) => {
                    self.host.report("socket.accept() out of system resource", error);
                    self.pause = Some(sleep(ACCEPT_PAUSE));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whatever ends it, the server accepts no more. Most likely its loop is being closed; then nobody would ever answer who connects, nor wake who waits for
/// the server to be closed.
impl<C> Drop for Accepting<C> {
    fn drop(&mut self) {
        self.host.shared.close();
    }
}

/// The peer gave up before it was accepted.
fn is_over_already(error: &Error) -> bool {
    error.io_kind() == Some(std::io::ErrorKind::ConnectionAborted)
}

impl<C, F> Host<C>
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    fn serve(self: &Arc<Self>, accepted: Accepted) -> Result<()> {
        let (transport, peer) = accepted.watch()?;
        let link = Link::new(transport, peer)?;
        Membership::enter(&self.shared, &link);
        let ends = CloseUnlessWell(Some(Arc::clone(&link)));
        let reader = StreamReader::of(Arc::clone(&link), self.limit);
        let writer = StreamWriter::of(link);
        let host = Arc::clone(self);
        let conversation = async move {
            let mut ends = ends;
            match (host.callback)(reader, writer).await {
                Ok(()) => {
                    // Who reads and writes may live on elsewhere.
                    ends.0 = None;
                    Ok(())
                }
                Err(error) if error.is_cancelled() => Err(error),
                Err(error)
                    if ends.0.as_ref().is_some_and(|link| link.outgoing().with(|it| it.is_loss(&error))) =>
                {
                    host.event_loop.report_vanished(peer, &error);
                    Ok(())
                }
                Err(error) => {
                    host.report("Unhandled exception in client_connected_cb", error);
                    Ok(())
                }
            }
        };
        let builder = task::Builder::new().context(self.context.copy());
        drop(builder.spawn_on(self.event_loop.scheduler(), conversation, self.created_at));
        Ok(())
    }
}

impl<C> Host<C> {
    fn report(&self, message: &str, error: Error) {
        let mut context = ExceptionContext::new(message).with_exception(error);
        if let Some(task) = current_task() {
            context = context.with_task(task);
        }
        self.event_loop.call_exception_handler(&context);
    }
}

/// Closes the connection of a coroutine that failed, panicked or was cancelled.
struct CloseUnlessWell(Option<Arc<Link>>);

impl Drop for CloseUnlessWell {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.close();
        }
    }
}

impl fmt::Debug for StartServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartServer").field("target", &self.settings.target).finish_non_exhaustive()
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}
