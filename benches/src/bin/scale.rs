//! Does an operation over many waiting items cost more per item than over few?

use std::process::ExitCode;

use selvedge_benches::scale::{Line, ROWS, measure};

const USAGE: &str = "\
usage: scale [--rows SUBSTRING] [--rounds K] [--quick]
  --rows SUBSTRING  only rows whose name contains it
  --rounds K        measurements of each size, in turn; their median is shown (default: 7)
  --quick           each row once, with few waiters: shows that it runs, and judges nothing";

/// How many items wait: few, and many.
const SIZES: [usize; 2] = [10_000, 160_000];
const QUICK_SIZES: [usize; 2] = [100, 400];
/// The largest allowed ratio between the cost per item among many items and among few.
const MOST: f64 = 2.0;
/// The same for a row whose ratio to as many items in small sets is at most `MOST`: there the
/// caches are the reason. An operation in O(n²) has the ratio of the two sizes.
const MOST_FOR_CACHES: f64 = 8.0;

fn main() -> Result<ExitCode, lexopt::Error> {
    use lexopt::prelude::*;

    let (mut rows, mut rounds, mut is_quick) = (String::new(), 7, false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rows") => rows = arguments.value()?.string()?,
            Long("rounds") => rounds = arguments.value()?.parse::<usize>()?.max(1),
            Long("quick") => is_quick = true,
            Long("help") | Short('h') => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    let (sizes, rounds) = if is_quick { (QUICK_SIZES, 1) } else { (SIZES, rounds) };
    let [few, many] = sizes;
    let crowds = format!("{} x {few}", many / few);
    println!(
        "ns for each of n; median of {rounds} rounds. Each of {many} may cost {MOST} times what each of {few} costs,"
    );
    println!(
        "or {MOST_FOR_CACHES} times, if that is at most {MOST} times what each of {crowds} costs (same memory)."
    );
    println!("{:<53} {few:>8} {crowds:>11} {many:>8} {:>14}", "", "ratios");
    let (mut judged, mut missed) = (0, 0);
    for row in ROWS.iter().filter(|row| row.name.contains(&rows)) {
        let Line { few, crowds_of_few, many } = measure(row, sizes, rounds);
        let (alone, in_as_much) = (many / few, many / crowds_of_few);
        let verdict = match () {
            () if is_quick => "",
            () if alone <= MOST => "ok",
            () if in_as_much <= MOST && alone <= MOST_FOR_CACHES => "ok (caches)",
            () => "OVER",
        };
        println!(
            "{:<53} {few:>8.1} {crowds_of_few:>11.1} {many:>8.1} {alone:>6.2} {in_as_much:>6.2}  {verdict}",
            row.name
        );
        judged += 1;
        missed += usize::from(verdict == "OVER");
    }
    println!("rows: {judged}, over: {missed}");
    // A gate that judged no row must fail.
    Ok(if judged > 0 && missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
