//! Which address does the name of a Unix socket stand for?

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use rustix::net::SocketAddrUnix;

/// A name that begins with a zero byte is abstract: it is not in the file system, and exists as
/// long as a socket is bound to it. Only on Linux, as in asyncio.
pub(crate) fn is_abstract(name: &Path) -> bool {
    abstract_name(name).is_some()
}

fn abstract_name(name: &Path) -> Option<&[u8]> {
    name.as_os_str().as_bytes().strip_prefix(b"\0")
}

/// The address for `std` and mio.
pub(crate) fn address(name: &Path) -> io::Result<SocketAddr> {
    match abstract_name(name) {
        None => SocketAddr::from_pathname(name),
        Some(name) => std_abstract(name),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn std_abstract(name: &[u8]) -> io::Result<SocketAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;

    if name.is_empty() {
        let empty =
            "an abstract name needs a byte after the zero byte: nobody could connect to the empty one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, empty));
    }
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn std_abstract(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(no_abstract_names())
}

/// The address for system calls that neither `std` nor mio offer.
pub(super) fn raw(address: &SocketAddr) -> io::Result<SocketAddrUnix> {
    if let Some(path) = address.as_pathname() {
        return Ok(SocketAddrUnix::new(path)?);
    }
    if let Some(name) = abstract_part(address) {
        return raw_abstract(name);
    }
    let unnamed = "the address is that of a socket without a name: nobody can be reached there";
    Err(io::Error::new(io::ErrorKind::InvalidInput, unnamed))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn raw_abstract(name: &[u8]) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new_abstract_name(name)?)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn raw_abstract(_name: &[u8]) -> io::Result<SocketAddrUnix> {
    Err(no_abstract_names())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn no_abstract_names() -> io::Error {
    let only =
        "only Linux has abstract names of Unix sockets (those that begin with a zero byte): use a path";
    io::Error::new(io::ErrorKind::Unsupported, only)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_part(address: &SocketAddr) -> Option<&[u8]> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;

    address.as_abstract_name()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_part(_address: &SocketAddr) -> Option<&[u8]> {
    None
}

/// The name for a message. An abstract name begins with `@`, as in Linux's tools.
pub(crate) fn shown(name: &Path) -> Shown<'_> {
    Shown { is_abstract: is_abstract(name), name: abstract_name(name).unwrap_or(name.as_os_str().as_bytes()) }
}

/// As [`shown`].
pub(super) fn shown_address(address: &SocketAddr) -> Shown<'_> {
    match (address.as_pathname(), abstract_part(address)) {
        (Some(path), _) => Shown { is_abstract: false, name: path.as_os_str().as_bytes() },
        (None, Some(name)) => Shown { is_abstract: true, name },
        (None, None) => Shown { is_abstract: false, name: b"(unnamed)" },
    }
}

pub(crate) struct Shown<'a> {
    is_abstract: bool,
    name: &'a [u8],
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.is_abstract { "@" } else { "" };
        write!(f, "{at}{}", Path::new(OsStr::from_bytes(self.name)).display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_name_is_shown_without_its_zero_byte() {
        assert_eq!(shown(Path::new("\0name")).to_string(), "@name");
        assert_eq!(shown(Path::new("/tmp/name")).to_string(), "/tmp/name");
        for name in ["\0name", "/tmp/name"] {
            assert_eq!(
                shown_address(&address(Path::new(name)).unwrap()).to_string(),
                shown(Path::new(name)).to_string()
            );
        }
    }

    #[test]
    fn a_zero_byte_elsewhere_is_refused() {
        let error = address(Path::new("na\0me")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        for first in ["\0", "/"] {
            let name = format!("{first}{}", "x".repeat(108));
            assert_eq!(address(Path::new(&name)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
