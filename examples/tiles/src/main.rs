//! `tiles`: how does Selvedge do as a server that computes? Mandelbrot tiles over HTTP, with hyper,
//! a map in the browser, metrics and a dashboard.
//!
//! | file | question |
//! |---|---|
//! | `cli` | Which options does the command line give? |
//! | `server` | How are connections accepted, and how do they end? |
//! | `routes` | What is the response to a request? |
//! | `tile` | Which part of the plane is a tile? |
//! | `paint` | What does a tile look like? |
//! | `counts` | How many requests were there, and how long did they take? |
//! | `exposition` | How are the counts written in Prometheus' text format? |
//! | `demo` | What happens in `tiles demo`? |
//! | `crowd` | Which clients request tiles in the demo, where there is no browser? |
//! | `client` | How does a client send HTTP requests? |
//! | `progress` | How far is the demo? |
//! | `latency` | How are many latencies summed up in a few numbers? |
//! | `plot` | How are latencies drawn? |

#![forbid(unsafe_code)]

mod cli;
mod client;
mod counts;
mod crowd;
mod demo;
mod exposition;
mod latency;
mod paint;
mod plot;
mod progress;
mod routes;
mod server;
mod tile;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use cli::Command;

/// The server could not be started, or the demo failed.
const EXIT_FAILED: u8 = 1;
/// The command line is invalid.
const EXIT_USAGE: u8 = 2;
/// The status that a shell reports for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;
/// The same for `SIGTERM`.
const EXIT_TERMINATED: u8 = 143;
/// The extra time, after the connections had their time to end, before the program exits.
const AFTER_DRAINING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let command = match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            complain(&format!("{message} (`tiles --help` shows what there is)"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let ended = match command {
        Command::Help => return print(cli::HELP),
        Command::Version => return print(concat!("tiles ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Serve(options) => run(options.workers, server::serve(options)),
        Command::Demo(options) => run(options.workers, demo::demo(options)),
    };
    match ended {
        Ok(text) => print(&text),
        Err(error) if is_by_sigterm(&error) => ExitCode::from(EXIT_TERMINATED),
        Err(error) if error.is_cancelled() || error.is::<selvedge::KeyboardInterrupt>() => {
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn is_by_sigterm(error: &selvedge::Error) -> bool {
    let cancelled = error.downcast_ref::<selvedge::CancelledError>();
    cancelled.is_some_and(|cancelled| cancelled.message() == Some(server::BY_SIGTERM))
}

fn run(
    workers: usize,
    main: impl Future<Output = selvedge::Result<String>> + Send + 'static,
) -> selvedge::Result<String> {
    selvedge::Runner::builder().workers(workers).shutdown_timeout(AFTER_DRAINING).run(main)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        // A reader that closes the pipe early (`tiles --help | head`) is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(EXIT_FAILED),
        _ => ExitCode::SUCCESS,
    }
}

fn complain(message: &str) {
    // If stderr is closed, the exit status still reports the failure.
    let _ = writeln!(io::stderr(), "tiles: {message}");
}
