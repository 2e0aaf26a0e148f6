//! How is the client process started, and what does it print?
//!
//! It is this program again, with `--load`. It connects, warms up and prints `begin`; it measures
//! and prints `end` and its numbers; and it exits when its input ends.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

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
    /// Each connection requests `/tile`; one more requests `/healthz` at intervals.
    Tiles,
    /// Each connection sends one message, and is kept.
    KeepEcho,
    /// Each connection requests `/` once, and is kept.
    KeepHttp,
}

impl Kind {
    const ALL: [(Kind, &'static str); 5] = [
        (Kind::Echo, "echo"),
        (Kind::Http, "http"),
        (Kind::Tiles, "tiles"),
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
#[derive(Clone, Debug)]
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

/// The client process.
pub(super) struct Asking {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Load {
    pub(super) fn start(&self) -> Asking {
        let program = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(program);
        command.args(["--load", self.kind.name(), "--at", &self.at.to_string()]);
        command.args(["--connections", &self.connections.to_string()]);
        command.args(["--warm-up-ms", &self.warm_up.as_millis().to_string()]);
        command.args(["--span-ms", &self.span.as_millis().to_string()]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
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

    /// Waits until the client prints `end`, and returns its numbers.
    pub(super) fn ends(&mut self) -> Vec<f64> {
        let line = self.line();
        let numbers = line.strip_prefix("end").expect("the client failed: see what it says above");
        let number = |text: &str| text.parse().expect("the client tells numbers");
        numbers.split_whitespace().map(number).collect()
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
}
