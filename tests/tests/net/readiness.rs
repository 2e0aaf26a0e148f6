//! Is a socket ready when it says so, and only then, whatever operations came before?

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use selvedge::net::{UdpSocket, UnixDatagram, UnixStream};
use selvedge::{Result, create_task, sleep, wait_for};

use super::basics::pair;

/// A wait that must end soon. A wait that times out checks once more and would find the readiness
/// that it missed, so the elapsed time is what shows a missed wake.
pub(super) async fn soon<T>(wait: impl Future<Output = Result<T>>) -> Result<T> {
    const LIMIT: Duration = Duration::from_secs(5);
    let began = Instant::now();
    let result = wait_for(wait, LIMIT).await;
    assert!(began.elapsed() < LIMIT, "nobody told of what there was");
    result
}

/// The sequence of data: none, some, less, none, some again, the end.
macro_rules! is_readable_exactly {
    ($reader:expr, $writer:expr) => {{
        let (reader, writer, mut buffer) = ($reader, $writer, [0; 64]);
        assert!(reader.readable().now_or_never().is_none(), "nobody has tried yet, and there is nothing");
        assert_eq!(reader.try_read(&mut buffer).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        for _ in 0..3 {
            writer.write_all(b"0123456789").await?;
            soon(reader.readable()).await?;
            assert_eq!(reader.try_read(&mut buffer[..4])?, 4);
            soon(reader.readable()).await?;
            soon(reader.readable()).await?;
            // The reader learns that it has taken all the data.
            assert_eq!(soon(reader.read(&mut buffer)).await?, 6);
            assert!(reader.readable().now_or_never().is_none(), "it has all been read");
        }
        writer.write_all(b"0123456789").await?;
        soon(reader.readable()).await?;
        // Without the loop's knowledge.
        assert_eq!(reader.try_read(&mut buffer)?, 10);
        assert!(reader.readable().now_or_never().is_none(), "it has all been read");
        drop(writer);
        for _ in 0..2 {
            soon(reader.readable()).await?;
            assert_eq!(reader.try_read(&mut buffer)?, 0, "the end stays");
        }
    }};
}

#[selvedge::test(workers = 2)]
async fn a_stream_is_readable_when_there_is_something() -> Result<()> {
    let (one, other) = pair().await?;
    is_readable_exactly!(one, other);
    let (one, other) = UnixStream::pair()?;
    is_readable_exactly!(one, other);
    let ((reader, _writer), (_reader, writer)) = {
        let (one, other) = pair().await?;
        (one.into_split(), other.into_split())
    };
    is_readable_exactly!(reader, writer);
    let (mut one, other) = UnixStream::pair()?;
    is_readable_exactly!(one.split().0, other);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_packet_socket_is_readable_when_there_is_a_packet() -> Result<()> {
    let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    one.connect(other.local_addr()?).await?;
    other.connect(one.local_addr()?).await?;
    let (unix_one, unix_other) = UnixDatagram::pair()?;
    let mut buffer = [0; 16];
    for _ in 0..3 {
        assert!(other.readable().now_or_never().is_none() && unix_other.readable().now_or_never().is_none());
        assert_eq!(other.try_recv(&mut buffer).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        assert_eq!(
            unix_other.try_recv(&mut buffer).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock)
        );
        soon(one.writable()).await?;
        assert_eq!((one.try_send(b"ping")?, one.try_send(b"and pong")?), (4, 8));
        soon(unix_one.writable()).await?;
        assert_eq!((unix_one.try_send(b"ping")?, unix_one.try_send(b"and pong")?), (4, 8));
        for length in [4, 8] {
            soon(other.readable()).await?;
            soon(other.readable()).await?;
            assert_eq!(other.try_recv(&mut buffer)?, length);
            soon(unix_other.readable()).await?;
            assert_eq!(unix_other.try_recv_from(&mut buffer)?.0, length);
        }
    }
    Ok(())
}

#[selvedge::test]
async fn a_unix_packet_goes_to_a_path_without_waiting() -> Result<()> {
    let path = std::env::temp_dir().join(format!("selvedge-{}-packets", std::process::id()));
    let (one, other) = (UnixDatagram::unbound()?, UnixDatagram::bind(&path)?);
    assert_eq!(one.try_send_to(b"ping", &path)?, 4);
    soon(other.readable()).await?;
    let (n, from) = other.try_recv_from(&mut [0; 16])?;
    assert_eq!((n, from.as_pathname()), (4, None));
    std::fs::remove_file(&path)?;
    assert_eq!(one.try_send_to(b"ping", &path).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    Ok(())
}

/// The loop of the documentation: each wait ends once for the data that have come, and each
/// operation finds some.
#[selvedge::test(workers = 2)]
async fn a_loop_of_waits_and_attempts_makes_none_in_vain() -> Result<()> {
    const ROUNDS: usize = 200;
    let (client, server) = pair().await?;
    let echo = create_task(async move {
        let (mut polls, mut in_vain) = (0, 0);
        loop {
            let mut readable = std::pin::pin!(server.readable());
            poll_fn(|cx| {
                polls += 1;
                assert!(polls < 100 * ROUNDS, "it spins");
                readable.as_mut().poll(cx)
            })
            .await?;
            let mut buffer = [0; 100];
            match server.try_read(&mut buffer) {
                Ok(0) => return Ok((polls, in_vain)),
                Ok(n) => server.write_all(&buffer[..n]).await?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => in_vain += 1,
                Err(error) => return Err(error.into()),
            }
            assert!(in_vain < ROUNDS, "it spins");
        }
    });
    for round in 0..ROUNDS {
        let sent = [round as u8; 7];
        let mut back = [0; 7];
        client.write_all(&sent).await?;
        soon(client.read_exact(&mut back)).await?;
        assert_eq!(sent, back);
    }
    drop(client);
    let (polls, in_vain) = echo.await?;
    assert_eq!(in_vain, 0);
    assert!(polls <= 3 * ROUNDS, "{polls} polls for {ROUNDS} rounds");
    Ok(())
}

#[selvedge::test(workers = 1)]
async fn all_who_wait_are_told() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let other = Arc::new(other);
    let waits = |_| {
        let other = Arc::clone(&other);
        create_task(async move { other.readable().await })
    };
    let tasks: Vec<_> = (0..5).map(waits).collect();
    sleep(Duration::ZERO).await?;
    one.write_all(b"x").await?;
    for task in tasks {
        soon(task).await?;
    }
    assert_eq!(other.try_read(&mut [0; 8])?, 1);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn an_error_is_left_to_the_attempt() -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let nobody = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
    socket.connect(nobody).await?;
    socket.send(b"anybody?").await?;
    soon(socket.readable()).await?;
    let refused = socket.try_recv(&mut [0; 8]).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
    assert!(socket.readable().now_or_never().is_none(), "it has been fetched");

    let (client, server) = pair().await?;
    client.set_linger(Duration::ZERO)?;
    drop(client);
    soon(server.readable()).await?;
    soon(server.writable()).await?;
    let reset = server.try_read(&mut [0; 8]).map_err(|error| error.kind());
    assert_eq!(reset, Err(ErrorKind::ConnectionReset));
    Ok(())
}

/// Writes until the buffer is full. Returns the number of bytes.
fn fill(stream: &UnixStream, mut is_full: impl FnMut(&UnixStream) -> bool) -> Result<usize> {
    let mut filled = 0;
    while !is_full(stream) {
        match stream.try_write(&[b'x'; 1000]) {
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(filled),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

#[selvedge::test(workers = 2)]
async fn a_stream_is_writable_when_there_is_room() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let mut read = vec![0; 10_000_000];
    for _ in 0..3 {
        soon(one.writable()).await?;
        let filled = fill(&one, |_| false)?;
        let mut writable = std::pin::pin!(one.writable());
        assert!(poll_fn(|cx| Poll::Ready(writable.as_mut().poll(cx))).await.is_pending(), "it is full");
        other.read_exact(&mut read[..filled]).await?;
        soon(writable).await?;
    }
    let (reader, writer) = one.into_split();
    soon(writer.writable()).await?;
    fill(reader.stream(), |_| false)?;
    assert!(writer.writable().now_or_never().is_none(), "it is full");
    // The peer is gone, so the buffer never empties, and a write would report this.
    drop(other);
    soon(writer.writable()).await?;
    assert_eq!(writer.try_write(b"x").map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn five_megabytes_are_written_in_attempts() -> Result<()> {
    const ALL: usize = 5_000_000;
    let (one, other) = pair().await?;
    let reads = create_task(async move {
        let mut read = Vec::new();
        other.read_to_end(&mut read).await
    });
    let (mut sent, mut in_vain) = (0, 0);
    while sent < ALL {
        soon(one.writable()).await?;
        match one.try_write(&[b'x'; 10_000]) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => in_vain += 1,
            Err(error) => return Err(error.into()),
        }
        assert!(in_vain < 100, "it spins");
    }
    drop(one);
    assert_eq!(reads.await?, sent);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_packet_socket_is_writable_when_its_peer_has_room() -> Result<()> {
    let (one, other) = UnixDatagram::pair()?;
    for _ in 0..3 {
        let mut filled = 0;
        while one.try_send(b"x").is_ok() {
            filled += 1;
        }
        let mut writable = std::pin::pin!(one.writable());
        assert!(poll_fn(|cx| Poll::Ready(writable.as_mut().poll(cx))).await.is_pending(), "it is full");
        for _ in 0..filled {
            assert_eq!(other.try_recv(&mut [0; 8])?, 1);
        }
        soon(writable).await?;
    }
    Ok(())
}

/// Linux calls a Unix socket writable when three quarters of its buffer are free. A task that waits
/// for this must not keep other tasks from using less free space.
#[cfg(target_os = "linux")]
#[selvedge::test(workers = 2)]
async fn who_waits_for_much_room_keeps_nobody_from_a_little() -> Result<()> {
    let (one, _other) = UnixStream::pair()?;
    fill(&one, |stream| stream.writable().now_or_never().is_none())?;
    let mut writable = std::pin::pin!(one.writable());
    assert!(poll_fn(|cx| Poll::Ready(writable.as_mut().poll(cx))).await.is_pending());
    assert!(matches!(one.write(b"x").now_or_never(), Some(Ok(1))), "there is room for this");
    assert!(poll_fn(|cx| Poll::Ready(writable.as_mut().poll(cx))).await.is_pending());
    Ok(())
}

#[selvedge::test(workers = 1)]
async fn a_wait_is_told_of_a_request_unless_something_has_come() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let other = Arc::new(other);
    for sends in [false, true, false] {
        let waits = Arc::clone(&other);
        let task = create_task(async move {
            match waits.readable().await {
                Ok(()) => {}
                Err(error) if error.is_cancelled() => return Ok("told"),
                Err(error) => return Err(error),
            }
            // The request is not lost either: it is delivered to the next await, although the
            // socket is ready.
            assert!(waits.readable().await.is_err_and(|error| error.is_cancelled()));
            Ok("readable")
        });
        // The task waits. The byte and the request come in one step of this task, on the only
        // worker.
        sleep(Duration::ZERO).await?;
        if sends {
            one.try_write(b"x")?;
        }
        task.cancel();
        assert_eq!(task.await?, if sends { "readable" } else { "told" });
        assert_eq!(other.try_read(&mut [0; 8]).is_ok(), sends);
    }
    let late = wait_for(other.readable(), Duration::from_millis(5)).await;
    assert!(late.is_err_and(|error| error.is_timeout()));
    Ok(())
}

#[test]
fn a_wait_for_a_socket_whose_loop_is_closed_is_an_error() {
    let (one, other) = selvedge::run(async { UnixStream::pair() }).expect("a pair");
    let waited = selvedge::run(async move {
        let waited = soon(other.readable()).await;
        // Data that are there can be read even if no loop watches the socket.
        one.try_write(b"x")?;
        other.readable().await?;
        assert_eq!(other.try_read(&mut [0; 8])?, 1);
        waited
    });
    assert!(waited.expect_err("nobody watches").to_string().contains("is closed"));
}
