//! How does Selvedge serve? With its own sockets, and with hyper through its feature `hyper`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use selvedge::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::rivals::Selvedge;
use crate::served::network::{Http, Listener, Network, Stream};

impl<const WATCHDOG: bool> Network for Selvedge<WATCHDOG> {
    type Tcp = TcpListener;
    type Unix = UnixListener;

    async fn listen_tcp() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn listen_unix(path: PathBuf) -> io::Result<UnixListener> {
        Ok(UnixListener::bind(path)?)
    }
}

impl<const WATCHDOG: bool> Http for Selvedge<WATCHDOG> {
    type Io = TcpStream;
    type Timer = selvedge::hyper::Timer;

    fn io(stream: TcpStream) -> TcpStream {
        stream
    }

    fn timer() -> selvedge::hyper::Timer {
        selvedge::hyper::Timer
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        // Selvedge sets `TCP_NODELAY` itself.
        Ok(self.accept().await?.0)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

impl Stream for TcpStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(TcpStream::read(self, buffer).await?)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Ok(TcpStream::write_all(self, bytes).await?)
    }
}

impl Stream for UnixStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(UnixStream::read(self, buffer).await?)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        Ok(UnixStream::write_all(self, bytes).await?)
    }
}
