//! Is a connection made if some of several addresses do not answer?

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use selvedge::{Result, get_running_loop, open_connection, start_server, wait_for};

use super::sockets_come_down_to;

/// An address that never answers: its backlog is full, so the system does not answer further
/// clients.
struct Silent {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silent {
    fn new() -> Silent {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let socket = socket2_listen(&listener);
        let waiting =
            (0..2).filter_map(|_| TcpStream::connect_timeout(&socket, Duration::from_millis(200)).ok());
        Silent { _waiting: waiting.collect(), listener }
    }

    fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }
}

/// Makes the backlog as short as possible.
fn socket2_listen(listener: &TcpListener) -> SocketAddr {
    socket2::SockRef::from(listener).listen(0).expect("it listens again");
    listener.local_addr().expect("it listens")
}

#[selvedge::test(workers = 2)]
async fn an_address_that_does_not_answer_is_not_waited_for() -> Result<()> {
    let silent = Silent::new();
    let server = start_server(async |_, writer| writer.write("hello"), "127.0.0.1:0").await?;
    let good = server.local_addrs()[0];
    let alone = wait_for(open_connection(silent.addr()), Duration::from_millis(50)).await;
    assert!(alone.is_err_and(|error| error.is_timeout()), "it does not answer");
    let opening = open_connection(&[silent.addr(), silent.addr(), good][..])
        .happy_eyeballs_delay(Duration::from_millis(5));
    let (mut reader, writer) = opening.await?;
    assert_eq!(writer.peer_addr(), Some(good));
    assert_eq!(reader.readexactly(5).await?, b"hello");
    drop((reader, writer));
    server.close();
    server.wait_closed().await?;
    // The other attempts were given up.
    sockets_come_down_to(0).await
}

#[selvedge::test]
async fn where_all_refuse_the_last_error_counts() -> Result<()> {
    let gone: Vec<SocketAddr> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port"))
        .collect();
    // An hour between two attempts: the next attempt does not wait if the last one has failed.
    let refused = open_connection(&gone[..]).happy_eyeballs_delay(Duration::from_hours(1)).await;
    assert_eq!(refused.expect_err("nobody listens").io_kind(), Some(std::io::ErrorKind::ConnectionRefused));
    let none: &[SocketAddr] = &[];
    let nowhere = open_connection(none).happy_eyeballs_delay(Duration::ZERO).await;
    assert_eq!(nowhere.expect_err("there is no address").io_kind(), Some(std::io::ErrorKind::InvalidInput));
    Ok(())
}

#[selvedge::test]
async fn a_race_can_be_cancelled() -> Result<()> {
    let silent = Silent::new();
    let addrs = vec![silent.addr(); 3];
    let opening = open_connection(addrs).happy_eyeballs_delay(Duration::from_millis(1));
    let late = wait_for(opening, Duration::from_millis(20)).await;
    assert!(late.is_err_and(|error| error.is_timeout()));
    assert_eq!(get_running_loop()?.metrics().sockets, 0);
    Ok(())
}
