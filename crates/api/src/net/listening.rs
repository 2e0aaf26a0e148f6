//! How is a listening socket created, and how many connections may wait in it?

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// The default limit of connections that wait to be accepted. asyncio's default is 100. A client
/// that finds the queue full tries again only after a second, and bursts of several hundred
/// connections are common. The operating system has a limit of its own.
pub(crate) const DEFAULT_BACKLOG: u32 = 1024;

fn for_the_system(backlog: u32) -> i32 {
    backlog.try_into().unwrap_or(i32::MAX)
}

/// With `only_v6` an IPv6 socket leaves IPv4 to a separate socket.
pub(crate) fn listen_at(addr: SocketAddr, backlog: u32, only_v6: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option has another meaning.
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
