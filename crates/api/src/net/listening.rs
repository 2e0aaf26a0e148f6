//! How does a socket come to listen, and for how many connections at once?

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted. asyncio's default is 100; whoever finds no place tries
/// again only after a second, and a crowd of some hundreds at one moment is nothing unusual. The
/// operating system has a bound of its own.
pub(crate) const DEFAULT_BACKLOG: u32 = 1024;

fn for_the_system(backlog: u32) -> i32 {
    backlog.try_into().unwrap_or(i32::MAX)
}

/// `only_v6`: IPv4 has a socket of its own.
pub(crate) fn listen_at(addr: SocketAddr, backlog: u32, only_v6: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows it would mean something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() && only_v6 {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(for_the_system(backlog))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(unix)]
pub(crate) fn listen_at_name(
    address: &std::os::unix::net::SocketAddr,
    backlog: u32,
) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let address = if address.is_unnamed() {
        // Linux chooses an abstract name.
        rustix::net::SocketAddrUnix::new_unnamed()
    } else {
        super::unix_name::raw(address)?
    };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let address = super::unix_name::raw(address)?;
    rustix::net::bind(&socket, &address)?;
    socket.listen(for_the_system(backlog))?;
    socket.set_nonblocking(true)?;
    Ok(std::os::fd::OwnedFd::from(socket).into())
}
