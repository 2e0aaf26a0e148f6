//! Do sockets and streams keep their promises about arrival, cancellation and errors? All tests run
//! on loopback.

mod backpressure;
mod basics;
mod cancellation;
mod crowds;
mod ends;
mod exhaustion;
mod eyeballs;
mod faults;
mod given;
mod loops;
mod readiness;
mod serving;
mod stuck;
mod transfers;
mod worth_another_try;

use std::future::Future;
use std::process::Command;

use selvedge::streams::{Server, StreamReader, StreamWriter};
use selvedge::{Result, open_connection, start_server};

/// A server on loopback, and a connection to it.
async fn served<C, F>(callback: C) -> Result<(Server, StreamReader, StreamWriter)>
where
    C: Fn(StreamReader, StreamWriter) -> F + Send + Sync + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let server = start_server(callback, "127.0.0.1:0").await?;
    let (reader, writer) = open_connection(&server.local_addrs()[..]).await?;
    Ok((server, reader, writer))
}

/// Bytes that differ from their neighbours, so that a loss or a repetition is noticed.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ (i / 251 % 241) as u8).collect()
}

/// Runs the test `name` once more, in a process of its own, after a line of shell. There the test
/// can count descriptors, or limit them.
fn in_a_process_of_its_own(name: &str, shell: &str, test: impl FnOnce()) {
    const IN_CHILD: &str = "SELVEDGE_TEST_IN_CHILD";
    if std::env::var_os(IN_CHILD).is_some() {
        return test();
    }
    let child = Command::new("sh")
        .args(["-c", &format!("{shell} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().expect("on Linux"))
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .expect("a shell");
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", child.status);
}

/// Waits until the running loop watches `n` sockets: another worker may be dropping one just now.
async fn sockets_come_down_to(n: usize) -> Result<()> {
    let event_loop = selvedge::get_running_loop()?;
    for _ in 0..5000 {
        if event_loop.metrics().sockets == n {
            return Ok(());
        }
        selvedge::sleep(std::time::Duration::from_millis(1)).await?;
    }
    panic!("{} sockets, not {n}", event_loop.metrics().sockets);
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("on Linux").count()
}
