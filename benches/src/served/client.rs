//! How do the clients send their requests?
//!
//! In a process without any runtime: one thread serves all its connections with the operating
//! system's poll, so that it uses as little as possible of the machine that it shares with the
//! server. The eight clients that wait for tiles are threads that block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

pub use super::load::{At, Kind, Load};
use crate::stats::percentile;

const MESSAGE: [u8; 64] = [b'x'; 64];
const ROOT: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const TILE: &[u8] = b"GET /tile HTTP/1.1\r\nhost: localhost\r\n\r\n";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
const BETWEEN_CHECKS: Duration = Duration::from_millis(3);
/// If an answer takes longer, the measurement fails.
const LIMIT: Duration = Duration::from_secs(20);

/// Executes `load` and prints the results.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub fn ask(load: &Load) -> io::Result<()> {
    let mut go = String::new();
    let numbers = match load.kind {
        Kind::Echo => exchanges(load, &MESSAGE)?,
        Kind::Http => exchanges(load, ROOT)?,
        Kind::Tiles => tiles(load)?,
        Kind::KeepEcho | Kind::KeepHttp => {
            let question = if load.kind == Kind::KeepHttp { ROOT } else { &MESSAGE };
            Connection::open(&load.at)?.first(question)?;
            println!("begin");
            io::stdin().read_line(&mut go)?;
            let mut kept = Vec::with_capacity(load.connections);
            for _ in 0..load.connections {
                let mut connection = Connection::open(&load.at)?;
                connection.first(question)?;
                kept.push(connection);
            }
            println!("end");
            io::stdin().read_line(&mut go)?;
            return Ok(());
        }
    };
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    println!("end {}", numbers.join(" "));
    io::stdin().read_line(&mut go)?;
    Ok(())
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

/// Each connection sends a new request as soon as the last one is answered. Returns answers per
/// second.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn exchanges(load: &Load, question: &[u8]) -> io::Result<Vec<f64>> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(load.connections);
    for index in 0..load.connections {
        let mut connection = Connection::open(&load.at)?;
        connection.first(question)?;
        rustix::io::ioctl_fionbio(&connection.file, true)?;
        let fd = connection.file.as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
        connections.push(connection);
    }
    for connection in &mut connections {
        connection.send(question)?;
    }
    let mut events = Events::with_capacity(1024);
    let mut room = vec![0; 64 * 1024];
    let mut run = |span: Duration| {
        let began = Instant::now();
        let mut answers = 0_u64;
        while began.elapsed() < span {
            poll.poll(&mut events, Some(LIMIT))?;
            assert!(!events.is_empty(), "the server has stopped answering");
            for event in &events {
                let connection = &mut connections[event.token().0];
                if connection.receive(&mut room)? {
                    answers += 1;
                    connection.send(question)?;
                }
            }
        }
        io::Result::Ok(answers as f64 / began.elapsed().as_secs_f64())
    };
    run(load.warm_up)?;
    println!("begin");
    Ok(vec![run(load.span)?])
}

/// Returns tiles per second, and the p50 and p99 of concurrent `/healthz` requests in milliseconds.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
fn tiles(load: &Load) -> io::Result<Vec<f64>> {
    let warm = Instant::now() + load.warm_up;
    let end = warm + load.span;
    let tiles = AtomicU64::new(0);
    let client = || {
        let mut connection = Connection::open(&load.at)?;
        connection.first(TILE)?;
        let mut room = Vec::new();
        while Instant::now() < end {
            connection.again(TILE, &mut room)?;
            if (warm..end).contains(&Instant::now()) {
                // Relaxed: the threads are joined before the count is read.
                tiles.fetch_add(1, Ordering::Relaxed);
            }
        }
        io::Result::Ok(())
    };
    let health = || {
        let mut connection = Connection::open(&load.at)?;
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
        io::Result::Ok(waits)
    };
    let waits = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..load.connections).map(|_| scope.spawn(client)).collect();
        let health = scope.spawn(health);
        std::thread::sleep(warm.saturating_duration_since(Instant::now()));
        println!("begin");
        for client in clients {
            client.join().expect("no client panics")?;
        }
        health.join().expect("no client panics")
    })?;
    let rate = tiles.into_inner() as f64 / load.span.as_secs_f64();
    Ok(vec![rate, percentile(&waits, 0.5), percentile(&waits, 0.99)])
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
