//! What can stand in the way of digesting a file?

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::names;

/// What stands in the way of digesting `path`.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) path: PathBuf,
    pub(crate) what: What,
    /// The path was named on the command line, so the exit status tells.
    pub(crate) named: bool,
}

#[derive(Debug)]
pub(crate) enum What {
    Io(io::Error),
    /// A symbolic link leads back to a folder that it lies in.
    DirectoryLoop {
        back_to: PathBuf,
    },
    /// A pipe, a socket, a device: reading it may never end.
    NotAFile,
    /// The task that was to digest it failed with this message.
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
