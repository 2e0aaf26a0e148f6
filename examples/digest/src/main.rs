//! `digest`: how does Selvedge do on a batch of work? SHA-256 and gzip size of every file in a
//! tree, on every core.
//!
//! | file | question |
//! |---|---|
//! | `cli` | Which options and paths does the command line give? |
//! | `walk` | Which files are under the given paths? |
//! | `digest` | What are the SHA-256 and the gzip size of some bytes? |
//! | `problem` | Which problems can prevent the digest of a file? |
//! | `crew` | How is the work divided among tasks? |
//! | `progress` | How much of the work is done? |
//! | `report` | What does the report at the end contain? |
//! | `names` | How is a path written, for people and for `sha256sum`? |

#![forbid(unsafe_code)]

mod cli;
mod crew;
mod digest;
mod names;
mod problem;
mod progress;
mod report;
mod walk;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use cli::{Command, Options, Sums};
use crew::Outcome;

/// A path from the command line could not be digested, or the result could not be written.
const EXIT_FAILED: u8 = 1;
/// The command line is invalid.
const EXIT_USAGE: u8 = 2;
/// The status that a shell reports for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Digest(options)) => options,
        Ok(Command::Help) => return print(cli::HELP),
        Ok(Command::Version) => return print(concat!("digest ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(message) => {
            complain(&format!("{message} (`digest --help` shows what there is)"));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let outcome = match run(options.clone()) {
        Ok(outcome) => outcome,
        // The first Ctrl-C cancels the coroutine, which returns the finished files. This error
        // means a second Ctrl-C.
        Err(error) if error.is::<selvedge::KeyboardInterrupt>() => return ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(EXIT_FAILED);
        }
    };
    match publish(&outcome, &options) {
        Ok(()) if outcome.interrupted => ExitCode::from(EXIT_INTERRUPTED),
        Ok(()) if outcome.problems.iter().any(|problem| problem.named) => ExitCode::from(EXIT_FAILED),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("the result could not be written: {error}"));
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run(options: Options) -> selvedge::Result<Outcome> {
    let runner = selvedge::Runner::builder().workers(options.workers).build()?;
    runner.run(crew::digest(options))
}

/// Writes the report, and the sums to the place that the options name.
fn publish(outcome: &Outcome, options: &Options) -> io::Result<()> {
    let report = report::report(outcome, options.top);
    match &options.sums {
        None => tolerant(io::stdout().write_all(report.as_bytes())),
        Some(Sums::Stdout) => {
            tolerant(io::stderr().write_all(report.as_bytes()))?;
            tolerant(write_sums(io::stdout().lock(), outcome))
        }
        Some(Sums::File(path)) => {
            tolerant(io::stdout().write_all(report.as_bytes()))?;
            File::create(path)
                .and_then(|file| write_sums(file, outcome))
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", names::shown(path))))
        }
    }
}

/// The sums in the order of their paths, so that two runs over the same files write the same.
fn write_sums(out: impl Write, outcome: &Outcome) -> io::Result<()> {
    let mut digested: Vec<_> = outcome.digested.iter().collect();
    digested.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut out = BufWriter::new(out);
    for (path, digested) in digested {
        names::write_sum(&mut out, digested.sha256, path)?;
    }
    out.flush()
}

fn print(text: &str) -> ExitCode {
    match tolerant(io::stdout().write_all(text.as_bytes())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(EXIT_FAILED),
    }
}

/// A reader that closes the pipe early (`digest | head`) is no error.
fn tolerant(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn complain(message: &str) {
    // If stderr is closed, the exit status still reports the failure.
    let _ = writeln!(io::stderr(), "digest: {message}");
}
