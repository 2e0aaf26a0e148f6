//! Can sockets and streams be used while their thread ends?

use std::future::poll_fn;
use std::pin::Pin;
use std::thread;

use futures_lite::{AsyncRead, AsyncWrite};
use selvedge::net::{TcpListener, TcpStream, UdpSocket};

use super::{Case, forever, object, on_loop, poll_once, std_streams, streams};

pub(super) fn sockets(cases: &mut Vec<Case>) {
    object(
        cases,
        "TcpListener",
        |env| on_loop(env, TcpListener::bind("127.0.0.1:0")),
        |_, listener| {
            poll_once(listener.accept());
            assert!(listener.local_addr().is_ok());
        },
    );
    object(cases, "TcpStream", streams, |_, (mut one, other)| {
        poll_once(one.read(&mut [0; 8]));
        assert_eq!(one.try_write(b"x").unwrap(), 1);
        while other.try_read(&mut [0; 8]).is_err() {
            thread::yield_now();
        }
        poll_once(poll_fn(|cx| Pin::new(&mut one).poll_read(cx, &mut [0; 8])));
        poll_once(poll_fn(|cx| Pin::new(&mut one).poll_write(cx, b"x")));
    });
    object(
        cases,
        "TcpStream made here",
        |_| std_streams(),
        |_, (one, _other)| {
            // There is no loop that could watch the socket.
            assert!(TcpStream::from_std(one).is_err());
        },
    );
    object(
        cases,
        "UdpSocket",
        |env| on_loop(env, UdpSocket::bind("127.0.0.1:0")),
        |_, socket| {
            poll_once(socket.recv(&mut [0; 8]));
            assert!(socket.try_recv(&mut [0; 8]).is_err());
        },
    );
    #[cfg(unix)]
    object(
        cases,
        "UnixStream",
        |env| on_loop(env, async { selvedge::net::UnixStream::pair() }),
        |_, (one, other)| {
            poll_once(one.read(&mut [0; 8]));
            assert_eq!(other.try_write(b"x").unwrap(), 1);
        },
    );
    object(
        cases,
        "Server and streams",
        |env| {
            on_loop(env, async {
                let server = selvedge::start_server(|_, _| forever(), "127.0.0.1:0").await?;
                let (reader, writer) = selvedge::open_connection(server.local_addrs()[0]).await?;
                Ok((server, reader, writer))
            })
        },
        |_, (server, mut reader, writer)| {
            poll_once(reader.read(8));
            writer.write(b"x").unwrap();
            poll_once(writer.drain());
            writer.close();
            server.close();
            server.abort_clients();
        },
    );
}
