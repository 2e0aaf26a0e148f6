//! Can connections and servers be made of existing sockets?

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use selvedge::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use selvedge::streams::{StreamReader, StreamWriter};
use selvedge::{
    LimitOverrunError, Result, Runner, RuntimeError, open_connection, open_connection_on,
    open_unix_connection, start_server_on, wait_for,
};
use selvedge_tests::LONG;
use socket2::SockRef;

use super::basics::pair;
use super::sockets_come_down_to;

async fn echo_a_line(mut reader: StreamReader, writer: StreamWriter) -> Result<()> {
    writer.write(reader.readline().await?)
}

/// Checks that the server answers and ends this connection.
async fn answers(connection: (StreamReader, StreamWriter)) -> Result<()> {
    let (mut reader, writer) = connection;
    writer.write("hello\n")?;
    assert_eq!(reader.read_to_end().await?, b"hello\n");
    Ok(())
}

async fn until(is_so: impl Fn() -> bool) -> Result<()> {
    while !is_so() {
        selvedge::sleep(Duration::ZERO).await?;
    }
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_connection_of_a_stream_has_its_limit_and_its_options() -> Result<()> {
    let (client, server) = pair().await?;
    let addr = client.local_addr()?;
    server.set_nodelay(false)?;
    // The delay must have no effect.
    let opens = open_connection_on(server).limit(8).happy_eyeballs_delay(Duration::ZERO);
    let (mut reader, writer) = opens.await?;
    assert_eq!(writer.peer_addr(), Some(addr));
    assert!(!SockRef::from(&writer).tcp_nodelay()?);
    client.write_all(b"short\na line that is too long\n").await?;
    assert_eq!(reader.readline().await?, b"short\n");
    assert!(reader.readline().await.is_err_and(|error| error.is::<LimitOverrunError>()));
    // A drop closes it.
    drop((reader, writer));
    assert!(matches!(client.read(&mut [0; 8]).await, Ok(0) | Err(_)));
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_megabyte_goes_through_connections_of_unix_streams() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    // Readiness that is known already is not lost.
    assert!(one.try_write(b"before").is_ok() && other.read(&mut [0; 3]).await? == 3);
    let ((_, writer), (mut reader, _)) = (open_connection_on(one).await?, open_connection_on(other).await?);
    let bytes = super::pattern(1_000_000);
    writer.write(&bytes)?;
    writer.write_eof()?;
    let read = reader.read_to_end().await?;
    assert!(read.starts_with(b"ore") && read[3..] == bytes);
    writer.close();
    writer.wait_closed().await
}

#[selvedge::test]
async fn a_connection_that_does_not_come_about_closes_its_stream() -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    assert!(open_connection_on(one).limit(0).await.is_err_and(|error| error.is::<RuntimeError>()));
    assert_eq!(other.read(&mut [0; 8]).await?, 0);
    let (one, another) = UnixStream::pair()?;
    drop(open_connection_on(one));
    assert_eq!(another.read(&mut [0; 8]).await?, 0);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    assert!(
        start_server_on(echo_a_line, listener).limit(0).await.is_err_and(|error| error.is::<RuntimeError>())
    );
    let refused = TcpStream::connect(addr).await.expect_err("nobody listens");
    assert_eq!(refused.io_kind(), Some(ErrorKind::ConnectionRefused));
    drop((other, another));
    sockets_come_down_to(0).await
}

#[test]
fn outside_of_a_loop_there_is_neither() {
    let (one, listener) =
        selvedge::run(async { Ok((UnixStream::pair()?.0, TcpListener::bind("127.0.0.1:0").await?)) })
            .expect("sockets");
    let opens = futures_lite::future::block_on(async { open_connection_on(one).await });
    assert!(opens.expect_err("no loop").to_string().contains("no running event loop"));
    let starts = futures_lite::future::block_on(async { start_server_on(echo_a_line, listener).await });
    assert!(starts.expect_err("no loop").to_string().contains("no running event loop"));
}

#[selvedge::test(workers = 2)]
async fn a_server_of_a_listener_serves_and_frees_its_address() -> Result<()> {
    let mut addr = "127.0.0.1:0".parse::<SocketAddr>()?;
    for _ in 0..10 {
        let listener = TcpListener::bind(addr).await?;
        addr = listener.local_addr()?;
        // The backlog must have no effect.
        let server = start_server_on(echo_a_line, listener).limit(8).backlog(0).await?;
        assert_eq!(server.local_addrs(), [addr]);
        answers(open_connection(addr).await?).await?;
        until(|| server.clients() == 0).await?;
        let (mut reader, writer) = open_connection(addr).await?;
        writer.write("lo")?;
        until(|| server.clients() == 1).await?;
        server.close();
        assert!(server.local_addrs().is_empty() && !server.is_serving());
        // The connection goes on, and the server's end waits for it.
        assert!(wait_for(server.wait_closed(), Duration::from_millis(1)).await.is_err());
        let listener = TcpListener::bind(addr).await?;
        writer.write("ng\n")?;
        assert_eq!(reader.readline().await?, b"long\n");
        wait_for(server.wait_closed(), LONG).await?;
        drop((reader, writer, listener));
        sockets_come_down_to(0).await?;
    }
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn a_server_of_a_listener_has_its_limit() -> Result<()> {
    let (told, is_told) = async_channel::unbounded();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let callback = move |mut reader: StreamReader, _writer| {
        let told = told.clone();
        async move {
            let line = reader.readline().await;
            told.try_send(line.is_err_and(|error| error.is::<LimitOverrunError>())).expect("it is heard");
            Ok(())
        }
    };
    let server = start_server_on(callback, listener).limit(8).await?;
    let (_reader, writer) = open_connection(&server.local_addrs()[..]).await?;
    writer.write("a line that is too long\n")?;
    assert!(is_told.recv().await?, "it had no limit");
    server.close();
    server.wait_closed().await
}

/// The socket's file does not belong to the server.
#[selvedge::test(workers = 2)]
async fn a_server_of_a_unix_listener_leaves_its_file() -> Result<()> {
    let path = std::env::temp_dir().join(format!("selvedge-given-{}", std::process::id()));
    let server = start_server_on(echo_a_line, UnixListener::bind(&path)?).await?;
    assert_eq!(server.local_addrs(), []);
    answers(open_unix_connection(&path).await?).await?;
    server.close();
    server.wait_closed().await?;
    assert!(path.exists());
    let refused = UnixStream::connect(&path).await.expect_err("nobody listens");
    assert_eq!(refused.io_kind(), Some(ErrorKind::ConnectionRefused));
    std::fs::remove_file(&path)?;
    Ok(())
}

/// A given socket belongs to the loop that it is given to. The other loop may end, before that or
/// after.
#[test]
fn sockets_of_another_loop_are_moved() {
    let runner = || Runner::builder().workers(1).build().expect("a loop");
    for closes_first in [true, false] {
        let (home, other) = (runner(), runner());
        let (one, two, listener) = home
            .run(async {
                let (one, two) = UnixStream::pair()?;
                Ok((one, two, TcpListener::bind("127.0.0.1:0").await?))
            })
            .expect("sockets");
        if closes_first {
            home.close();
        }
        let (server, connection, peer) = other
            .run(async {
                let server = start_server_on(echo_a_line, listener).await?;
                Ok((server, open_connection_on(one).await?, open_connection_on(two).await?))
            })
            .expect("they are moved");
        assert_eq!((home.get_loop().metrics().sockets, other.get_loop().metrics().sockets), (0, 3));
        home.close();
        let ended = other.run(async move {
            let ((mut reader, _writer), (_reader, writer)) = (connection, peer);
            let waits = selvedge::create_task(async move { reader.readexactly(4).await });
            selvedge::sleep(Duration::ZERO).await?;
            writer.write("here")?;
            assert_eq!(wait_for(waits, Duration::from_secs(5)).await?, b"here");
            for _ in 0..3 {
                let connection = open_connection(&server.local_addrs()[..]).await?;
                wait_for(answers(connection), Duration::from_secs(5)).await?;
            }
            server.close();
            wait_for(server.wait_closed(), Duration::from_secs(5)).await
        });
        ended.expect("it serves");
    }
}
