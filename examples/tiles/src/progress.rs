//! How far is the demo? A bar on a terminal, or a line now and then when stderr is not a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::crowd::Crowd;

const BAR_EVERY: Duration = Duration::from_millis(100);
/// Short enough to show that the program is alive, long enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(2);
const TEMPLATE: &str = "{wide_bar} {msg}";

/// Shows the progress of the clients, until it is cancelled.
pub(crate) async fn show(crowd: &Crowd, span: Duration) -> selvedge::Result<()> {
    let began = Instant::now();
    if !io::stderr().is_terminal() {
        loop {
            selvedge::sleep(LINE_EVERY).await?;
            let (so_far, all) = (began.elapsed().min(span).as_secs_f64(), span.as_secs_f64());
            // A log that cannot be written must not stop the program.
            let _ = writeln!(io::stderr(), "tiles: {so_far:.0} of {all:.0} s, {} tiles", crowd.tiles());
        }
    }
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(millis(span)), ProgressDrawTarget::stderr());
    // The template is a constant of this file. A mistake in it shows as indicatif's default style.
    bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        bar.set_position(millis(began.elapsed()).min(millis(span)));
        bar.set_message(format!("{} tiles", crowd.tiles()));
        if let Err(cancelled) = selvedge::sleep(BAR_EVERY).await {
            bar.finish_and_clear();
            return Err(cancelled);
        }
    }
}
