//! What happens in `tiles demo`?
//!
//! The server runs as in `tiles serve`, in the same loop, while a thread runs many clients that
//! send requests. At the end the server is cancelled, as it is by Ctrl-C, and ends in the same way.

use std::fmt::Write;
use std::fs;
use std::sync::Arc;

use selvedge::{Error, Result, create_task, get_running_loop, to_thread};

use crate::cli::Demo;
use crate::crowd::{Crowd, Seen, picture_pixels};
use crate::paint::{decode, encode};
use crate::plot::plot;
use crate::server::{Server, bind};
use crate::tile::SIDE;
use crate::{crowd, progress};

/// Serves, sends the requests, and returns the results.
pub(crate) async fn demo(options: Demo) -> Result<String> {
    let Demo { span, clients, out, header_timeout, workers } = options;
    // Before the work, so that a user does not wait ten seconds for the error that the result
    // cannot be saved.
    fs::create_dir_all(&out).map_err(|error| Error::msg(format!("{}: {error}", out.display())))?;
    let listener = bind(([127, 0, 0, 1], 0).into())?;
    let addr = listener.local_addr()?;
    let server = Server::new(header_timeout)?;
    let server = create_task(async move { server.run(listener).await }).named("server");

    let crowd = Arc::new(Crowd::default());
    let shown = Arc::clone(&crowd);
    let showing = create_task(async move { progress::show(&shown, span).await });
    let asked = Arc::clone(&crowd);
    let seen = to_thread(move || asked.ask(addr, clients, span)).await;
    // If the await was cancelled, the thread still sends requests.
    crowd.stop();
    showing.cancel();
    let standbys_lent = get_running_loop()?.metrics().standbys_lent;
    server.cancel();
    server.await?;
    let seen = seen??;

    let mut text = report(&seen, workers, clients, standbys_lent);
    for (name, file) in [("latency.svg", Some(plot(&seen).into_bytes())), ("picture.png", picture(&seen)?)] {
        let path = out.join(name);
        let at = path.display();
        if let Some(file) = file {
            fs::write(&path, file).map_err(|error| Error::msg(format!("{at}: {error}")))?;
            let _ = writeln!(text, "{at} written");
        } else {
            let _ = writeln!(text, "{at}: not written, there was no time for all of its tiles");
        }
    }
    Ok(text)
}

fn report(seen: &Seen, workers: usize, clients: usize, standbys_lent: u64) -> String {
    let seconds = seen.elapsed.as_secs_f64();
    let mut text = String::new();
    #[allow(clippy::cast_precision_loss, reason = "a count of requests")]
    let mut row = |name: &str, latencies: &crate::latency::Latencies| {
        let (count, rate) = (latencies.len(), latencies.len() as f64 / seconds);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<9} {count:>6} requests  {rate:>7.1}/s   {latencies}");
    };
    row("tiles", &seen.tiles);
    row("/healthz", &seen.healthz);
    let worker = if workers == 1 { "worker" } else { "workers" };
    let _ = writeln!(
        text,
        "{seconds:.1} s, {workers} {worker}, {clients} clients for tiles; standbys lent: {standbys_lent}"
    );
    text
}

/// The tiles of the picture, joined into one image.
fn picture(seen: &Seen) -> Result<Option<Vec<u8>>> {
    if seen.picture.is_empty() {
        return Ok(None);
    }
    let width = crowd::picture_pixels() as usize;
    let side = SIDE as usize;
    let mut pixels = vec![0; width * width];
    for (tile, file) in &seen.picture {
        let (left, top) = (tile.x as usize * side, tile.y as usize * side);
        for (row, line) in decode(file)?.chunks(side).enumerate() {
            let start = (top + row) * width + left;
            pixels[start..start + side].copy_from_slice(line);
        }
    }
    Ok(Some(encode(picture_pixels(), picture_pixels(), &pixels)?))
}
