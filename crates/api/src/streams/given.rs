//! Which sockets that are there already can carry a connection or a server?

use super::listener::Listener;
use super::transport::Transport;
use crate::net::{TcpListener, TcpStream};
#[cfg(unix)]
use crate::net::{UnixListener, UnixStream};

/// What [`open_connection_on`](super::open_connection_on) takes: TCP's streams and Unix's. There is nothing to implement.
pub trait IntoConnection: sealed::IntoTransport {}

/// What [`start_server_on`](super::start_server_on) takes: TCP's listeners and Unix's. There is nothing to implement.
pub trait IntoServer: sealed::IntoListener {}

mod sealed {
    use super::{Listener, Transport};

    pub trait IntoTransport {
        #[doc(hidden)]
        fn into_transport(self) -> Transport;
    }

    pub trait IntoListener {
        #[doc(hidden)]
        fn into_listener(self) -> Listener;
    }
}

impl IntoConnection for TcpStream {}
impl sealed::IntoTransport for TcpStream {
    fn into_transport(self) -> Transport {
        Transport::Tcp(self)
    }
}

#[cfg(unix)]
impl IntoConnection for UnixStream {}
#[cfg(unix)]
impl sealed::IntoTransport for UnixStream {
    fn into_transport(self) -> Transport {
        Transport::Unix(self)
    }
}

impl IntoServer for TcpListener {}
impl sealed::IntoListener for TcpListener {
    fn into_listener(self) -> Listener {
        Listener::Tcp(self)
    }
}

#[cfg(unix)]
impl IntoServer for UnixListener {}
#[cfg(unix)]
impl sealed::IntoListener for UnixListener {
    fn into_listener(self) -> Listener {
        Listener::Unix { listener: self, file: None }
    }
}
