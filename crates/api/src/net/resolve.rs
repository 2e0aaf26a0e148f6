//! Which addresses does a name stand for?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _};
use std::{fmt, io};

use crate::error::{Error, Result, retold};
use crate::threads::to_thread;

/// What can be connected or bound to: addresses, or a name with a port (`"localhost:80"`,
/// `("localhost", 80)`).
///
/// A name is looked up on a thread of the pool, because the operating system's look-up blocks. The
/// trait is sealed: there is nothing to implement.
///
/// # Examples
///
/// ```
/// # selvedge::run(async {
/// use selvedge::net::lookup_host;
///
/// let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
/// assert_eq!(lookup_host("127.0.0.1:80").await?, [addr]);
/// assert_eq!(lookup_host(("127.0.0.1", 80)).await?, [addr]);
/// assert!(lookup_host("no port").await.is_err());
/// # Ok(())
/// # }).unwrap();
/// ```
pub trait ToSocketAddrs: sealed::Sealed {}

mod sealed {
    pub trait Sealed {
        #[doc(hidden)]
        fn target(&self) -> super::Target;
    }
}

/// Known addresses, or a name that must be looked up.
#[doc(hidden)]
#[derive(Debug)]
pub enum Target {
    Known(Vec<SocketAddr>),
    Named(String, Option<u16>),
}

/// All addresses that `target` stands for, in the operating system's order; asyncio's `getaddrinfo`.
///
/// # Errors
///
/// [`std::io::Error`]: the name is not known, or there is no port.
///
/// # Cancellation
///
/// Ends the await at once. A look-up that has begun continues on its thread, and its result is
/// dropped.
pub async fn lookup_host(target: impl ToSocketAddrs) -> Result<Vec<SocketAddr>> {
    lookup(target.target()).await
}

pub(crate) async fn lookup(target: Target) -> Result<Vec<SocketAddr>> {
    let (name, port) = match target {
        Target::Known(addrs) => return Ok(addrs),
        Target::Named(name, port) => (name, port),
    };
    let look_up = move || -> io::Result<Vec<SocketAddr>> {
        let found = match port {
            None if !name.contains(':') => {
                let missing = format!("a port is missing: write \"{name}:80\", or (\"{name}\", 80)");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, missing));
            }
            None => name.to_socket_addrs(),
            Some(port) => (name.as_str(), port).to_socket_addrs(),
        };
        Ok(found.map_err(about(name))?.collect())
    };
    Ok(to_thread(look_up).await??)
}

/// The same error with `what` added to its message. An error that does not concern `what` (no more
/// file descriptors) is left as it is.
pub(crate) fn about(what: impl fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    use io::ErrorKind as Kind;
    move |error| match error.kind() {
        Kind::AddrInUse
        | Kind::AddrNotAvailable
        | Kind::ConnectionRefused
        | Kind::ConnectionReset
        | Kind::HostUnreachable
        | Kind::InvalidInput
        | Kind::NetworkUnreachable
        | Kind::NotFound
        | Kind::PermissionDenied
        | Kind::TimedOut => retold(error, |error| format!("{error}: {what}")),
        // An error of a look-up, which has no number.
        _ if error.raw_os_error().is_none() => retold(error, |error| format!("{error}: {what}")),
        _ => error,
    }
}

/// The last error of the addresses that were tried so far.
#[derive(Default)]
pub(crate) struct Failures(Option<Error>);

impl Failures {
    /// Records an error, so that the next address is tried. A cancellation ends the whole search.
    pub(crate) fn note(&mut self, error: Error) -> Result<()> {
        if error.is_cancelled() {
            return Err(error);
        }
        self.0 = Some(error);
        Ok(())
    }

    /// There are no more addresses: the last error is the result.
    pub(crate) fn into_error(self) -> Error {
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address").into();
        self.0.unwrap_or_else(none)
    }
}

macro_rules! known {
    ($($(#[$attr:meta])* $type:ty: |$self:ident| $addrs:expr;)*) => {
        $($(#[$attr])*
        impl ToSocketAddrs for $type {}
        impl sealed::Sealed for $type {
            fn target(&self) -> Target {
                let $self = self;
                Target::Known($addrs)
            }
        })*
    };
}

known! {
    SocketAddr: |addr| vec![*addr];
    SocketAddrV4: |addr| vec![(*addr).into()];
    SocketAddrV6: |addr| vec![(*addr).into()];
    (IpAddr, u16): |addr| vec![(*addr).into()];
    (Ipv4Addr, u16): |addr| vec![(*addr).into()];
    (Ipv6Addr, u16): |addr| vec![(*addr).into()];
    [SocketAddr]: |addrs| addrs.to_vec();
    Vec<SocketAddr>: |addrs| addrs.clone();
}

impl ToSocketAddrs for str {}
impl sealed::Sealed for str {
    fn target(&self) -> Target {
        self.parse().map_or_else(|_| Target::Named(self.into(), None), |addr| Target::Known(vec![addr]))
    }
}

impl ToSocketAddrs for String {}
impl sealed::Sealed for String {
    fn target(&self) -> Target {
        self.as_str().target()
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl sealed::Sealed for (&str, u16) {
    fn target(&self) -> Target {
        let (name, port) = *self;
        name.parse::<IpAddr>().map_or_else(
            |_| Target::Named(name.into(), Some(port)),
            |addr| Target::Known(vec![SocketAddr::new(addr, port)]),
        )
    }
}

impl ToSocketAddrs for (String, u16) {}
impl sealed::Sealed for (String, u16) {
    fn target(&self) -> Target {
        (self.0.as_str(), self.1).target()
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: sealed::Sealed + ?Sized> sealed::Sealed for &T {
    fn target(&self) -> Target {
        (**self).target()
    }
}
