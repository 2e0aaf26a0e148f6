//! What does the report at the end contain?

use std::cmp::Reverse;
use std::fmt::{self, Write};
use std::path::PathBuf;

use indicatif::{DecimalBytes, HumanCount};

use crate::crew::Outcome;
use crate::digest::Digested;
use crate::names::shown;

/// How many digits of a SHA-256 the table shows; `--sums` writes all of them.
const SHOWN_DIGITS: usize = 16;

/// The report: the `top` largest files, totals, rates, the workers' shares, and the problems.
pub(crate) fn report(outcome: &Outcome, top: usize) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_report(&mut text, outcome, top);
    text
}

fn write_report(out: &mut String, outcome: &Outcome, top: usize) -> fmt::Result {
    write_largest(out, &outcome.digested, top)?;
    write_totals(out, outcome)?;
    write_workers(out, outcome)?;
    write_problems(out, outcome)
}

fn write_largest(out: &mut String, digested: &[(PathBuf, Digested)], top: usize) -> fmt::Result {
    let mut largest: Vec<_> = digested.iter().collect();
    largest.sort_by_key(|(path, digested)| (Reverse(digested.bytes), path));
    largest.truncate(top);
    if largest.is_empty() {
        return Ok(());
    }
    writeln!(out, "{:>10}  {:>10}  {:>6}  {:SHOWN_DIGITS$}  file", "size", "gzip", "ratio", "sha256")?;
    for (path, digested) in largest {
        let size = DecimalBytes(digested.bytes).to_string();
        let gzip = DecimalBytes(digested.gzip_bytes).to_string();
        let ratio = percent(digested.gzip_bytes, digested.bytes);
        let sum = digested.sha256;
        writeln!(out, "{size:>10}  {gzip:>10}  {ratio:>6}  {sum:.SHOWN_DIGITS$}  {}", shown(path))?;
    }
    writeln!(out)
}

fn write_totals(out: &mut String, outcome: &Outcome) -> fmt::Result {
    let files = outcome.digested.len();
    let bytes: u64 = outcome.digested.iter().map(|(_, digested)| digested.bytes).sum();
    let gzip: u64 = outcome.digested.iter().map(|(_, digested)| digested.gzip_bytes).sum();
    if outcome.interrupted {
        writeln!(out, "Interrupted: {} of {} files were digested.", count(files), count(outcome.found))?;
    }
    let ratio = percent(gzip, bytes);
    writeln!(out, "{} files, {}, gzip {} ({ratio})", count(files), DecimalBytes(bytes), DecimalBytes(gzip))?;
    let workers = outcome.workers.iter().filter(|worker| !worker.is_standby).count();
    let seconds = outcome.elapsed.as_secs_f64();
    let per_second = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
    writeln!(
        out,
        "{seconds:.2} s with {workers} worker{}: {:.0} files/s, {:.1} MB/s",
        if workers == 1 { "" } else { "s" },
        per_second(float(files as u64)),
        per_second(float(bytes) / 1e6),
    )
}

fn write_workers(out: &mut String, outcome: &Outcome) -> fmt::Result {
    writeln!(out, "\n{:>8}  {:>10}  {:>10}", "worker", "polls", "stolen")?;
    let mut line = |name: &str, polls: u64, steals: u64| {
        let (polls, steals) = (HumanCount(polls).to_string(), HumanCount(steals).to_string());
        writeln!(out, "{name:>8}  {polls:>10}  {steals:>10}")
    };
    let (standbys, workers): (Vec<_>, Vec<_>) = outcome.workers.iter().partition(|worker| worker.is_standby);
    for (index, worker) in workers.into_iter().enumerate() {
        line(&index.to_string(), worker.polls, worker.steals)?;
    }
    // The standbys, which replaced workers while those computed. They come and go, so their counts
    // are added up.
    let polls = standbys.iter().map(|standby| standby.polls).sum();
    let steals = standbys.iter().map(|standby| standby.steals).sum();
    if polls > 0 { line("standbys", polls, steals) } else { Ok(()) }
}

fn write_problems(out: &mut String, outcome: &Outcome) -> fmt::Result {
    if outcome.problems.is_empty() {
        return Ok(());
    }
    let mut problems: Vec<_> = outcome.problems.iter().collect();
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    writeln!(out, "\nNot digested: {}", count(problems.len()))?;
    for problem in problems {
        writeln!(out, "  {}: {}", shown(&problem.path), problem.what)?;
    }
    Ok(())
}

fn count(number: usize) -> HumanCount {
    HumanCount(number as u64)
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * float(part) / float(whole)) }
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crew::Worker;
    use crate::digest::Digester;
    use crate::problem::{Problem, What};
    use std::time::Duration;

    fn outcome(files: &[(&str, usize)]) -> Outcome {
        let digested = files.iter().map(|(name, size)| {
            let mut digester = Digester::new();
            digester.update(&vec![b'x'; *size]).unwrap();
            (PathBuf::from(name), digester.finish().unwrap())
        });
        Outcome {
            digested: digested.collect(),
            problems: Vec::new(),
            found: files.len(),
            interrupted: false,
            elapsed: Duration::from_millis(500),
            workers: vec![
                Worker { polls: 1234, steals: 5, is_standby: false },
                Worker { polls: 6, steals: 1, is_standby: true },
                Worker { polls: 7, steals: 2, is_standby: true },
            ],
        }
    }

    #[test]
    fn the_largest_come_first_and_equals_by_name() {
        let text = report(&outcome(&[("small", 1), ("b", 2000), ("a", 2000), ("empty", 0)]), 3);
        let names: Vec<_> =
            text.lines().skip(1).take(3).filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(names, ["a", "b", "small"]);
        assert!(!text.contains("empty"));
        assert!(text.contains("4 files, 4.00 kB"), "{text}");
        assert!(text.contains("0.50 s with 1 worker: 8 files/s, 0.0 MB/s"), "{text}");
        assert!(
            text.ends_with("       0       1,234           5\nstandbys          13           3\n"),
            "{text}"
        );
    }

    #[test]
    fn nothing_at_all_is_a_report_too() {
        let mut nothing = outcome(&[]);
        nothing.elapsed = Duration::ZERO;
        let text = report(&nothing, 10);
        assert!(text.starts_with("0 files, 0 B, gzip 0 B (-)\n"), "{text}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn an_interrupted_run_says_how_far_it_came() {
        let mut part = outcome(&[("a", 1)]);
        (part.found, part.interrupted) = (2000, true);
        assert!(report(&part, 0).starts_with("Interrupted: 1 of 2,000 files were digested.\n"));
    }

    #[test]
    fn problems_have_a_line_each_whatever_their_names() {
        let mut outcome = outcome(&[]);
        for name in ["z", "new\nline"] {
            let what = What::Failed("gone".to_owned());
            outcome.problems.push(Problem { path: name.into(), what, named: false });
        }
        assert!(report(&outcome, 1).ends_with("Not digested: 2\n  new\\nline: gone\n  z: gone\n"));
    }
}
