//! How do Selvedge and its rivals compare on sockets and HTTP? Prints one table.

use std::process::ExitCode;
use std::time::Duration;

use selvedge_benches::heap::Counting;
use selvedge_benches::probe::Probe;
use selvedge_benches::report::{Contender, Verdict, lines, print, to_json};
use selvedge_benches::served::client::{self, At, Kind, Load};
use selvedge_benches::served::entries;
use selvedge_benches::workloads::Setting;

#[global_allocator]
static HEAP: Counting = Counting;

const USAGE: &str = "\
usage: http [--workers N] [--rows SUBSTRING] [--rounds K] [--only RUNTIME] [--quick] [--json FILE] [--gate]
  --workers N       worker threads of each runtime (default: 2, for which the targets hold)
  --rows SUBSTRING  only rows whose name contains it
  --rounds K        measurements of each runtime; their median is shown (default: 5)
  --only RUNTIME    one column, for a profiler
  --quick           shorter spans
  --json FILE       also write the table to FILE
  --gate            fail when a row misses its target, or when none was judged";

/// The options of the command line.
struct Options {
    setting: Setting,
    rows: String,
    rounds: usize,
    json: Option<std::path::PathBuf>,
    gate: bool,
    probe: Option<Probe>,
    runtime: Option<Contender>,
    only: Option<Contender>,
    load: Option<Kind>,
    at: Option<At>,
    connections: usize,
    warm_up: Duration,
    span: Duration,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(options) = parse()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let Options { connections, warm_up, span, .. } = options;
    if let Some((kind, at)) = options.load.zip(options.at) {
        client::ask(&Load { kind, at, connections, warm_up, span })?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some((probe, contender)) = options.probe.zip(options.runtime) {
        contender.answer(probe, &options.setting);
        return Ok(ExitCode::SUCCESS);
    }
    let contenders = options.only.map_or(Contender::COLUMNS, |only| Vec::leak(vec![only]));
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

fn parse() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;

    let mut options = Options {
        setting: Setting { workers: 2, quick: false },
        rows: String::new(),
        rounds: 5,
        json: None,
        gate: false,
        probe: None,
        runtime: None,
        only: None,
        load: None,
        at: None,
        connections: 1,
        warm_up: Duration::ZERO,
        span: Duration::ZERO,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("workers") => options.setting.workers = arguments.value()?.parse::<usize>()?.max(1),
            Long("rows") => options.rows = arguments.value()?.string()?,
            Long("rounds") => options.rounds = arguments.value()?.parse::<usize>()?.max(1),
            Long("only") => options.only = Some(arguments.value()?.parse_with(runtime_name)?),
            Long("quick") => options.setting.quick = true,
            Long("json") => options.json = Some(arguments.value()?.into()),
            Long("gate") => options.gate = true,
            // For the child processes of this program: those that answer a probe, and those that
            // send requests to a server.
            Long("probe") => options.probe = Some(arguments.value()?.parse_with(probe_name)?),
            Long("runtime") => options.runtime = Some(arguments.value()?.parse_with(runtime_name)?),
            Long("load") => options.load = Some(arguments.value()?.parse()?),
            Long("at") => options.at = Some(arguments.value()?.parse()?),
            Long("connections") => options.connections = arguments.value()?.parse()?,
            Long("warm-up-ms") => options.warm_up = Duration::from_millis(arguments.value()?.parse()?),
            Long("span-ms") => options.span = Duration::from_millis(arguments.value()?.parse()?),
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    // A child with only one of its two options must not measure every row: it would start children
    // in turn.
    if options.probe.is_some() != options.runtime.is_some() || options.load.is_some() != options.at.is_some()
    {
        return Err("--probe and --runtime go together, and so do --load and --at".into());
    }
    Ok(Some(options))
}

fn probe_name(name: &str) -> Result<Probe, String> {
    Probe::from_name(name).ok_or_else(|| format!("no probe is called `{name}`"))
}

fn runtime_name(name: &str) -> Result<Contender, String> {
    Contender::from_name(name).ok_or_else(|| format!("no runtime is called `{name}`"))
}
