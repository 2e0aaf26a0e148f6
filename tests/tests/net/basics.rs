//! Do written bytes arrive, in order and once?

use std::net::SocketAddr;

use selvedge::Result;
use selvedge::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};

/// A connection's two ends.
pub(crate) async fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    Ok((client, server))
}

#[selvedge::test(workers = 2)]
async fn a_megabyte_goes_to_and_fro() -> Result<()> {
    let (client, server) = pair().await?;
    let echo = selvedge::create_task(async move {
        let mut buffer = vec![0; 10_000];
        loop {
            match server.read(&mut buffer).await? {
                0 => return Ok(()),
                n => server.write_all(&buffer[..n]).await?,
            }
        }
    });
    let (reader, writer) = client.into_split();
    let sent: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let bytes = sent.clone();
    let sender = selvedge::create_task(async move { writer.write_all(&bytes).await });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await?;
    sender.await?;
    echo.await?;
    assert!(received == sent, "{} bytes of {} came back", received.len(), sent.len());
    Ok(())
}

#[selvedge::test]
async fn a_name_is_looked_up_and_its_addresses_are_tried_in_turn() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let good = listener.local_addr()?;
    let bad = {
        // The listener is closed, so connections are refused.
        let gone = TcpListener::bind("127.0.0.1:0").await?;
        gone.local_addr()?
    };
    let stream = TcpStream::connect(&[bad, good][..]).await?;
    assert_eq!(stream.peer_addr()?, good);
    let named = TcpStream::connect(("localhost", good.port())).await?;
    assert_eq!(named.peer_addr()?, good);
    let refused = TcpStream::connect(bad).await.expect_err("nobody listens");
    assert_eq!(refused.io_kind(), Some(std::io::ErrorKind::ConnectionRefused));
    assert!(refused.to_string().contains(&bad.to_string()), "{refused}");
    let portless = TcpStream::connect("localhost").await.expect_err("which port?");
    assert!(portless.to_string().contains("localhost:80"), "{portless}");
    let none: &[SocketAddr] = &[];
    assert!(TcpStream::connect(none).await.is_err());
    Ok(())
}

#[selvedge::test]
async fn a_port_in_use_is_an_error_that_says_so() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let taken = TcpListener::bind(listener.local_addr()?).await.expect_err("the port is taken");
    assert_eq!(taken.io_kind(), Some(std::io::ErrorKind::AddrInUse));
    assert!(taken.to_string().contains(&listener.local_addr()?.to_string()), "{taken}");
    Ok(())
}

/// The error has the operating system's number, as the standard library's error for the same
/// mistake.
#[selvedge::test]
async fn an_error_that_names_its_address_has_the_systems_number() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let taken = listener.local_addr()?;
    let free = UdpSocket::bind("127.0.0.1:0").await?.local_addr()?;
    let nowhere = std::path::Path::new("/no/such/place");
    let number = |error: std::io::Error| error.raw_os_error().expect("it is the system's");
    let in_use = number(std::net::TcpListener::bind(taken).expect_err("it is taken"));
    let refused = number(std::net::TcpStream::connect(free).expect_err("nobody listens"));
    let missing = number(std::fs::File::open(nowhere).expect_err("it is nowhere"));
    let callback = async |_, _| Ok(());
    let tried = [
        (in_use, &*taken.to_string(), TcpListener::bind(taken).await.map(|_| ())),
        (in_use, &*taken.to_string(), selvedge::start_server(callback, taken).await.map(|_| ())),
        (refused, &*free.to_string(), TcpStream::connect(free).await.map(|_| ())),
        (refused, &*free.to_string(), selvedge::open_connection(free).await.map(|_| ())),
        (missing, "/no/such/place", UnixStream::connect(nowhere).await.map(|_| ())),
        (missing, "/no/such/place", UnixDatagram::bind(nowhere).map(|_| ())),
        (missing, "/no/such/place", selvedge::start_unix_server(callback, nowhere).await.map(|_| ())),
    ];
    for (number, place, tried) in tried {
        let error = tried.expect_err("it cannot be");
        assert_eq!(error.raw_os_error(), Some(number), "{error}");
        let source = error.source().expect("the original is kept").to_string();
        assert_eq!(error.to_string().matches(place).count(), 1, "{error}");
        assert!(error.to_string().contains(&source) && !source.contains(place), "{error}: {source}");
    }
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn udp_packets_stay_whole() -> Result<()> {
    let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    one.connect(other.local_addr()?).await?;
    other.connect(one.local_addr()?).await?;
    let mut buffer = [0; 100];
    for length in 1..50 {
        one.send(&vec![length; length.into()]).await?;
        let n = other.recv(&mut buffer).await?;
        assert_eq!(&buffer[..n], vec![length; length.into()]);
    }
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn many_tasks_may_accept_from_one_listener() -> Result<()> {
    let listener = std::sync::Arc::new(TcpListener::bind("127.0.0.1:0").await?);
    let addr = listener.local_addr()?;
    let accept = |_| {
        let listener = listener.clone();
        selvedge::create_task(async move { Ok(listener.accept().await?.1) })
    };
    let acceptors: Vec<_> = (0..50).map(accept).collect();
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(TcpStream::connect(addr).await?);
    }
    let mut accepted = selvedge::gather(acceptors).await?;
    let mut connected: Vec<_> =
        streams.iter().map(|stream| stream.local_addr().expect("it is open")).collect();
    accepted.sort();
    connected.sort();
    assert_eq!(accepted, connected);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn both_halves_of_a_borrowed_stream_work_at_once() -> Result<()> {
    let (mut one, other) = UnixStream::pair()?;
    let echo = selvedge::create_task(async move {
        let mut buffer = [0; 1000];
        loop {
            match other.read(&mut buffer).await? {
                0 => return Ok(()),
                n => other.write_all(&buffer[..n]).await?,
            }
        }
    });
    let (reader, writer) = one.split();
    let bytes = vec![7; 500_000];
    let mut back = vec![0; bytes.len()];
    let (written, read) = futures_util::join!(writer.write_all(&bytes), reader.read_exact(&mut back));
    written.and(read)?;
    assert_eq!(back, bytes);
    drop((reader, writer));
    drop(one);
    echo.await
}

#[test]
fn a_socket_outlives_its_loop_and_says_so() {
    let (stream, _other) = selvedge::run(async { UnixStream::pair() }).expect("a pair");
    let read = selvedge::run(async move { stream.read(&mut [0; 8]).await });
    assert!(read.expect_err("nobody watches").to_string().contains("is closed"));
}

#[test]
fn outside_of_a_loop_there_are_no_sockets() {
    assert!(UnixStream::pair().expect_err("no loop").to_string().contains("no running event loop"));
}
