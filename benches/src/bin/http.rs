//! How do Selvedge and its rivals compare on sockets and HTTP? Prints one table.

use std::process::ExitCode;

use selvedge_benches::heap::Counting;
use selvedge_benches::options;
use selvedge_benches::report::{Contender, Verdict, lines, print, to_json};
use selvedge_benches::served::client::{self, Load};
use selvedge_benches::served::entries;

#[global_allocator]
static HEAP: Counting = Counting;

const USAGE: &str = "\
usage: http [--workers N] [--rows SUBSTRING] [--rounds K] [--only RUNTIME[,...]] [--quick] [--json FILE] [--gate]
  --workers N           worker threads of each runtime (default: 2, for which the targets hold)
  --rows SUBSTRING      only rows whose name contains it
  --rounds K            measurements of each runtime; their median is shown (default: 5)
  --only RUNTIME[,...]  only these columns; one, for a profiler
  --quick               shorter spans
  --json FILE           also write the table to FILE
  --gate                fail when a row misses its target, or when none was judged";

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(load) = Load::from_env()? {
        client::ask(&load)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(options) = options::parse(Contender::from_name, |_, _| Ok(false))? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    if let Some((probe, contender)) = options.probe {
        contender.answer(probe, &options.setting);
        return Ok(ExitCode::SUCCESS);
    }
    let contenders = if options.only.is_empty() { Contender::COLUMNS } else { Vec::leak(options.only) };
    let mut table = Vec::new();
    for entry in entries() {
        if entry.rows[0].name.contains(&options.rows) {
            eprintln!("{} ...", entry.rows[0].name);
            let measured = entry.run(contenders, options.rounds, &options.setting);
            table.extend(lines(&measured, options.setting.workers));
        }
    }
    let title = format!("{} workers, median of {} rounds", options.setting.workers, options.rounds);
    print(&title, contenders, &table);
    let count = |verdict| table.iter().filter(|line| line.verdict == verdict).count();
    let (reached, missed) = (count(Verdict::Ok), count(Verdict::Over));
    println!("\nrows that reach their target: {reached}, that miss it: {missed}");
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&to_json(&title, contenders, &table))?)?;
    }
    // A gate that judged no row must fail: no row has that name, or Selvedge was not built in.
    let passed = missed == 0 && reached > 0;
    Ok(if options.gate && !passed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
