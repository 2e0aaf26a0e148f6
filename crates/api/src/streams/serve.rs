//! How does a server start, accept connections and run their coroutines?

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

/// How long a server pauses when the operating system has no descriptor for a connection. asyncio
/// uses the same time.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How many connections are accepted before other tasks get their turn.
const ACCEPTED_AT_ONCE: usize = 64;

/// Listens for TCP connections, and for each runs `callback` as a task with its reader and its
/// writer.
///
/// The server listens at every address that `target` stands for. With port 0 the operating system
/// chooses a port for each: [`Server::local_addrs`] returns them.
///
/// The callback is called once for each connection. Its coroutines share values through clones, as
/// below: an `async` closure that captures (`async move |reader, writer| …`) cannot be called
/// twice, and is refused ("async closure does not implement `Fn`").
///
/// An error that the callback returns goes to the loop's exception handler ("Unhandled exception in
/// `client_connected_cb`"), and its connection is closed. A client that disconnects does not count
/// as an error: if the callback fails with its own reader's or writer's error about that
/// (`ConnectionReset`, `BrokenPipe`, an [`IncompleteReadError`](crate::IncompleteReadError)), the
/// only effect is a line on standard error in [debug mode](EventLoop::set_debug). The connection is
/// closed, too, when the task panics ("Task exception was never retrieved") or is cancelled. When
/// the operating system has no more descriptors, the exception handler gets a report, and the
/// server accepts nothing for a second.
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
/// // All connections share this through clones.
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
/// [`std::io::Error`] (`AddrInUse`, `PermissionDenied` …); [`RuntimeError`](crate::RuntimeError)
/// outside of a loop, or for a limit of zero.
#[track_caller]
pub fn start_server<C, F>(callback: C, target: impl ToSocketAddrs) -> StartServer
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    StartServer::new(callback, Where::Inet(target.target()))
}

/// Listens at a path of the file system, or at an [abstract
/// name](crate::net::UnixListener#abstract-names). Otherwise as [`start_server`].
///
/// As in asyncio, an existing socket at the path is removed first, and the server removes its own
/// socket when it is closed.
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

/// Serves the connections of a [`TcpListener`](crate::net::TcpListener) or a
/// [`UnixListener`](crate::net::UnixListener): asyncio's `start_server(sock=…)`. Otherwise as
/// [`start_server`].
///
/// For a listener that was made elsewhere (`from_std`: by a service manager, or with options of its
/// own), and for programs that need the address before the first connection is served. The server
/// closes the listener. The file of a Unix socket stays, because the server has not created it.
///
/// A listener that was made in another loop belongs to the running loop from then on; the other
/// loop may end.
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
/// [`RuntimeError`](crate::RuntimeError) outside of a loop, or for a limit of zero;
/// [`std::io::Error`] if the loop cannot watch the listener. In these cases the listener is closed.
#[track_caller]
pub fn start_server_on<C, F>(callback: C, listener: impl IntoServer) -> StartServer
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Coroutine<Item = ()>,
{
    StartServer::new(callback, Where::On(listener.into_listener()))
}

/// A server that starts when this is awaited. Made by [`start_server`], [`start_unix_server`] and
/// [`start_server_on`].
#[must_use = "nothing is served unless it is awaited"]
pub struct StartServer {
    settings: Settings,
    /// Contains the callback. Its type is not part of the server's type, so that the compiler
    /// reports an unsuitable callback where it is passed in, and only there.
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

    /// How many connections may wait to be accepted. 1,024 by default (asyncio: 100). The operating
    /// system has a limit of its own (Linux: `net.core.somaxconn`), which replaces a larger number.
    /// When the queue is full, clients try again only after a second. Without effect for an
    /// existing listener: it has a limit already.
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

/// What all connections of a server share.
struct Host<C> {
    callback: C,
    limit: usize,
    created_at: &'static Location<'static>,
    /// The context in which the server was started. Each connection's task gets a copy.
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
                // An error means that the loop is closed; the next accept fails for the same
                // reason.
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

/// Closes the server when this ends for any reason. The most likely reason is that its loop is
/// being closed. Otherwise connections would be accepted by the system and never answered, and a
/// task that waits for the server to be closed would never be woken.
impl<C> Drop for Accepting<C> {
    fn drop(&mut self) {
        self.host.shared.close();
    }
}

/// The peer gave up before its connection was accepted.
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
                    // The reader and the writer may have been moved elsewhere, where they are still
                    // in use.
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
