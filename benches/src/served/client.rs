//! How do the clients send their requests?
//!
//! In a process without any runtime: one thread serves all its connections with the operating
//! system's poll, so that it uses as little as possible of the machine that it shares with the
//! server. A second thread, which blocks, requests `/healthz`, where that is measured.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

pub use super::load::{At, Kind, Load};
use crate::stats::percentile;

const MESSAGE: [u8; 64] = [b'x'; 64];
const ROOT: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const TILE: &[u8] = b"GET /tile HTTP/1.1\r\nhost: localhost\r\n\r\n";
const SHORT: &[u8] = b"GET /short HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const BETWEEN_CHECKS: Duration = Duration::from_millis(5);
/// If an answer takes longer, the measurement fails.
const LIMIT: Duration = Duration::from_secs(20);

/// Executes `load` and prints the results.
pub fn ask(load: &Load) -> io::Result<()> {
    match load.kind {
        Kind::Echo => tell(&exchanges(load, &[&MESSAGE], false)?),
        Kind::Http => tell(&exchanges(load, &[ROOT], false)?),
        Kind::HttpAndHealth => tell(&exchanges(load, &[ROOT], true)?),
        Kind::Tiles => tell(&exchanges(load, &[TILE], true)?),
        Kind::Mixed => tell(&exchanges(load, &[SHORT, TILE], true)?),
        Kind::KeepEcho => keep(load, &MESSAGE),
        Kind::KeepHttp => keep(load, ROOT),
    }
}

#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn tell(numbers: &[f64]) -> io::Result<()> {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    println!("{}", numbers.join(" "));
    wait_for_parent()
}

/// Returns when the parent has sent a line, or has closed its end.
fn wait_for_parent() -> io::Result<()> {
    io::stdin().read_line(&mut String::new()).map(drop)
}

/// Opens connections, when it is told to, and keeps them until the parent has measured.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn keep(load: &Load, question: &[u8]) -> io::Result<()> {
    Connection::open(&load.at)?.first(question)?;
    println!("begin");
    wait_for_parent()?;
    let mut kept = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let mut connection = Connection::open(&load.at)?;
        connection.first(question)?;
        kept.push(connection);
    }
    println!("end");
    wait_for_parent()
}

/// A connection of any kind: a file to read and write.
struct Connection {
    file: File,
    /// The length of each answer.
    answer: usize,
    received: usize,
}

impl Connection {
    fn open(at: &At) -> io::Result<Self> {
        let socket: OwnedFd = match at {
            At::Tcp(addr) => {
                let stream = TcpStream::connect(addr)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.into()
            }
            At::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.into()
            }
        };
        Ok(Self { file: socket.into(), answer: 0, received: 0 })
    }

    /// Sends a request, waits for the answer, and learns its length. All answers to the same
    /// request have the same length.
    fn first(&mut self, question: &[u8]) -> io::Result<()> {
        self.file.write_all(question)?;
        let mut answer = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            match self.file.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => answer.extend_from_slice(&chunk[..n]),
            }
            if let Some(length) = whole_length(&answer, question)
                && answer.len() >= length
            {
                self.answer = length;
                return Ok(());
            }
        }
    }

    /// Sends a request and waits for the answer. Call [`first`](Self::first) before.
    fn again(&mut self, question: &[u8], room: &mut Vec<u8>) -> io::Result<()> {
        self.file.write_all(question)?;
        room.resize(self.answer, 0);
        self.file.read_exact(room)
    }

    /// Sends without waiting. Requests are so short that they fit into the socket's buffer.
    fn send(&mut self, question: &[u8]) -> io::Result<()> {
        self.file.write_all(question)
    }

    /// Receives the available bytes. Returns whether the answer is complete.
    fn receive(&mut self, room: &mut [u8]) -> io::Result<bool> {
        match self.file.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => self.received += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.received < self.answer {
            return Ok(false);
        }
        assert_eq!(self.received, self.answer, "an answer is longer than the first one was");
        self.received = 0;
        Ok(true)
    }
}

/// The length of an answer that begins with these bytes. An echo is as long as its request.
fn whole_length(answer: &[u8], question: &[u8]) -> Option<usize> {
    if question == MESSAGE {
        return Some(MESSAGE.len());
    }
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).expect("hyper writes ASCII");
    assert!(text.starts_with("HTTP/1.1 200 "), "the server answers {text}");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.expect("the server says how long it is").parse().expect("in digits");
    Some(head + length)
}

/// Connections that each send a new request as soon as the last one is answered.
struct Crowd {
    poll: Poll,
    events: Events,
    room: Vec<u8>,
    clients: Vec<Client>,
    /// How many requests have no answer yet.
    due: usize,
    /// For each question, the time from each request to its answer, in milliseconds.
    waits: Vec<Vec<f64>>,
}

struct Client {
    connection: Connection,
    /// Which of the questions it asks.
    which: usize,
    question: &'static [u8],
    sent: Instant,
}

impl Crowd {
    /// Opens the connections; the questions are dealt out to them in turn. Sends nothing that
    /// counts.
    fn open(load: &Load, questions: &[&'static [u8]]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(load.connections);
        for index in 0..load.connections {
            let which = index % questions.len();
            let question = questions[which];
            let mut connection = Connection::open(&load.at)?;
            connection.first(question)?;
            rustix::io::ioctl_fionbio(&connection.file, true)?;
            let fd = connection.file.as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
            clients.push(Client { connection, which, question, sent: Instant::now() });
        }
        let events = Events::with_capacity(1024);
        let waits = vec![Vec::new(); questions.len()];
        Ok(Self { poll, events, room: vec![0; 64 * 1024], clients, due: 0, waits })
    }

    /// Each connection sends its first request.
    fn start(&mut self) -> io::Result<()> {
        for each in &mut self.clients {
            each.sent = Instant::now();
            each.connection.send(each.question)?;
        }
        self.due = self.clients.len();
        Ok(())
    }

    /// Receives answers, and sends again, until `end`. Returns how long that took, in seconds.
    fn run(&mut self, end: Instant) -> io::Result<f64> {
        let began = Instant::now();
        self.waits.iter_mut().for_each(Vec::clear);
        while Instant::now() < end {
            self.turn(true)?;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// For each question, the answers per second, and the p50 and p99 of their waits.
    fn numbers(&self, seconds: f64) -> Vec<f64> {
        let numbers = |waits: &Vec<f64>| {
            [waits.len() as f64 / seconds, percentile(waits, 0.5), percentile(waits, 0.99)]
        };
        self.waits.iter().flat_map(numbers).collect()
    }

    /// Receives the answers that are still due, so that the server has nothing left to do.
    fn drain(&mut self) -> io::Result<()> {
        while self.due > 0 {
            self.turn(false)?;
        }
        Ok(())
    }

    fn turn(&mut self, again: bool) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(LIMIT))?;
        assert!(!self.events.is_empty(), "the server has stopped answering");
        for event in &self.events {
            let Client { connection, which, question, sent } = &mut self.clients[event.token().0];
            if !connection.receive(&mut self.room)? {
                continue;
            }
            let now = Instant::now();
            self.waits[*which].push((now - *sent).as_secs_f64() * 1e3);
            if again {
                *sent = now;
                connection.send(question)?;
            } else {
                self.due -= 1;
            }
        }
        Ok(())
    }
}

/// Measures as long as `load` says; returns the numbers of [`Seen`](super::load::Seen).
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn exchanges(load: &Load, questions: &[&'static [u8]], and_health: bool) -> io::Result<Vec<f64>> {
    let mut crowd = Crowd::open(load, questions)?;
    let warm = Instant::now() + load.warm_up;
    let end = warm + load.span;
    std::thread::scope(|scope| {
        let health = and_health.then(|| scope.spawn(|| check_health(&load.at, warm, end)));
        crowd.start()?;
        crowd.run(warm)?;
        println!("begin");
        let seconds = crowd.run(end)?;
        println!("end");
        let mut numbers = crowd.numbers(seconds);
        crowd.drain()?;
        if let Some(health) = health {
            let waits = health.join().expect("no client panics")?;
            numbers.extend([0.5, 0.99, 1.0].map(|share| percentile(&waits, share)));
        }
        Ok(numbers)
    })
}

/// Requests `/healthz` at intervals, and returns the waits of those after `warm` in milliseconds.
fn check_health(at: &At, warm: Instant, end: Instant) -> io::Result<Vec<f64>> {
    let mut connection = Connection::open(at)?;
    connection.first(HEALTH)?;
    let mut room = Vec::new();
    let mut waits = Vec::new();
    while Instant::now() < end {
        std::thread::sleep(BETWEEN_CHECKS);
        let began = Instant::now();
        connection.again(HEALTH, &mut room)?;
        if began >= warm {
            waits.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_its_head_says() {
        assert_eq!(whole_length(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", ROOT), None);
        assert_eq!(whole_length(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", ROOT), Some(43));
        assert_eq!(whole_length(b"x", &MESSAGE), Some(MESSAGE.len()));
    }
}
