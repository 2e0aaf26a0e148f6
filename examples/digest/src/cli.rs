//! Which options and paths does the command line give?

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) const HELP: &str = "\
Digests files: SHA-256 and gzip-compressed size of each, computed on every core.

Usage: digest [PATHS...] [OPTIONS]

  PATHS           files and folders; with none, the folder you are in, without .git and
                  without the folders that tools mark as their caches (CACHEDIR.TAG)
  --workers N     worker threads, at least 1 (default: one per core; more are allowed)
  --top K         how many of the largest files to list (default: 10)
  --sums FILE     write the digests as sha256sum does, so that `sha256sum -c FILE` checks
                  them; `-` writes them to stdout and the report to stderr
  --no-progress   neither a progress bar nor progress lines
  -h, --help      this text
  -V, --version   the version

A file is digested once, under its own name, however many PATHS or symbolic links lead to it.
What cannot be digested is listed at the end and does not stop the run.

Exit status: 0 done; 1 a path named on the command line could not be digested, or FILE could
not be written; 2 the command line makes no sense; 130 interrupted by Ctrl-C (what was finished
is reported).
";

/// How many of the largest files are listed without `--top`: as many as fit on a small terminal.
const DEFAULT_TOP: usize = 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Digest(Options),
    Help,
    Version,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) paths: Vec<PathBuf>,
    /// No path was given: `paths` is the current folder, and caches are left out.
    pub(crate) paths_are_default: bool,
    pub(crate) workers: usize,
    pub(crate) top: usize,
    pub(crate) sums: Option<Sums>,
    pub(crate) progress: bool,
}

/// Where to write the lines in `sha256sum`'s format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sums {
    Stdout,
    File(PathBuf),
}

impl Sums {
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Sums::Stdout => None,
            Sums::File(path) => Some(path),
        }
    }
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// A message for the user: an option that does not exist, a value that makes no sense.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    use lexopt::prelude::{Long, Short, Value};

    let mut paths = Vec::new();
    let mut workers = num_cpus::get();
    let mut top = DEFAULT_TOP;
    let mut sums = None;
    let mut progress = true;

    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Short('V') | Long("version") => return Ok(Command::Version),
            Long("workers") => workers = number(&mut parser, "--workers", 1)?,
            Long("top") => top = number(&mut parser, "--top", 0)?,
            Long("sums") => sums = Some(sums_target(&mut parser)?),
            Long("no-progress") => progress = false,
            Value(path) => paths.push(PathBuf::from(path)),
            unknown => return Err(unknown.unexpected().to_string()),
        }
    }

    let paths_are_default = paths.is_empty();
    if paths_are_default {
        paths.push(PathBuf::from("."));
    }
    Ok(Command::Digest(Options { paths, paths_are_default, workers, top, sums, progress }))
}

fn number(parser: &mut lexopt::Parser, option: &str, least: usize) -> Result<usize, String> {
    let text = parser.value().map_err(|error| error.to_string())?;
    let wrong = || format!("{option} takes a whole number of at least {least}, not '{}'", text.display());
    let number: usize = text.to_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    if number < least { Err(wrong()) } else { Ok(number) }
}

fn sums_target(parser: &mut lexopt::Parser) -> Result<Sums, String> {
    let path = parser.value().map_err(|error| error.to_string())?;
    if path.is_empty() {
        return Err("--sums takes the name of a file, or `-` for stdout".to_owned());
    }
    Ok(if path == "-" { Sums::Stdout } else { Sums::File(PathBuf::from(path)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Command, String> {
        parse(line.iter().map(OsString::from))
    }

    fn options(line: &[&str]) -> Options {
        match parsed(line) {
            Ok(Command::Digest(options)) => options,
            other => panic!("{line:?} gave {other:?}"),
        }
    }

    #[test]
    fn an_empty_line_digests_the_current_folder_with_every_core() {
        let options = options(&[]);
        assert_eq!(options.paths, [PathBuf::from(".")]);
        assert!(options.paths_are_default);
        assert_eq!(options.workers, num_cpus::get());
        assert!(options.progress);
        assert_eq!(options.sums, None);
    }

    #[test]
    fn options_and_paths_may_be_mixed() {
        let options =
            options(&["a", "--workers=3", "b", "--top", "0", "--no-progress", "--sums", "-", "--", "--top"]);
        assert_eq!(options.paths, ["a", "b", "--top"].map(PathBuf::from));
        assert!(!options.paths_are_default);
        assert_eq!((options.workers, options.top, options.progress), (3, 0, false));
        assert_eq!(options.sums, Some(Sums::Stdout));
    }

    #[test]
    fn help_and_version_win_over_what_follows() {
        assert_eq!(parsed(&["--help", "--workers", "0"]), Ok(Command::Help));
        assert_eq!(parsed(&["-V"]), Ok(Command::Version));
    }

    #[test]
    fn nonsense_is_named_in_the_message() {
        for (line, culprit) in [
            (&["--workers", "0"][..], "--workers takes a whole number of at least 1, not '0'"),
            (&["--workers", "-1"], "--workers"),
            (&["--workers", "many"], "many"),
            (&["--workers"], "workers"),
            (&["--top", "99999999999999999999999"], "--top"),
            (&["--frobnicate"], "--frobnicate"),
            (&["--sums", ""], "--sums"),
            (&["--no-progress=yes"], "--no-progress"),
        ] {
            let message = parsed(line).expect_err("nonsense was accepted");
            assert!(message.contains(culprit), "{line:?}: {message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_need_not_be_utf8() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(b"caf\xe9".to_vec());
        let Ok(Command::Digest(options)) = parse([odd.clone()]) else { panic!("refused") };
        assert_eq!(options.paths, [PathBuf::from(odd)]);
    }
}
