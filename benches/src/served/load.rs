//! How is the client process started, and what does it print?
//!
//! It is this program again, with `--load`. It connects, warms up and prints `begin`; it measures
//! and prints `end`; it waits for the answers that are still due and prints its numbers; and it
//! exits when its input ends.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use crate::process::{cpu_time, threads};

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A port.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Tcp(addr) => write!(f, "tcp:{addr}"),
            At::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<At, String> {
        let wrong = || format!("`{text}` is neither tcp:ADDRESS nor unix:PATH");
        match text.split_once(':') {
            Some(("tcp", addr)) => addr.parse().map(At::Tcp).map_err(|_| wrong()),
            Some(("unix", path)) => Ok(At::Unix(path.into())),
            _ => Err(wrong()),
        }
    }
}

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each connection sends a message and waits until it has come back.
    Echo,
    /// Each connection requests `/`.
    Http,
    /// The same, and one more connection requests `/healthz` at intervals.
    HttpAndHealth,
    /// Each connection requests `/tile`; one more requests `/healthz` at intervals.
    Tiles,
    /// Half of the connections request `/short`, the others `/tile`; one more requests `/healthz`
    /// at intervals.
    Mixed,
    /// Each connection sends one message, and is kept.
    KeepEcho,
    /// Each connection requests `/` once, and is kept.
    KeepHttp,
}

impl Kind {
    const ALL: [(Kind, &'static str); 7] = [
        (Kind::Echo, "echo"),
        (Kind::Http, "http"),
        (Kind::HttpAndHealth, "http-and-health"),
        (Kind::Tiles, "tiles"),
        (Kind::Mixed, "mixed"),
        (Kind::KeepEcho, "keep-echo"),
        (Kind::KeepHttp, "keep-http"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _)| *kind == self).expect("all of them are there").1
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text);
        found.map(|(kind, _)| kind).ok_or_else(|| format!("nobody asks for `{text}`"))
    }
}

/// The work of the client process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The kind of request.
    pub kind: Kind,
    /// The address of the server.
    pub at: At,
    /// The number of connections.
    pub connections: usize,
    /// The time before the measurement begins.
    pub warm_up: Duration,
    /// The time that is measured.
    pub span: Duration,
}

/// What the client and its server have measured.
pub(crate) struct Seen {
    /// For each kind of request: answers per second, and their p50 and p99 in milliseconds. Then,
    /// where it was requested, the p50, p99 and maximum of `/healthz` in milliseconds.
    pub(crate) numbers: Vec<f64>,
    /// The CPU time of this process, which serves, during the span.
    pub(crate) cpu: Duration,
    /// The threads of this process. `None` where the operating system does not say.
    pub(crate) threads: Option<usize>,
}

/// The client process.
pub(super) struct Asking {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Load {
    /// The work that the command line gives this process, if it is a client.
    pub fn from_env() -> Result<Option<Load>, lexopt::Error> {
        Self::parse(lexopt::Parser::from_env())
    }

    fn parse(mut arguments: lexopt::Parser) -> Result<Option<Load>, lexopt::Error> {
        use lexopt::prelude::*;

        if arguments.next()? != Some(Long("load")) {
            return Ok(None);
        }
        let kind = arguments.value()?.parse()?;
        let (mut at, mut connections) = (None, 1);
        let (mut warm_up, mut span) = (Duration::ZERO, Duration::ZERO);
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("at") => at = Some(arguments.value()?.parse()?),
                Long("connections") => connections = arguments.value()?.parse()?,
                Long("warm-up-ms") => warm_up = Duration::from_millis(arguments.value()?.parse()?),
                Long("span-ms") => span = Duration::from_millis(arguments.value()?.parse()?),
                _ => return Err(argument.unexpected()),
            }
        }
        let at = at.ok_or("--load needs --at")?;
        Ok(Some(Load { kind, at, connections, warm_up, span }))
    }

    fn arguments(&self) -> Vec<String> {
        let (at, connections) = (self.at.to_string(), self.connections.to_string());
        let [warm_up, span] = [self.warm_up, self.span].map(|time| time.as_millis().to_string());
        [
            ["--load", self.kind.name()],
            ["--at", &at],
            ["--connections", &connections],
            ["--warm-up-ms", &warm_up],
            ["--span-ms", &span],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
    }

    /// Starts the client, and waits until it has measured and its connections are closed.
    pub(crate) fn run(&self) -> Seen {
        let mut asking = self.start();
        asking.begins();
        let before = cpu_time();
        // Some runtimes start threads when they are needed, and end them later.
        std::thread::sleep(self.span / 2);
        let midway = threads();
        asking.ends();
        let cpu = cpu_time().saturating_sub(before);
        let threads = midway.max(threads());
        let numbers = asking.numbers();
        asking.leave();
        Seen { numbers, cpu, threads }
    }

    pub(super) fn start(&self) -> Asking {
        let program = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(program);
        let piped = command.args(self.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("the OS grants a process");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Asking { child, input, output }
    }
}

impl Asking {
    /// Waits until the client prints `begin`.
    pub(super) fn begins(&mut self) {
        assert_eq!(self.line(), "begin", "the client failed: see what it says above");
    }

    /// Sends the command to open the connections that will be kept.
    pub(super) fn go_on(&mut self) {
        self.input.write_all(b"go\n").expect("the client listens");
    }

    /// Waits until the client prints `end`.
    pub(super) fn ends(&mut self) {
        assert_eq!(self.line(), "end", "the client failed: see what it says above");
    }

    /// Waits until the client prints its numbers.
    fn numbers(&mut self) -> Vec<f64> {
        let number = |text: &str| text.parse().expect("the client tells numbers");
        self.line().split_whitespace().map(number).collect()
    }

    /// Closes the client's input, and waits until the client has exited.
    pub(super) fn leave(self) {
        let Asking { mut child, input, .. } = self;
        drop(input);
        let status = child.wait().expect("it is our child");
        assert!(status.success(), "the client failed: {status}");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the client prints text");
        line.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_kinds_are_read_as_they_are_written() {
        for at in [At::Tcp(([127, 0, 0, 1], 80).into()), At::Unix("/tmp/a:b".into())] {
            assert_eq!(at.to_string().parse(), Ok(at));
        }
        for (kind, _) in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("udp:1".parse::<At>().is_err());
        assert!("".parse::<Kind>().is_err());
    }

    #[test]
    fn the_client_reads_what_the_server_writes() {
        let (at, span) = (At::Unix("/tmp/a b".into()), Duration::from_millis(1500));
        let load = Load { kind: Kind::Mixed, at, connections: 16, warm_up: span / 3, span };
        let read = Load::parse(lexopt::Parser::from_args(load.arguments())).unwrap();
        assert_eq!(read, Some(load));
        let other = ["--rows", "x"];
        assert_eq!(Load::parse(lexopt::Parser::from_args(other)).unwrap(), None);
    }
}
