//! `scale`: does an operation over many waiting things cost more for each of them than over few?

use std::process::ExitCode;

use selvedge_benches::scale::{Line, ROWS, measure};

const USAGE: &str = "\
usage: scale [--rows SUBSTRING] [--rounds K] [--quick]
  --rows SUBSTRING  only rows whose name contains it
  --rounds K        measurements of each size, in turn; their median is shown (default: 7)
  --quick           each row once, with few waiters: shows that it runs, and judges nothing";

/// How many wait: few, and many.
const SIZES: [usize; 2] = [10_000, 160_000];
const QUICK_SIZES: [usize; 2] = [100, 400];
/// What one of many may cost, in times of what one of few costs. The caches alone cost some of that.
const MOST: f64 = 2.0;

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
    println!("ns for each of n; median of {rounds} rounds; at most {MOST} times as much for many as for few");
    println!("{:<58} {:>10} {:>10} {:>7}", "", sizes[0], sizes[1], "ratio");
    let (mut judged, mut missed) = (0, 0);
    for row in ROWS.iter().filter(|row| row.name.contains(&rows)) {
        let Line { few, many } = measure(row, sizes, rounds);
        let ratio = many / few;
        let verdict = match ratio {
            _ if is_quick => "",
            ratio if ratio <= MOST => "ok",
            _ => "OVER",
        };
        println!("{:<58} {few:>10.1} {many:>10.1} {ratio:>7.2} {verdict}", row.name);
        judged += 1;
        missed += usize::from(verdict == "OVER");
    }
    println!("rows: {judged}, over: {missed}");
    // A gate through which nothing went has proved nothing.
    Ok(if judged > 0 && missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
