//! How does the server treat clients, bad clients, and a request to stop?

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

#[cfg(unix)]
use rustix::process::Signal;

use crate::client::Client;
use crate::serving::Serving;

/// A limit for operations that should take milliseconds.
const NET: Duration = Duration::from_secs(30);

/// A tile inside the set at the deepest level, which takes longest.
const SLOW_TILE: &str = "/tile/40/687194767360/549755813888.png";

fn get(serving: &Serving, path: &str) -> (u16, String) {
    let answer = Client::connect(serving.addr).unwrap().get(path).unwrap();
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

fn series(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[test]
fn each_route_answers() {
    let serving = Serving::start(&[]);
    let mut client = Client::connect(serving.addr).unwrap();
    let tile = client.get("/tile/1/0/1.png").unwrap();
    assert_eq!(tile.status, 200);
    assert!(tile.body.starts_with(b"\x89PNG"));
    assert_eq!(get(&serving, "/healthz"), (200, "ok\n".to_owned()));
    assert!(get(&serving, "/").1.contains("id=\"map\""));
    assert!(get(&serving, "/dashboard").1.contains("id=\"workers\""));
    let (status, metrics) = get(&serving, "/metrics");
    assert_eq!(status, 200);
    assert_eq!(series(&metrics, "tiles_requests_total{route=\"tile\",status=\"2xx\"}"), 1);
    assert_eq!(series(&metrics, "tiles_requests_total{route=\"page\",status=\"2xx\"}"), 2);
    assert_eq!(series(&metrics, "tiles_request_duration_seconds_count{route=\"healthz\"}"), 1);
    assert!(series(&metrics, "selvedge_worker_polls_total{worker=\"0\"}") > 0);
}

#[test]
fn a_wrong_question_is_answered_with_a_sentence() {
    let serving = Serving::start(&[]);
    let (status, sentence) = get(&serving, "/tile/3/8/0.png");
    assert_eq!(status, 400);
    assert_eq!(sentence, "at zoom level 3, x is a whole number from 0 to 7, not '8'\n");
    assert_eq!(get(&serving, "/tile/3/..%2f/0.png").0, 400);
    assert_eq!(get(&serving, "/nothing").0, 404);
    let mut client = Client::connect(serving.addr).unwrap();
    client.send("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").unwrap();
    assert_eq!(client.answer().unwrap().status, 405);
}

/// Data that are not HTTP get the status 400 and the connection ends; a proper client beside it is
/// not affected.
#[test]
fn malformed_requests_end_their_own_connection() {
    let serving = Serving::start(&[]);
    let mut good = Client::connect(serving.addr).unwrap();
    assert_eq!(good.get("/healthz").unwrap().status, 200);
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20));
    for nonsense in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long] {
        let mut stream = TcpStream::connect(serving.addr).unwrap();
        stream.set_read_timeout(Some(NET)).unwrap();
        // The server may have ended the connection before everything is sent.
        let _ = stream.write_all(nonsense.as_bytes());
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer)),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
    assert_eq!(good.get("/healthz").unwrap().status, 200);
    assert!(series(&get(&serving, "/metrics").1, "tiles_connections_failed_total") >= 4);
}

/// A client that sends its head one byte at a time is cut off when its time is over, although it
/// keeps the connection busy.
#[test]
fn a_slow_head_is_not_waited_for() {
    let serving = Serving::start(&["--header-timeout", "0.5"]);
    let began = Instant::now();
    let mut slow = TcpStream::connect(serving.addr).unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 256];
    let mut good = Client::connect(serving.addr).unwrap();
    for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
        assert!(began.elapsed() < NET, "it still waits");
        assert_eq!(good.get("/healthz").unwrap().status, 200, "others are served");
        if slow.write_all(&[*byte]).is_err() {
            break;
        }
        match slow.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => assert!(buffer.starts_with(b"HTTP/1.1 408") || buffer.starts_with(b"HTTP/1.1 4")),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    assert!(began.elapsed() >= Duration::from_millis(500), "it was cut off before its time");
}

#[test]
fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_tiles")).args(["--listen", &addr]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("{addr} is in use by another program")), "{said}");
    assert!(said.contains("--listen 127.0.0.1:0"), "{said}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_lets_requests_finish() {
    requests_finish_after(Signal::INT);
}

#[cfg(unix)]
#[test]
fn sigterm_lets_requests_finish() {
    requests_finish_after(Signal::TERM);
}

/// A client that has requested a slow tile `times` times, while the first one is being painted, and
/// an idle client.
#[cfg(unix)]
fn painting(serving: &Serving, times: usize) -> (Client, Client) {
    let mut resting = Client::connect(serving.addr).unwrap();
    assert_eq!(resting.get("/healthz").unwrap().status, 200);
    let alive = |resting: &mut Client| {
        let answer = resting.get("/metrics").unwrap();
        series(&String::from_utf8(answer.body).unwrap(), "selvedge_tasks_alive")
    };
    let before = alive(&mut resting);
    let mut asking = Client::connect(serving.addr).unwrap();
    asking.send(&format!("GET {SLOW_TILE} HTTP/1.1\r\nhost: localhost\r\n\r\n").repeat(times)).unwrap();
    let began = Instant::now();
    // The connection's task, and the task that paints.
    while alive(&mut resting) < before + 2 {
        assert!(began.elapsed() < NET, "the tile was never begun");
    }
    (asking, resting)
}

/// The tile that is being painted is finished and sent, and the idle connection is ended. Then the
/// program ends successfully.
#[cfg(unix)]
fn requests_finish_after(signal: Signal) {
    let serving = Serving::start(&[]);
    let (mut asking, mut resting) = painting(&serving, 1);
    serving.send(signal);
    let tile = asking.answer().unwrap();
    assert_eq!(tile.status, 200);
    assert!(tile.body.starts_with(b"\x89PNG"));
    assert!(resting.answer().is_err(), "the connection is ended");
    let (status, said) = serving.wait();
    assert_eq!(status.code(), Some(0));
    assert!(said.starts_with("tiles: stopped after "), "{said}");
}

/// A signal before the first client ends the program successfully.
#[cfg(unix)]
#[test]
fn a_signal_before_the_first_client_is_a_good_end() {
    for signal in [Signal::INT, Signal::TERM] {
        let serving = Serving::start(&[]);
        serving.send(signal);
        let (status, said) = serving.wait();
        assert_eq!(status.code(), Some(0));
        assert_eq!(said, "tiles: stopped after 0 requests\n");
    }
}

/// A client that closes its sending side after its request gets its response, even if that takes a
/// while.
#[test]
fn a_client_that_half_closes_is_answered() {
    let serving = Serving::start(&[]);
    for path in ["/healthz", SLOW_TILE] {
        let mut stream = TcpStream::connect(serving.addr).unwrap();
        stream.set_read_timeout(Some(NET)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{path}: {}", String::from_utf8_lossy(&answer));
    }
}

/// The server does not wait for a client that never finishes its request.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_requests_that_have_not_come() {
    let serving = Serving::start(&["--header-timeout", "3600"]);
    let mut endless = Client::connect(serving.addr).unwrap();
    assert_eq!(endless.get("/healthz").unwrap().status, 200);
    endless.send("GET / HTTP/1.1\r\nx: ").unwrap();
    serving.interrupt();
    assert_eq!(serving.wait().0.code(), Some(0));
}

/// A second signal ends the program without waiting. The exit status is the one that a shell gives
/// for the signal.
#[cfg(unix)]
#[test]
fn a_second_signal_ends_requests_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let serving = Serving::start(&[]);
        let (_asking, mut resting) = painting(&serving, 100);
        serving.send(signal);
        assert!(resting.answer().is_err(), "the connection is ended");
        serving.send(signal);
        assert_eq!(serving.wait().0.code(), Some(code));
    }
}

/// The server waits for a client that requests megabytes and reads none of them for exactly the
/// announced time.
#[cfg(unix)]
#[test]
fn ctrl_c_waits_no_longer_than_it_says() {
    let serving = Serving::start(&[]);
    let mut deaf = Client::connect(serving.addr).unwrap();
    deaf.send(&"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2500)).unwrap();
    let mut beside = Client::connect(serving.addr).unwrap();
    let mut answered = || {
        let answer = beside.get("/metrics").unwrap();
        let metrics = String::from_utf8(answer.body).unwrap();
        series(&metrics, "tiles_requests_total{route=\"page\",status=\"2xx\"}")
    };
    // When the buffers are full, no more responses are sent.
    let (mut before, mut unchanged) = (0, 0);
    while unchanged < 200 {
        let now = answered();
        unchanged = if now == before && now > 0 { unchanged + 1 } else { 0 };
        before = now;
    }
    assert!(before < 2500, "all answers found room: the client is not deaf enough");
    let began = Instant::now();
    serving.interrupt();
    assert_eq!(serving.wait().0.code(), Some(0));
    let took = began.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(15)).contains(&took), "it took {took:?}");
}

#[test]
fn the_demo_measures_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    // In a debug build, the picture alone takes some seconds.
    let output = Command::new(env!("CARGO_BIN_EXE_tiles"))
        .args(["demo", "--seconds", "8", "--clients", "4", "--out"])
        .arg(folder.path().join("new"))
        .output()
        .unwrap();
    let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{problems}");
    for row in ["tiles ", "/healthz "] {
        let line = said.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("{said}"));
        assert!(line.contains("p99"), "{line}");
    }
    let read = |name: &str| std::fs::read(folder.path().join("new").join(name)).unwrap();
    assert!(read("latency.svg").starts_with(b"<svg"));
    assert!(read("picture.png").starts_with(b"\x89PNG"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tiles"))
        .args(["demo", "--seconds", "3600", "--out"])
        .arg(file.join("below"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("below: "));
}
