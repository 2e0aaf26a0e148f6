//! Which existing sockets can carry a connection or a server?

use super::listener::Listener;
use super::transport::Transport;
use crate::net::{TcpListener, TcpStream};
#[cfg(unix)]
use crate::net::{UnixListener, UnixStream};

/// What [`open_connection_on`](super::open_connection_on) takes: TCP and Unix streams. Sealed:
/// there is nothing to implement.
#[diagnostic::on_unimplemented(
    message = "a connection cannot be opened on `{Self}`",
    label = "expected a stream of `selvedge::net`",
    note = "`net::TcpStream::from_std` and `net::UnixStream::from_std` take over a stream of the standard library"
)]
pub trait IntoConnection: sealed::IntoTransport {}

/// What [`start_server_on`](super::start_server_on) takes: TCP and Unix listeners. Sealed: there is
/// nothing to implement.
#[diagnostic::on_unimplemented(
    message = "a server cannot be started on `{Self}`",
    label = "expected a listener of `selvedge::net`",
    note = "`net::TcpListener::from_std` and `net::UnixListener::from_std` take over a listener of the standard library"
)]
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
