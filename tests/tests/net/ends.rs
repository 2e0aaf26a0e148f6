//! Does a local or remote end reach every operation that it concerns, whether it waits or comes
//! later, and no other?

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use futures_util::FutureExt;
use selvedge::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use selvedge::{Result, create_task, open_connection, open_unix_connection, start_server, start_unix_server};
use selvedge_tests::Reports;
use socket2::SockRef;

use super::basics::pair;
use super::in_a_process_of_its_own;
use super::readiness::soon;

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.io_kind().expect("the system's error"))
}

/// Waits before and after a shutdown. The buffer of `$full` is full, so a write has to wait.
macro_rules! shut_down_every_way {
    ($pair:expr) => {
        for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
            let (one, other) = $pair;
            let one = Arc::new(one);
            while one.try_write(&vec![0; 65_536]).is_ok() {}
            let (ends_reads, ends_writes) = (how != Shutdown::Write, how != Shutdown::Read);
            let mut buffer = [0; 16];
            let mut more = [0; 16];
            {
                let mut reads = pin!(one.read(&mut buffer));
                let mut reads_too = pin!(one.read_exact(&mut more));
                let mut writes = pin!(one.write(b"x"));
                let much = vec![0; 1_000_000];
                let mut writes_all = pin!(one.write_all(&much));
                let slices = [IoSlice::new(b"x"), IoSlice::new(b"y")];
                let mut writes_vectored = pin!(one.write_vectored(&slices));
                // All of them wait.
                poll_fn(|cx| {
                    assert!(reads.as_mut().poll(cx).is_pending() && reads_too.as_mut().poll(cx).is_pending());
                    assert!(
                        writes.as_mut().poll(cx).is_pending() && writes_all.as_mut().poll(cx).is_pending()
                    );
                    assert!(writes_vectored.as_mut().poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                let by_another = Arc::clone(&one);
                create_task(async move { by_another.shutdown(how) }).await?;
                if ends_reads {
                    assert_eq!(soon(reads).await?, 0, "{how:?}");
                    assert_eq!(kind(soon(reads_too).await), Some(ErrorKind::UnexpectedEof));
                } else {
                    assert!(reads.now_or_never().is_none() && reads_too.now_or_never().is_none(), "{how:?}");
                }
                if ends_writes {
                    assert_eq!(kind(soon(writes).await), Some(ErrorKind::BrokenPipe), "{how:?}");
                    assert_eq!(kind(soon(writes_all).await), Some(ErrorKind::BrokenPipe));
                    assert_eq!(kind(soon(writes_vectored).await), Some(ErrorKind::BrokenPipe));
                } else {
                    assert!(
                        writes.now_or_never().is_none() && writes_all.now_or_never().is_none(),
                        "{how:?}"
                    );
                }
            }
            // Later operations find the same end.
            if ends_reads {
                soon(one.readable()).await?;
                assert_eq!(one.try_read(&mut buffer)?, 0);
                assert_eq!(soon(one.read(&mut buffer)).await?, 0, "{how:?}");
            }
            if ends_writes {
                assert_eq!(one.try_write(b"x").map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
                assert_eq!(kind(soon(one.write(b"x")).await), Some(ErrorKind::BrokenPipe));
                let slices = [IoSlice::new(&[0; 4000]), IoSlice::new(&[0; 4000])];
                let writes = one.write_vectored(&slices);
                assert_eq!(kind(soon(writes).await), Some(ErrorKind::BrokenPipe), "{how:?}");
            }
            drop(other);
        }
    };
}

#[selvedge::test(workers = 2)]
async fn a_shutdown_ends_what_waits_and_what_comes_later() -> Result<()> {
    shut_down_every_way!(pair().await?);
    shut_down_every_way!(UnixStream::pair()?);
    Ok(())
}

/// Tested with the halves and with the traits.
#[selvedge::test(workers = 2)]
async fn a_closed_half_ends_who_writes_beside_it() -> Result<()> {
    let (one, _other) = UnixStream::pair()?;
    let (reader, mut writer) = one.into_split();
    while writer.try_write(&vec![0; 65_536]).is_ok() {}
    writer.close().await?;
    assert_eq!(kind(soon(writer.write_all(b"x")).await), Some(ErrorKind::BrokenPipe));
    assert_eq!(kind(soon(reader.stream().write(b"x")).await), Some(ErrorKind::BrokenPipe));
    drop(writer);
    let (one, _other) = UnixStream::pair()?;
    let (reader, writer) = one.into_split();
    while writer.try_write(&vec![0; 65_536]).is_ok() {}
    let mut writes = pin!(reader.stream().write(b"x"));
    assert!(poll_fn(|cx| Poll::Ready(writes.as_mut().poll(cx))).await.is_pending());
    drop(writer);
    assert_eq!(kind(soon(writes).await), Some(ErrorKind::BrokenPipe));
    Ok(())
}

/// Readiness that no operation can consume is reported until one operation was unsuccessful. New
/// readiness is reported again.
#[cfg(target_os = "linux")]
#[selvedge::test(workers = 2)]
async fn an_end_that_no_packet_tells_of_is_told_once() -> Result<()> {
    let mut buffer = [0; 8];
    let would_block = |result: std::io::Result<usize>| {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    };
    let (one, _other) = UnixDatagram::pair()?;
    SockRef::from(&one).shutdown(Shutdown::Read)?;
    let mut in_vain = 0;
    while let Some(told) = one.readable().now_or_never() {
        told?;
        would_block(one.try_recv(&mut buffer));
        in_vain += 1;
        assert!(in_vain < 5, "it says so for ever");
    }

    let nobody = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
    let udp = UdpSocket::bind("127.0.0.1:0").await?;
    nix::sys::socket::setsockopt(&udp, nix::sys::socket::sockopt::Ipv4RecvErr, &true)?;
    for fetched_by_an_await in [true, false] {
        udp.send_to(b"x", nobody).await?;
        soon(udp.readable()).await?;
        let refused = if fetched_by_an_await {
            kind(udp.recv(&mut buffer).await)
        } else {
            udp.try_recv(&mut buffer).err().map(|error| error.kind())
        };
        assert_eq!(refused, Some(ErrorKind::ConnectionRefused));
        let mut in_vain = 0;
        while selvedge::wait_for(udp.readable(), Duration::from_millis(50)).await.is_ok() {
            would_block(udp.try_recv(&mut buffer));
            in_vain += 1;
            assert!(in_vain < 5, "it says so for ever");
        }
        // With all these errors on its queue, the socket still reports a packet, and free buffer
        // space.
        udp.send_to(b"ping", udp.local_addr()?).await?;
        soon(udp.readable()).await?;
        assert_eq!(udp.try_recv(&mut buffer)?, 4);
        soon(udp.writable()).await?;
    }

    let udp = UdpSocket::bind("127.0.0.1:0").await?;
    let peer = UdpSocket::bind("127.0.0.1:0").await?;
    udp.connect(peer.local_addr()?).await?;
    SockRef::from(&udp).shutdown(Shutdown::Read)?;
    let mut in_vain = 0;
    while let Ok(told) = selvedge::wait_for(udp.readable(), Duration::from_millis(50))
        .await
        .map_err(|error| assert!(error.is_timeout()))
    {
        let () = told;
        would_block(udp.try_recv(&mut buffer));
        in_vain += 1;
        assert!(in_vain < 5, "it says so for ever");
    }
    Ok(())
}

/// The names `\0…` of Linux, at both ends, for streams and packets.
#[cfg(target_os = "linux")]
#[selvedge::test(workers = 2)]
async fn abstract_names_work_at_both_ends() -> Result<()> {
    use std::os::linux::net::SocketAddrExt;

    let name = |what: &str| format!("\0selvedge-{}-{what}", std::process::id());
    let mut buffer = [0; 16];

    let listening = name("stream");
    let listener = UnixListener::bind(&listening)?;
    assert_eq!(listener.local_addr()?.as_abstract_name(), Some(&listening.as_bytes()[1..]));
    assert_eq!(kind(UnixListener::bind(&listening)), Some(ErrorKind::AddrInUse));
    let by_address = UnixStream::connect_addr(&listener.local_addr()?).await?;
    let by_name = UnixStream::connect(&listening).await?;
    for client in [by_address, by_name] {
        let (server, _) = listener.accept().await?;
        assert_eq!(client.peer_addr()?.as_abstract_name(), Some(&listening.as_bytes()[1..]));
        client.write_all(b"hello").await?;
        server.read_exact(&mut buffer[..5]).await?;
    }
    drop(listener);
    let refused = UnixStream::connect(&listening).await.unwrap_err();
    assert_eq!(refused.io_kind(), Some(ErrorKind::ConnectionRefused));
    assert!(refused.to_string().contains(&format!("@{}", &listening[1..])), "{refused}");
    UnixListener::bind(&listening)?;

    let (here, there) = (name("here"), name("there"));
    let (one, other) = (UnixDatagram::bind(&here)?, UnixDatagram::bind(&there)?);
    one.send_to(b"ping", &there)?;
    let (n, from) = other.recv_from(&mut buffer).await?;
    assert_eq!((n, from.as_abstract_name()), (4, Some(&here.as_bytes()[1..])));
    other.send_to_addr(b"pong", &from)?;
    assert_eq!(one.recv(&mut buffer).await?, 4);
    one.try_send_to(b"again", &there)?;
    assert_eq!(other.try_recv_from(&mut buffer)?.0, 5);
    one.connect(&there)?;
    other.connect_addr(&one.local_addr()?)?;
    assert_eq!(one.peer_addr()?.as_abstract_name(), Some(&there.as_bytes()[1..]));
    other.send(b"connected").await?;
    assert_eq!(one.recv(&mut buffer).await?, 9);

    let serving = name("server");
    let server = start_unix_server(async |_, writer| writer.write("hello\n"), &serving).await?;
    let (mut reader, _writer) = open_unix_connection(&serving).await?;
    assert_eq!(reader.readline().await?, b"hello\n");
    server.close();
    server.wait_closed().await?;
    assert!(open_unix_connection(&serving).await.is_err());

    let too_long = format!("\0{}", "x".repeat(108));
    assert_eq!(kind(UnixListener::bind(&too_long)), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(UnixStream::connect("in\0side").await), Some(ErrorKind::InvalidInput));
    assert_eq!(kind(UnixDatagram::bind("in\0side")), Some(ErrorKind::InvalidInput));
    // A socket without a name cannot be answered, and the error says so.
    let unbound = UnixDatagram::unbound()?;
    assert_eq!(kind(one.send_to_addr(b"x", &unbound.local_addr()?)), Some(ErrorKind::InvalidInput));
    Ok(())
}

/// As Linux counts, the backlog holds one connection more than its limit. The next client gets an
/// error at once.
#[cfg(target_os = "linux")]
#[selvedge::test(workers = 1)]
async fn a_backlog_is_what_was_asked_for() -> Result<()> {
    let path = std::path::PathBuf::from(format!("\0selvedge-backlog-{}", std::process::id()));
    let listener = UnixListener::bind_with_backlog(&path, 3)?;
    let mut waiting = Vec::new();
    let refused = loop {
        match UnixStream::connect(&path).await {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!((waiting.len(), refused.io_kind()), (4, Some(ErrorKind::WouldBlock)));
    drop((listener, waiting));
    // The default exceeds asyncio's limit, for TCP and Unix sockets. The server accepts nothing
    // within this poll.
    let server = start_unix_server(async |_, _| Ok(()), &path).await?;
    let address = socket2::SockAddr::unix(&path)?;
    let clients: Vec<_> = (0..200)
        .map(|_| {
            let client = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
            client.set_nonblocking(true)?;
            client.connect(&address)?;
            Ok(client)
        })
        .collect::<std::io::Result<_>>()?;
    drop(clients);
    server.close();
    let tcp = TcpListener::bind_with_backlog("127.0.0.1:0", u32::MAX).await?;
    let client = create_task(selvedge::net::TcpStream::connect(tcp.local_addr()?));
    tcp.accept().await?;
    client.await?;
    Ok(())
}

/// However a client vanishes, the exception handler receives no report. An error from another
/// connection inside a callback is reported as usual.
#[selvedge::test(workers = 2)]
async fn a_client_that_vanishes_is_no_exception() -> Result<()> {
    let reports = Reports::of(&selvedge::get_running_loop()?);
    for manner in 0..3 {
        let (ended, ends) = async_channel::bounded(1);
        let server = start_server(
            move |mut reader, writer| {
                let ended = ended.clone();
                async move {
                    let served = async {
                        match manner {
                            0 => reader.readexactly(100).await.map(drop),
                            1 => reader.readuntil(b"never").await.map(drop),
                            _ => loop {
                                writer.write(vec![b'x'; 100_000])?;
                                writer.drain().await?;
                            },
                        }
                    }
                    .await;
                    let _ = ended.send(served.clone().is_err()).await;
                    served
                }
            },
            "127.0.0.1:0",
        )
        .await?;
        let (reader, writer) = open_connection(&server.local_addrs()[..]).await?;
        writer.write("half")?;
        SockRef::from(&writer).set_linger(Some(Duration::ZERO))?;
        if manner == 1 {
            writer.write_eof()?;
        } else {
            drop((reader, writer));
        }
        assert_eq!(ends.recv().await.ok(), Some(true));
        server.close();
        server.close_clients();
        server.wait_closed().await?;
        assert_eq!(reports.messages(), [""; 0], "{manner}");
    }
    // The broken pipe belongs to another connection.
    let server = start_server(
        async |_, _| {
            let (one, other) = UnixStream::pair()?;
            drop(other);
            one.write_all(b"x").await
        },
        "127.0.0.1:0",
    )
    .await?;
    let (mut reader, _writer) = open_connection(&server.local_addrs()[..]).await?;
    let _ = reader.read_to_end().await;
    server.close();
    server.wait_closed().await?;
    assert_eq!(reports.messages(), ["Unhandled exception in client_connected_cb"]);
    Ok(())
}

/// Runs in a process that `SIGPIPE` would end.
#[test]
fn no_write_sends_a_signal() {
    in_a_process_of_its_own("ends::no_write_sends_a_signal", "true", || {
        // Rust's start-up ignores the signal; this restores its default action.
        let always = Arc::new(std::sync::atomic::AtomicBool::new(true));
        signal_hook::flag::register_conditional_default(signal_hook::consts::SIGPIPE, always).unwrap();
        selvedge::run(async {
            let long = vec![0; 100_000];
            for vectored in [1, 2, 3, 2000] {
                let slices: Vec<_> = (0..vectored).map(|_| IoSlice::new(&long[..1000])).collect();
                let (one, other) = UnixStream::pair()?;
                drop(other);
                assert_eq!(kind(one.write_vectored(&slices).await), Some(ErrorKind::BrokenPipe));
                let (mut one, other) = UnixStream::pair()?;
                drop(other);
                assert_eq!(kind(one.split().1.write_vectored(&slices).await), Some(ErrorKind::BrokenPipe));
                let (one, other) = UnixStream::pair()?;
                drop(other);
                let (_reader, writer) = one.into_split();
                assert_eq!(kind(writer.write_vectored(&slices).await), Some(ErrorKind::BrokenPipe));
                let (mut one, other) = UnixStream::pair()?;
                drop(other);
                let written = AsyncWriteExt::write_vectored(&mut one, &slices).await;
                assert_eq!(written.map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
                let (one, other) = pair().await?;
                one.shutdown(Shutdown::Write)?;
                assert_eq!(kind(one.write_vectored(&slices).await), Some(ErrorKind::BrokenPipe));
                drop(other);
            }
            for bytes in [&long[..1], &long[..]] {
                let (one, other) = UnixStream::pair()?;
                drop(other);
                assert_eq!(kind(one.write(bytes).await), Some(ErrorKind::BrokenPipe));
                assert_eq!(one.try_write(bytes).map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
                let (one, other) = UnixStream::pair()?;
                drop(other);
                let (_reader, writer) = selvedge::open_connection_on(one).await?;
                assert_eq!(kind(writer.writelines([bytes, bytes])), Some(ErrorKind::BrokenPipe));
            }
            // The same for packets.
            let (one, other) = UnixDatagram::pair()?;
            drop(other);
            assert!(one.send(b"x").await.is_err());
            let (one, _other) = UnixDatagram::pair()?;
            SockRef::from(&one).shutdown(Shutdown::Write)?;
            assert_eq!(kind(one.send(b"x").await), Some(ErrorKind::BrokenPipe));
            let udp = UdpSocket::bind("127.0.0.1:0").await?;
            udp.connect(udp.local_addr()?).await?;
            SockRef::from(&udp).shutdown(Shutdown::Write)?;
            assert_eq!(kind(udp.send(b"x").await), Some(ErrorKind::BrokenPipe));
            Ok(())
        })
        .unwrap();
    });
}
