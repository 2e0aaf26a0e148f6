//! Do streams handle peers that do harm, by accident or on purpose?

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use selvedge::net::TcpListener;
use selvedge::streams::{StreamFeed, StreamReader, StreamWriter};
use selvedge::{
    LimitOverrunError, Result, create_task, get_running_loop, open_connection, start_server, wait_for,
};
use selvedge_tests::Reports;

use super::basics::pair;
use super::{pattern, served};

#[selvedge::test]
async fn a_servers_port_in_use_is_an_error_that_names_it() -> Result<()> {
    let first = TcpListener::bind("127.0.0.1:0").await?;
    let addr = first.local_addr()?;
    let error = start_server(async |_, _| Ok(()), addr).await.expect_err("it is taken");
    assert_eq!(error.io_kind(), Some(ErrorKind::AddrInUse));
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_reset_is_told_each_time_and_what_came_before_it_can_be_read() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    let (peer, _) = listener.accept().await?;
    peer.write_all(b"last words").await?;
    peer.set_linger(Duration::ZERO)?;
    drop(peer);
    let reset = |error: selvedge::Error| assert_eq!(error.io_kind(), Some(ErrorKind::ConnectionReset));
    reset(reader.readline().await.expect_err("there is no line"));
    assert_eq!(reader.read(100).await?, b"last words");
    reset(reader.read(100).await.expect_err("it is no good end"));
    assert!(!reader.at_eof());
    // The connection is lost for the writer too.
    assert!(writer.is_closing());
    reset(writer.write(b"anybody?").expect_err("it is lost"));
    reset(writer.drain().await.expect_err("it is lost"));
    reset(writer.wait_closed().await.expect_err("it is lost"));
    Ok(())
}

/// The operating system reports a reset only once, to the first operation.
#[selvedge::test(workers = 2)]
async fn a_reset_that_the_writer_finds_first_is_no_good_end_for_the_reader() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    let (peer, _) = listener.accept().await?;
    peer.write_all(b"whole\nhalf").await?;
    assert_eq!(reader.readline().await?, b"whole\n");
    peer.set_linger(Duration::ZERO)?;
    drop(peer);
    while writer.write(b".").is_ok() {
        selvedge::sleep(Duration::ZERO).await?;
    }
    let reset = |error: selvedge::Error| assert_eq!(error.io_kind(), Some(ErrorKind::ConnectionReset));
    reset(reader.read_to_end().await.expect_err("it was cut off"));
    assert_eq!(reader.read(100).await?, b"half");
    reset(reader.readline().await.expect_err("it was cut off"));
    Ok(())
}

/// A pipe breaks when the peer has ended its side and no longer reads.
#[selvedge::test(workers = 2)]
async fn a_good_end_stays_one_when_the_writer_finds_nobody() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    let (peer, _) = listener.accept().await?;
    peer.write_all(b"whole").await?;
    drop(peer);
    while writer.write(b".").is_ok() {
        selvedge::sleep(Duration::ZERO).await?;
    }
    assert_eq!(reader.read_to_end().await?, b"whole");
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_reset_ends_a_transfer_and_who_waits_for_it() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (_reader, writer) = open_connection(listener.local_addr()?).await?;
    let (peer, _) = listener.accept().await?;
    writer.write(vec![0; 20_000_000])?;
    let writer = std::sync::Arc::new(writer);
    let drains = writer.clone();
    let drain = create_task(async move { drains.drain().await });
    peer.read_exact(&mut [0; 1000]).await?;
    peer.set_linger(Duration::ZERO)?;
    drop(peer);
    let error = drain.await.expect_err("nobody is there");
    assert!(matches!(error.io_kind(), Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{error}");
    assert_eq!(writer.unsent(), 0);
    assert!(writer.wait_closed().await.is_err());
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn plain_sockets_learn_of_a_reset_while_they_wait() -> Result<()> {
    let (client, server) = pair().await?;
    let waits = create_task(async move { server.read(&mut [0; 8]).await });
    client.set_linger(Duration::ZERO)?;
    drop(client);
    assert_eq!(waits.await.map_err(|error| error.io_kind()), Err(Some(ErrorKind::ConnectionReset)));
    Ok(())
}

/// When one task closes the connection, a task that reads finds the end, and so does the peer.
#[selvedge::test(workers = 2)]
async fn who_reads_finds_the_end_when_the_writer_closes() -> Result<()> {
    for aborts in [false, true] {
        let (server, mut reader, writer) = served(async |mut reader, _writer| {
            assert_eq!(reader.read(1).await?, b"");
            Ok(())
        })
        .await?;
        let reads = create_task(async move { reader.read(1).await });
        selvedge::sleep(Duration::ZERO).await?;
        if aborts {
            writer.abort();
        } else {
            writer.close();
        }
        assert_eq!(reads.await?, b"");
        writer.wait_closed().await?;
        server.close();
        server.wait_closed().await?;
    }
    Ok(())
}

/// The peer ends its side, and still reads.
#[selvedge::test(workers = 2)]
async fn a_connection_that_is_half_open_carries_the_other_half() -> Result<()> {
    let (server, mut reader, writer) = served(async |mut reader, writer| {
        let asked = reader.read_to_end().await?;
        assert!(reader.at_eof());
        for piece in pattern(3_000_000).chunks(4096) {
            writer.write(piece)?;
            writer.drain().await?;
        }
        writer.write(asked)
    })
    .await?;
    writer.write(b"all of it")?;
    writer.write_eof()?;
    let answer = reader.read_to_end().await?;
    assert!(answer[..3_000_000] == pattern(3_000_000));
    assert_eq!(&answer[3_000_000..], b"all of it");
    server.close();
    drop((reader, writer));
    server.wait_closed().await
}

/// A peer that sends a byte now and then never lets a line end; a time limit for the whole line
/// ends it.
#[selvedge::test(workers = 2)]
async fn a_time_limit_ends_slow_loris() -> Result<()> {
    const CLIENTS: usize = 20;
    let server = start_server(
        async |mut reader, writer| {
            let line = wait_for(reader.readline(), Duration::from_millis(30)).await;
            assert!(line.is_err_and(|error| error.is_timeout()));
            writer.write("too slow")
        },
        "127.0.0.1:0",
    )
    .await?;
    let addr = server.local_addrs()[0];
    let client = |_| async move {
        let (mut reader, writer) = open_connection(addr).await?;
        let trickle = create_task(async move {
            // Until the server closes the connection.
            while writer.write(b"x").is_ok() {
                selvedge::sleep(Duration::from_millis(3)).await?;
            }
            Ok(())
        });
        let answer = reader.readexactly(8).await?;
        trickle.cancel();
        Ok(answer)
    };
    let answers = selvedge::gather((0..CLIENTS).map(client).collect::<Vec<_>>()).await?;
    assert!(answers.iter().all(|answer| answer == b"too slow"));
    server.close();
    server.wait_closed().await
}

#[selvedge::test(workers = 2)]
async fn a_million_bytes_without_a_newline_are_not_kept() -> Result<()> {
    const LIMIT: usize = 1024;
    let reports = Reports::of(&get_running_loop()?);
    let server = start_server(
        async |mut reader, _writer| {
            let error = reader.readuntil(b"\n").await.expect_err("it has no end");
            assert!(error.downcast_ref::<LimitOverrunError>().expect("it is too long").consumed() > LIMIT);
            // All bytes up to the limit are there, and not many more.
            assert!((LIMIT..=2 * LIMIT).contains(&reader.buffered()), "{}", reader.buffered());
            reader.readline().await?;
            Ok(())
        },
        "127.0.0.1:0",
    )
    .limit(LIMIT)
    .await?;
    let (mut reader, writer) = open_connection(&server.local_addrs()[..]).await?;
    writer.write(vec![b'x'; 1_000_000])?;
    // The server closes the connection, with most of the bytes unread.
    let end = reader.read(1).await;
    assert!(end.is_err() || end.is_ok_and(|bytes| bytes.is_empty()));
    server.close();
    server.wait_closed().await?;
    let reports = reports.all();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].message(), "Unhandled exception in client_connected_cb");
    assert!(reports[0].exception().is_some_and(selvedge::Error::is::<LimitOverrunError>));
    assert!(reports[0].task().is_some());
    Ok(())
}

/// The pieces belong to the program, and so does the code that makes bytes of them: it may use the
/// writer, or panic.
#[selvedge::test]
async fn a_piece_may_use_the_writer_that_it_is_written_to() -> Result<()> {
    struct Nosy(Arc<StreamWriter>);
    impl AsRef<[u8]> for Nosy {
        fn as_ref(&self) -> &[u8] {
            assert_eq!(self.0.unsent(), 0);
            b"piece"
        }
    }
    let (server, mut reader, writer) =
        served(async |mut reader, writer| writer.write(reader.readexactly(10).await?)).await?;
    let writer = Arc::new(writer);
    let (done, is_done) = std::sync::mpsc::channel();
    let writes = writer.clone();
    std::thread::spawn(move || {
        let written = writes.writelines([Nosy(writes.clone()), Nosy(writes.clone())]);
        let _ = done.send(written);
    });
    is_done.recv_timeout(Duration::from_secs(5)).expect("it waits for itself")?;
    assert_eq!(reader.readexactly(10).await?, b"piecepiece");
    server.close();
    Ok(())
}

/// A user's waker panics: every other waiter is still woken, and the connection is closed.
#[selvedge::test]
async fn a_waker_that_panics_keeps_nobody_waiting() -> Result<()> {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let (server, mut reader, writer) =
        served(async |mut reader, _writer| reader.read_to_end().await.map(drop)).await?;
    let writer = Arc::new(writer);
    let mut waits = std::pin::pin!(writer.wait_closed());
    let panics = std::task::Waker::from(Arc::new(Panics));
    assert!(waits.as_mut().poll(&mut std::task::Context::from_waker(&panics)).is_pending());
    let waiter = writer.clone();
    let waiting = create_task(async move { waiter.wait_closed().await });
    selvedge::sleep(Duration::from_millis(20)).await?;
    writer.abort();
    wait_for(waiting, Duration::from_secs(5)).await?;
    assert_eq!(wait_for(reader.read(1), Duration::from_secs(5)).await?, b"");
    server.close();
    Ok(())
}

/// The caller that feeds an error too late drops it, and the error's destructor may use the feed.
#[selvedge::test]
async fn an_error_that_comes_too_late_may_use_the_feed() -> Result<()> {
    struct Nosy(StreamFeed);
    impl std::fmt::Debug for Nosy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Nosy")
        }
    }
    impl std::fmt::Display for Nosy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("nosy")
        }
    }
    impl std::error::Error for Nosy {}
    impl Drop for Nosy {
        fn drop(&mut self) {
            assert!(!self.0.is_paused());
        }
    }
    let (_reader, feed) = StreamReader::with_feed(16)?;
    feed.feed_eof();
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        feed.set_exception(Nosy(feed.clone()));
        let _ = done.send(());
    });
    is_done.recv_timeout(Duration::from_secs(5)).expect("it waits for itself");
    Ok(())
}
