//! What are the SHA-256 and the gzip size of some bytes?
//!
//! There are two halves: `Source` blocks and belongs on a thread, `Digester` computes and belongs
//! in a task. A chunk passes from one to the other, so a file of any size takes the memory of one
//! chunk.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// How much is read at a time. To compress it takes some milliseconds, and a cancellation is
/// noticed after at most that time.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) sha256: Sum,
    /// The number of bytes that were read. The file may have changed since it was found.
    pub(crate) bytes: u64,
    pub(crate) gzip_bytes: u64,
}

/// A SHA-256. It is displayed in hexadecimal, up to the precision if one is given (`{:.16}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum([u8; 32]);

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(usize::MAX);
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles.take(digits).try_for_each(|nibble| write!(f, "{nibble:x}"))
    }
}

/// An open file and the buffer for its next chunk.
pub(crate) struct Source {
    file: File,
    chunk: Vec<u8>,
}

impl Source {
    pub(crate) fn open(path: &Path) -> io::Result<Source> {
        let file = File::open(path)?;
        Ok(Source { file, chunk: Vec::new() })
    }

    /// Reads the next chunk, which is empty only at the end of the file. Blocks.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        self.chunk.clear();
        (&mut self.file).take(CHUNK as u64).read_to_end(&mut self.chunk)?;
        Ok(())
    }

    pub(crate) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// The last chunk was short, so the file ends with it. One more read would only return an empty
    /// chunk.
    pub(crate) fn at_end(&self) -> bool {
        self.chunk.len() < CHUNK
    }
}

pub(crate) struct Digester {
    sha256: Sha256,
    gzip: GzEncoder<Count>,
    bytes: u64,
}

/// A sink that only counts.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Digester {
    pub(crate) fn new() -> Digester {
        Digester { sha256: Sha256::new(), gzip: GzEncoder::new(Count(0), Compression::default()), bytes: 0 }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.sha256.update(chunk);
        self.gzip.write_all(chunk)?;
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<Digested> {
        let Count(gzip_bytes) = self.gzip.finish()?;
        Ok(Digested { sha256: Sum(self.sha256.finalize().into()), bytes: self.bytes, gzip_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digested(path: &Path) -> io::Result<Digested> {
        let (mut source, mut digester) = (Source::open(path)?, Digester::new());
        loop {
            source.advance()?;
            digester.update(source.chunk())?;
            if source.at_end() {
                return digester.finish();
            }
        }
    }

    #[test]
    fn known_answers() {
        let folder = tempfile::tempdir().unwrap();
        for (text, sum) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let path = folder.path().join("file");
            std::fs::write(&path, text).unwrap();
            let digested = digested(&path).unwrap();
            assert_eq!(digested.sha256.to_string(), sum);
            assert_eq!(format!("{:.5}", digested.sha256), sum[..5]);
            assert_eq!(digested.bytes, text.len() as u64);
        }
    }

    /// Compares chunked results with the result of one piece, for lengths around the size of a
    /// chunk.
    #[test]
    fn chunks_do_not_show_in_the_result() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let text: Vec<u8> =
            (0u32..).flat_map(|n| format!("{n:b}").into_bytes()).take(2 * CHUNK + 1).collect();
        for length in [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1] {
            let text = &text[..length];
            std::fs::write(&path, text).unwrap();
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text).unwrap();
            let gzip = gzip.finish().unwrap();
            let expected = Digested {
                sha256: Sum(Sha256::digest(text).into()),
                bytes: length as u64,
                gzip_bytes: gzip.len() as u64,
            };
            assert_eq!(digested(&path).unwrap(), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_file_that_vanished_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(digested(&folder.path().join("gone")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
