//! Which problems can prevent the digest of a file?

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::names;

/// A problem that prevented the digest of `path`.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) path: PathBuf,
    pub(crate) what: What,
    /// The path was given on the command line, so the problem affects the exit status.
    pub(crate) named: bool,
}

#[derive(Debug)]
pub(crate) enum What {
    Io(io::Error),
    /// A symbolic link leads back to a folder that contains it.
    DirectoryLoop {
        back_to: PathBuf,
    },
    /// A pipe, a socket, a device: reading it may never end.
    NotAFile,
    /// The task that digested the file failed with this message.
    Failed(String),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Io(error) => error.fmt(f),
            What::DirectoryLoop { back_to } => {
                write!(f, "a directory loop: it leads back to {}", names::shown(back_to))
            }
            What::NotAFile => f.write_str("neither a file nor a folder"),
            What::Failed(message) => f.write_str(message),
        }
    }
}
