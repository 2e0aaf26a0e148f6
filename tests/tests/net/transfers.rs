//! What does a cancelled transfer leave? A prefix of the bytes, and none of them twice.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use selvedge::{Result, create_task, get_running_loop, wait_for};

use super::basics::pair;
use super::{pattern, served};

const LENGTH: usize = 2_000_000;

#[selvedge::test(workers = 2)]
async fn of_a_write_that_is_cancelled_a_prefix_arrives() -> Result<()> {
    let whole = Arc::new(pattern(6 * LENGTH));
    let mut cancelled = 0;
    for round in 0..20 {
        let (client, server) = pair().await?;
        let bytes = Arc::clone(&whole);
        let sender = create_task(async move { client.write_all(&bytes).await });
        let mut received = vec![0; round * 50_000];
        server.read_exact(&mut received).await?;
        // The buffers between the two sides hold less than the remaining bytes.
        sender.cancel();
        cancelled += usize::from(sender.await.is_err_and(|error| error.is_cancelled()));
        server.read_to_end(&mut received).await?;
        assert!(received == whole[..received.len()], "{} bytes in round {round}", received.len());
    }
    assert!(cancelled > 0, "no transfer was met in its midst");
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_read_loop_that_is_cancelled_goes_on_where_it_was() -> Result<()> {
    let (client, server) = pair().await?;
    let go = get_running_loop()?.create_future();
    let goes = go.clone();
    let sender = create_task(async move {
        let bytes = pattern(LENGTH);
        client.write_all(&bytes[..LENGTH / 2]).await?;
        // So that the first reader cannot reach the end.
        goes.await?;
        client.write_all(&bytes[LENGTH / 2..]).await
    });
    let server = Arc::new(server);
    let received = Arc::new(Mutex::new(Vec::new()));
    let mut cancelled = 0;
    loop {
        let event_loop = get_running_loop()?;
        let enough = event_loop.create_future();
        let (reads, into, told) = (Arc::clone(&server), Arc::clone(&received), enough.clone());
        let reader = create_task(async move {
            let mut buffer = vec![0; 4096];
            for round in 0.. {
                let n = reads.read(&mut buffer).await?;
                into.lock().extend_from_slice(&buffer[..n]);
                if n == 0 {
                    let _ = told.set_result(());
                    return Ok(());
                }
                if round == 10 {
                    let _ = told.set_result(());
                }
            }
            unreachable!("it reads until the end")
        });
        enough.await?;
        reader.cancel();
        match reader.await {
            Ok(()) => break,
            Err(error) => assert!(error.is_cancelled(), "{error}"),
        }
        cancelled += 1;
        let _ = go.set_result(());
    }
    sender.await?;
    assert!(*received.lock() == pattern(LENGTH), "{} bytes", received.lock().len());
    assert!(cancelled > 0, "no read was met in its midst");
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_reader_with_impatient_callers_loses_nothing() -> Result<()> {
    let (_server, mut reader, _writer) = served(async |_, writer| {
        for piece in pattern(LENGTH).chunks(1777) {
            writer.write(piece)?;
            writer.drain().await?;
            if piece[0] % 16 == 0 {
                selvedge::sleep(Duration::from_micros(100)).await?;
            }
        }
        Ok(())
    })
    .await?;
    let (mut received, mut late, mut round) = (Vec::new(), 0, 0_u64);
    while received.len() < LENGTH {
        round += 1;
        let n = 7001.min(LENGTH - received.len());
        match wait_for(reader.readexactly(n), Duration::from_micros(round % 200)).await {
            Ok(bytes) => received.extend(bytes),
            Err(error) => {
                assert!(error.is_timeout(), "{error}");
                late += 1;
            }
        }
    }
    assert!(received == pattern(LENGTH));
    assert!(late > 0, "no read was met in its midst");
    assert_eq!(reader.read(1).await?, b"");
    Ok(())
}

/// No await in this loop ever waits, and it can still be cancelled.
#[selvedge::test(workers = 1)]
async fn a_loop_over_what_is_in_the_reader_can_be_cancelled() -> Result<()> {
    let (mut reader, feed) = selvedge::streams::StreamReader::with_feed(1000)?;
    feed.feed_data(&b"x\n".repeat(1000))?;
    let task = create_task(async move {
        let this = selvedge::current_task().expect("a task");
        for round in 0..1000 {
            let line = if round % 2 == 0 { reader.readline().await } else { reader.readexactly(2).await };
            if line.is_err_and(|error| error.is_cancelled()) {
                return Ok((round, reader.read_to_end().await?.len()));
            }
            if round == 10 {
                this.cancel();
            }
        }
        unreachable!("it was cancelled")
    });
    drop(feed);
    assert_eq!(task.await?, (11, 2 * (1000 - 11)));
    Ok(())
}

/// The same for a drain that never has to wait.
#[selvedge::test(workers = 2)]
async fn a_loop_over_drain_can_be_cancelled() -> Result<()> {
    let (_server, _reader, writer) = served(async |mut reader, _| {
        reader.read_to_end().await?;
        Ok(())
    })
    .await?;
    let task = create_task(async move {
        selvedge::current_task().expect("a task").cancel();
        writer.drain().await
    });
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    Ok(())
}
