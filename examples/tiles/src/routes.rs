//! What is the response to a request?

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use selvedge::{Result, Task, create_task, get_running_loop};

use crate::counts::{Counts, Route};
use crate::exposition::{self, exposition};
use crate::paint::paint;
use crate::tile::Tile;

pub(crate) type Answer = Response<Full<Bytes>>;

const MAP: &str = include_str!("web/map.html");
const DASHBOARD: &str = include_str!("web/dashboard.html");

const THERE_IS: &str = "there is /, /dashboard, /healthz, /metrics and /tile/ZOOM/X/Y.png";

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PNG: &str = "image/png";
/// The tiles never change.
const FOR_A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");
const NOT_AT_ALL: HeaderValue = HeaderValue::from_static("no-store");

/// Returns the response, and the kind of the request.
pub(crate) async fn answer(request: &Request<Incoming>, counts: &Counts) -> Result<(Route, Answer)> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = complaint(StatusCode::METHOD_NOT_ALLOWED, "everything here is to be read: use GET");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok((Route::Other, refusal));
    }
    Ok(match request.uri().path() {
        "/" => (Route::Page, page(HTML, MAP)),
        "/dashboard" => (Route::Page, page(HTML, DASHBOARD)),
        "/healthz" => (Route::Healthz, page(TEXT, "ok\n")),
        "/metrics" => {
            let text = exposition(counts, &get_running_loop()?.metrics());
            (Route::Metrics, with_type(exposition::CONTENT_TYPE, text, NOT_AT_ALL))
        }
        path => {
            if let Some(tile) = path.strip_prefix("/tile/") {
                (Route::Tile, tile_at(tile).await?)
            } else {
                (Route::Other, complaint(StatusCode::NOT_FOUND, THERE_IS))
            }
        }
    })
}

async fn tile_at(path: &str) -> Result<Answer> {
    let tile = match Tile::parse(path) {
        Ok(tile) => tile,
        Err(sentence) => return Ok(complaint(StatusCode::BAD_REQUEST, &sentence)),
    };
    // The tile is painted in a task of its own. The scheduler learns that tasks of this kind are
    // cpu-bound, and keeps them apart from the tasks that serve clients.
    let mut painting = Wanted(create_task(async move { Ok(paint(tile)?) }));
    let file = (&mut painting.0).await?;
    Ok(with_type(PNG, file, FOR_A_DAY))
}

/// A task that is cancelled when its result is no longer needed. hyper drops the response to a
/// client that has disconnected, and then a tile that has not been begun is not painted.
struct Wanted<T: Send + 'static>(Task<T>);

impl<T: Send + 'static> Drop for Wanted<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn page(kind: &'static str, text: &'static str) -> Answer {
    with_type(kind, Bytes::from_static(text.as_bytes()), NOT_AT_ALL)
}

fn complaint(status: StatusCode, sentence: &str) -> Answer {
    let mut answer = with_type(TEXT, format!("{sentence}\n"), NOT_AT_ALL);
    *answer.status_mut() = status;
    answer
}

fn with_type(kind: &'static str, body: impl Into<Bytes>, cache: HeaderValue) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer.headers_mut().insert(CACHE_CONTROL, cache);
    answer
}
