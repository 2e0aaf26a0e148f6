//! Which options does the command line give?

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Serves the Mandelbrot set as tiles over HTTP, computed on every core.

Usage: tiles [serve] [OPTIONS]
       tiles demo [OPTIONS]

serve: a map at /, a dashboard at /dashboard, /healthz, /metrics (Prometheus),
       tiles at /tile/ZOOM/X/Y.png. Ctrl-C and SIGTERM
       let requests finish, and stop.
  --listen ADDRESS     where (default: 127.0.0.1:8080; port 0: one that is free)
  --header-timeout S   seconds that a client may take to send a request's head
                       (default: 10)

demo:  serves on a free port, asks for tiles and /healthz at the same time, and
       prints how many came and how soon.
  --seconds N          how long (default: 10)
  --clients N          how many ask for tiles at the same time (default: 8)
  --out FOLDER         where latency.svg and picture.png go (default: target/demo)

  --workers N          worker threads, at least 1 (default: one per core)
  -h, --help           this text
  -V, --version        the version

Exit status: 0 done; 1 it did not work; 2 the command line makes no sense; 130 Ctrl-C in the
demo, or a second one while requests finish; 143 a second SIGTERM.
";

/// A patient person can type a request in this time; a browser needs milliseconds.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const LONGEST: f64 = 3600.0;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    Serve(Serve),
    Demo(Demo),
    Help,
    Version,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Serve {
    pub(crate) listen: SocketAddr,
    pub(crate) header_timeout: Duration,
    pub(crate) workers: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Demo {
    pub(crate) span: Duration,
    pub(crate) clients: usize,
    pub(crate) out: PathBuf,
    pub(crate) header_timeout: Duration,
    pub(crate) workers: usize,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// A message for the user: an option that does not exist, a value that makes no sense.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    use lexopt::prelude::{Long, Short, Value};

    let mut serve = Serve {
        listen: ([127, 0, 0, 1], 8080).into(),
        header_timeout: HEADER_TIMEOUT,
        workers: num_cpus::get(),
    };
    let mut span = Duration::from_secs(10);
    let (mut clients, mut out) = (8, PathBuf::from("target/demo"));
    let mut is_demo = None;
    let mut only_for = None;

    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Value(what) if what == "serve" && is_demo.is_none() => is_demo = Some(false),
            Value(what) if what == "demo" && is_demo.is_none() => is_demo = Some(true),
            Long("workers") => serve.workers = number(&mut parser, "--workers")?,
            Long("listen") => {
                serve.listen = listen(&mut parser)?;
                only_for = Some((false, "--listen"));
            }
            Long("header-timeout") => {
                serve.header_timeout = seconds(&mut parser, "--header-timeout")?;
                only_for = Some((false, "--header-timeout"));
            }
            Long("seconds") => {
                span = seconds(&mut parser, "--seconds")?;
                only_for = Some((true, "--seconds"));
            }
            Long("clients") => {
                clients = number(&mut parser, "--clients")?;
                only_for = Some((true, "--clients"));
            }
            Long("out") => {
                out = parser.value().map_err(|error| error.to_string())?.into();
                only_for = Some((true, "--out"));
            }
            unknown => return Err(unknown.unexpected().to_string()),
        }
    }
    let is_demo = is_demo.unwrap_or(false);
    if let Some((_, option)) = only_for.filter(|(for_demo, _)| *for_demo != is_demo) {
        let (which, other) = if is_demo { ("demo", "serve") } else { ("serve", "demo") };
        return Err(format!("{option} belongs to `tiles {other}`, not to `tiles {which}`"));
    }
    Ok(if is_demo {
        let Serve { header_timeout, workers, .. } = serve;
        Command::Demo(Demo { span, clients, out, header_timeout, workers })
    } else {
        Command::Serve(serve)
    })
}

fn number(parser: &mut lexopt::Parser, option: &str) -> Result<usize, String> {
    let text = text(parser)?;
    let number: Option<usize> = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("{option} takes a whole number of at least 1, not '{text}'"))
}

fn seconds(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, String> {
    let text = text(parser)?;
    let seconds: Option<f64> = text.parse().ok().filter(|&seconds| seconds > 0.0 && seconds <= LONGEST);
    let seconds = seconds.map(Duration::from_secs_f64);
    seconds.ok_or_else(|| format!("{option} takes a number of seconds, up to {LONGEST}, not '{text}'"))
}

fn listen(parser: &mut lexopt::Parser) -> Result<SocketAddr, String> {
    let text = text(parser)?;
    text.parse().map_err(|_| {
        format!("--listen takes an address and a port, as in 127.0.0.1:8080 or [::1]:8080, not '{text}'")
    })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    Ok(parser.value().map_err(|error| error.to_string())?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Command, String> {
        parse(line.iter().map(OsString::from))
    }

    #[test]
    fn an_empty_line_serves() {
        let serve = Serve {
            listen: "127.0.0.1:8080".parse().unwrap(),
            header_timeout: HEADER_TIMEOUT,
            workers: num_cpus::get(),
        };
        assert_eq!(parsed(&[]), Ok(Command::Serve(serve.clone())));
        assert_eq!(parsed(&["serve"]), Ok(Command::Serve(serve)));
    }

    #[test]
    fn options_may_come_before_what_they_belong_to() {
        let Ok(Command::Demo(demo)) = parsed(&["--seconds", "0.5", "demo", "--clients=3", "--out", "x"])
        else {
            panic!("refused")
        };
        let expected = (Duration::from_millis(500), 3, PathBuf::from("x"));
        assert_eq!((demo.span, demo.clients, demo.out), expected);
    }

    #[test]
    fn nonsense_is_named_in_the_message() {
        for (line, culprit) in [
            (&["--workers", "0"][..], "--workers takes a whole number of at least 1, not '0'"),
            (&["--listen", "8080"], "127.0.0.1:8080"),
            (&["demo", "--seconds", "-1"], "--seconds takes a number of seconds, up to 3600, not '-1'"),
            (&["demo", "--seconds", "NaN"], "NaN"),
            (&["demo", "--seconds", "inf"], "inf"),
            (&["demo", "--listen", "127.0.0.1:1"], "--listen belongs to `tiles serve`"),
            (&["serve", "--out", "x"], "--out belongs to `tiles demo`"),
            (&["serve", "demo"], "demo"),
            (&["--frobnicate"], "--frobnicate"),
        ] {
            let message = parsed(line).expect_err("nonsense was accepted");
            assert!(message.contains(culprit), "{line:?}: {message}");
        }
    }
}
