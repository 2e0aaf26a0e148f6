//! How are echo and HTTP served?
//!
//! With one function each, generic over the runtime.

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

use super::load::At;
use super::network::{Http, Listener, Network, Stream};
use super::tiles::{Sizes, Tiles};
use crate::rival::{Outside, Rival, Spawner};

/// The size of a tile with an average amount of detail.
const TILE_BYTES: usize = 16 * 1024;
/// How long the connections may take to end after their clients have disconnected.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that accepts until it is stopped.
pub(crate) struct Serving {
    pub(crate) at: At,
    stop: Sender<()>,
    connections: Arc<AtomicUsize>,
}

impl Serving {
    /// Waits until the connections have ended, and accepts no more. The clients must have
    /// disconnected before.
    pub(crate) fn stop(self) {
        let began = Instant::now();
        // Relaxed, here and below: the count publishes nothing.
        while self.connections.load(Ordering::Relaxed) > 0 {
            assert!(began.elapsed() < PATIENCE, "a connection did not end when its client was gone");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.stop.close();
    }
}

/// Echoes over TCP.
pub(super) fn echo_tcp<R: Network>(runtime: &R) -> Serving {
    let (listener, addr) = runtime.outside().call(R::listen_tcp()).expect("the loopback has free ports");
    serve(runtime, listener, At::Tcp(addr), echo)
}

/// Echoes over Unix sockets.
pub(super) fn echo_unix<R: Network>(runtime: &R, path: PathBuf) -> Serving {
    let listening = R::listen_unix(path.clone());
    let listener = runtime.outside().call(listening).expect("a fresh folder can be bound in");
    serve(runtime, listener, At::Unix(path), echo)
}

/// Serves HTTP: `/` and `/healthz`, and `/tile` and `/short`, which compute.
pub(crate) fn http<R: Http>(runtime: &R, tiles: impl Tiles, sizes: Sizes) -> Serving {
    let (listener, addr) = runtime.outside().call(R::listen_tcp()).expect("the loopback has free ports");
    serve(runtime, listener, At::Tcp(addr), move |stream, open| {
        connection::<R, _>(stream, open, tiles.clone(), sizes)
    })
}

fn serve<R: Rival, L: Listener, F>(
    runtime: &R,
    listener: L,
    at: At,
    each: impl Fn(L::Stream, Open) -> F + Send + Sync + 'static,
) -> Serving
where
    F: Future<Output = ()> + Send + 'static,
{
    let (stop, stopped) = async_channel::bounded(1);
    let connections = Arc::new(AtomicUsize::new(0));
    let accepting = accept(runtime.spawner(), listener, stopped, Arc::clone(&connections), each);
    runtime.outside().detach(accepting);
    Serving { at, stop, connections }
}

async fn accept<L: Listener, F>(
    spawner: impl Spawner,
    listener: L,
    stopped: Receiver<()>,
    connections: Arc<AtomicUsize>,
    each: impl Fn(L::Stream, Open) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let stop = async {
            // An error means that the sender was closed, which is the signal to stop.
            let _ = stopped.recv().await;
            None
        };
        // The stop signal is polled first: a runtime that cancels its tasks at its end does so
        // after the signal.
        let next = futures_lite::future::or(stop, async { Some(listener.accept().await) }).await;
        let Some(stream) = next else { return };
        let stream = stream.expect("the clients keep within what the system grants");
        spawner.detach(each(stream, Open::count(&connections)));
    }
}

/// Counts a connection as open while its task has this value.
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    fn count(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn echo(mut stream: impl Stream, _open: Open) {
    let mut buffer = vec![0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn connection<R: Http, T: Tiles>(
    stream: <R::Tcp as Listener>::Stream,
    _open: Open,
    tiles: T,
    sizes: Sizes,
) {
    let service = service_fn(move |request| answer(request, tiles.clone(), sizes));
    let serving = http1::Builder::new().timer(R::timer()).serve_connection(R::io(stream), service);
    // A client that disconnects causes an error of its connection, which is not a failure of the
    // server.
    let _ = serving.await;
}

async fn answer(
    request: Request<Incoming>,
    tiles: impl Tiles,
    sizes: Sizes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = match request.uri().path() {
        "/" => Bytes::from_static(b"Hello, world!"),
        "/healthz" => Bytes::from_static(b"ok"),
        path @ ("/tile" | "/short") => {
            tiles.compute(if path == "/tile" { sizes.tile } else { sizes.short }).await;
            Bytes::from_static(&[0; TILE_BYTES])
        }
        _ => {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(Full::new(body)))
}
