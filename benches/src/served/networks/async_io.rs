//! How does async-executor serve? With async-io's sockets.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::rivals::AsyncExecutor;
use crate::served::network::{Listener, Network, Stream};

impl Network for AsyncExecutor {
    type Tcp = Async<std::net::TcpListener>;
    type Unix = Async<UnixListener>;

    async fn listen_tcp() -> io::Result<(Self::Tcp, SocketAddr)> {
        let listener = Async::<std::net::TcpListener>::bind(([127, 0, 0, 1], 0))?;
        let addr = listener.get_ref().local_addr()?;
        Ok((listener, addr))
    }

    async fn listen_unix(path: PathBuf) -> io::Result<Self::Unix> {
        Async::<UnixListener>::bind(path)
    }
}

impl Listener for Async<std::net::TcpListener> {
    type Stream = Async<std::net::TcpStream>;

    async fn accept(&self) -> io::Result<Self::Stream> {
        let (stream, _) = self.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listener for Async<UnixListener> {
    type Stream = Async<UnixStream>;

    async fn accept(&self) -> io::Result<Self::Stream> {
        Ok(self.accept().await?.0)
    }
}

impl Stream for Async<std::net::TcpStream> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }
}

impl Stream for Async<UnixStream> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        AsyncReadExt::read(self, buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }
}
