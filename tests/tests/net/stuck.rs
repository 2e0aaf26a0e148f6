//! Do sockets work with few workers, with stuck workers, and with a virtual clock?

use std::sync::mpsc;
use std::time::Duration;

use selvedge::streams::{StreamReader, StreamWriter};
use selvedge::{
    Result, Runner, create_task, get_running_loop, open_unix_connection, start_unix_server, timeout,
};

use super::served;

const ROUNDS: u32 = 200;

/// Sends a request and reads the answer, `rounds` times.
async fn echo(rounds: u32) -> Result<()> {
    let (server, reader, writer) = served(answer).await?;
    ask(rounds, reader, writer).await?;
    server.close();
    server.wait_closed().await
}

async fn answer(mut reader: StreamReader, writer: StreamWriter) -> Result<()> {
    while let Some(line) = reader.next_line().await? {
        writer.write(&line)?;
        writer.drain().await?;
    }
    Ok(())
}

async fn ask(rounds: u32, mut reader: StreamReader, writer: StreamWriter) -> Result<()> {
    for round in 0..rounds {
        let line = format!("{round}\n");
        writer.write(&line)?;
        assert_eq!(reader.readline().await?, line.as_bytes());
    }
    Ok(())
}

#[test]
fn sockets_are_served_while_every_worker_is_stuck() {
    for workers in [1, 2, 4] {
        let served = Runner::builder().workers(workers).run(async move {
            let event_loop = get_running_loop()?;
            let mut releases = Vec::new();
            let mut stuck = Vec::new();
            for _ in 0..workers {
                let (release, wait) = mpsc::channel::<()>();
                let begun = event_loop.create_future();
                let begins = begun.clone();
                let task = create_task(async move {
                    begins.set_result(())?;
                    // The worker is blocked until the echo is over. If the echo needs this worker,
                    // the limit ends the wait and the test fails.
                    let ended = wait.recv_timeout(Duration::from_secs(20));
                    assert_ne!(
                        ended,
                        Err(mpsc::RecvTimeoutError::Timeout),
                        "the echo needs a worker that is stuck"
                    );
                    Ok(())
                });
                begun.await?;
                releases.push(release);
                stuck.push(task);
            }
            echo(ROUNDS).await?;
            drop(releases);
            selvedge::gather(stuck).await?;
            Ok(())
        });
        served.unwrap_or_else(|error| panic!("{workers} workers: {error}"));
    }
}

#[test]
fn one_worker_without_watchdog_serves_both_ends() {
    Runner::builder().workers(1).watchdog(false).run(echo(ROUNDS)).expect("an echo");
}

/// The clock jumps only when no socket can become ready. The test uses Unix sockets, where written
/// bytes arrive at once. A loaded system may deliver a TCP packet a little later, also on loopback.
#[test]
fn hours_do_not_pass_while_bytes_are_on_their_way() {
    for workers in [1, 2, 4] {
        let builder = Runner::builder().workers(workers).virtual_time(true).watchdog(false);
        let passed = builder.run(async move {
            let path = std::env::temp_dir().join(format!("selvedge-hours-{}-{workers}", std::process::id()));
            let server = start_unix_server(answer, &path).await?;
            timeout(Duration::from_hours(1), async |_cm| {
                let (reader, writer) = open_unix_connection(&path).await?;
                ask(ROUNDS, reader, writer).await
            })
            .await?;
            server.close();
            let after = get_running_loop()?.time();
            selvedge::sleep(Duration::from_hours(1)).await?;
            Ok((after, get_running_loop()?.time()))
        });
        let (after, slept) = passed.unwrap_or_else(|error| panic!("{workers} workers: {error}"));
        assert_eq!(after, Duration::ZERO, "{workers} workers");
        assert!(slept >= Duration::from_hours(1));
    }
}

/// The loop of the attribute, and a reader that waits for data that never come.
#[selvedge::test(virtual_time)]
async fn a_read_that_gets_nothing_is_late_at_once() -> Result<()> {
    let (_server, mut reader, _writer) = served(async |mut reader, _| {
        reader.read(1).await?;
        Ok(())
    })
    .await?;
    let late = selvedge::wait_for(reader.readline(), Duration::from_hours(5)).await;
    assert!(late.is_err_and(|error| error.is_timeout()));
    assert!(get_running_loop()?.time() >= Duration::from_hours(5));
    Ok(())
}
