//! How does tokio serve? With its own sockets, and with hyper through `hyper-util`.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::rivals::Tokio;
use crate::served::network::{Http, Listener, Network, Stream};

impl Network for Tokio {
    type Tcp = TcpListener;
    type Unix = UnixListener;

    async fn listen_tcp() -> io::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn listen_unix(path: PathBuf) -> io::Result<UnixListener> {
        UnixListener::bind(path)
    }
}

impl Http for Tokio {
    type Io = TokioIo<TcpStream>;
    type Timer = TokioTimer;

    fn io(stream: TcpStream) -> TokioIo<TcpStream> {
        TokioIo::new(stream)
    }

    fn timer() -> TokioTimer {
        TokioTimer::new()
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
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
        AsyncReadExt::read(self, buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }
}

impl Stream for UnixStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }
}
