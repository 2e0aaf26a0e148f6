//! How is a path written, for people and for `sha256sum`?

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// For people: on one line and harmless to a terminal, whatever the name contains.
pub(crate) fn shown(path: &Path) -> String {
    let mut shown = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Writes a line as `sha256sum` does. A name with a line break or a backslash is escaped, and a
/// backslash before the digest marks this; all other names are written byte for byte.
pub(crate) fn write_sum(out: &mut impl Write, sum: impl Display, path: &Path) -> io::Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    if !name.iter().any(|byte| b"\\\n\r".contains(byte)) {
        write!(out, "{sum}  ")?;
        out.write_all(name)?;
        return out.write_all(b"\n");
    }
    write!(out, "\\{sum}  ")?;
    for byte in name {
        match byte {
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            other => out.write_all(&[*other])?,
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &Path) -> Vec<u8> {
        let mut line = Vec::new();
        write_sum(&mut line, "5e", path).unwrap();
        line
    }

    #[test]
    fn sums_are_escaped_as_sha256sum_does() {
        assert_eq!(line(Path::new("a  b")), b"5e  a  b\n");
        assert_eq!(line(Path::new("a\nb")), b"\\5e  a\\nb\n");
        assert_eq!(line(Path::new("a\rb\\")), b"\\5e  a\\rb\\\\\n");
    }

    #[test]
    fn shown_names_keep_to_their_line() {
        assert_eq!(shown(Path::new("caf\u{e9} \n\u{1b}[2J")), "caf\u{e9} \\n\\u{1b}[2J");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_pass() {
        use std::os::unix::ffi::OsStrExt;
        let odd = Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9"));
        assert_eq!(line(odd), b"5e  caf\xe9\n");
        assert_eq!(shown(odd), "caf\u{fffd}");
    }
}
