//! How does Selvedge compare with tokio and async-executor? Prints one table.

use std::process::ExitCode;

use selvedge_benches::heap::Counting;
use selvedge_benches::probe::Probe;
use selvedge_benches::report::{
    Contender, Entry, Line, Verdict, all_entries, lines, print, to_json, watchdog_cost,
};
use selvedge_benches::workloads::{Goal, Setting};

#[global_allocator]
static HEAP: Counting = Counting;

const USAGE: &str = "\
usage: rivals [--workers N[,N...]] [--rows SUBSTRING] [--rounds K] [--quick] [--json FILE] [--gate]
  --workers N[,N...]  worker threads of each runtime; one table per count (default: 2, for which the targets hold)
  --rows SUBSTRING    only rows whose name contains it; \"watchdog\" is the table of what the watchdog costs
  --rounds K          measurements of each runtime; their median is shown (default: 5)
  --quick             smaller sizes, shorter spans
  --json FILE         also write the tables to FILE
  --gate              fail when a row misses its target, or when none was judged";

/// The options of the command line.
struct Options {
    workers: Vec<usize>,
    rows: String,
    rounds: usize,
    quick: bool,
    json: Option<std::path::PathBuf>,
    gate: bool,
    probe: Option<Probe>,
    runtime: Option<Contender>,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(options) = parse()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    if let Some((probe, contender)) = options.probe.zip(options.runtime) {
        let setting = Setting { workers: options.workers[0], quick: options.quick };
        contender.answer(probe, &setting);
        return Ok(ExitCode::SUCCESS);
    }
    let (mut missed, mut reached) = (0, 0);
    let mut tables = Vec::new();
    for &workers in &options.workers {
        let setting = Setting { workers, quick: options.quick };
        for table in [Table::rivals(&options, &setting), Table::watchdog(&options, &setting)] {
            if table.lines.is_empty() {
                continue;
            }
            print(&table.title, table.contenders, &table.lines);
            let count = |verdict| table.lines.iter().filter(|line| line.verdict == verdict).count();
            missed += count(Verdict::Over);
            reached += count(Verdict::Ok);
            tables.push(to_json(&table.title, table.contenders, &table.lines));
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&tables)?)?;
    }
    println!("\nrows that reach their target: {reached}, that miss it: {missed}");
    // A gate that judged no row must fail: no row has that name, or Selvedge was not built in.
    let passed = missed == 0 && reached > 0;
    Ok(if options.gate && !passed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A finished table.
struct Table {
    title: String,
    contenders: &'static [Contender],
    lines: Vec<Line>,
}

impl Table {
    fn rivals(options: &Options, setting: &Setting) -> Self {
        let title =
            format!("{} workers, median of {} rounds, less is better", setting.workers, options.rounds);
        let mut lines = Vec::new();
        for entry in all_entries() {
            if entry.rows.iter().any(|row| row.name.contains(&options.rows)) {
                lines.extend(measure(&entry, Contender::COLUMNS, options.rounds, setting));
            }
        }
        lines.retain(|line| line.row.name.contains(&options.rows));
        Self { title, contenders: Contender::COLUMNS, lines }
    }

    /// The ratio is the time with the watchdog divided by the time without. Two percent are within
    /// the noise of a few rounds, so this table needs more rounds.
    fn watchdog(options: &Options, setting: &Setting) -> Self {
        const MOST_TO_PAY: f64 = 1.02;
        let contenders = Contender::RESCUE_ON_AND_OFF;
        let rounds = 2 * options.rounds;
        let title =
            format!("{} workers, what the watchdog costs, median of {rounds} rounds", setting.workers);
        let asked_for = options.rows.is_empty() || "watchdog".contains(&options.rows);
        let entries = if contenders.is_empty() || !asked_for { Vec::new() } else { watchdog_cost() };
        let mut lines = Vec::new();
        for entry in entries {
            for mut line in measure(&entry, contenders, rounds, setting) {
                line.ratio = line.values[0] / line.values[1];
                line.goal = Goal::Ratio(MOST_TO_PAY);
                line.verdict = if line.ratio <= MOST_TO_PAY { Verdict::Ok } else { Verdict::Over };
                lines.push(line);
            }
        }
        Self { title, contenders, lines }
    }
}

fn measure(entry: &Entry, contenders: &'static [Contender], rounds: usize, setting: &Setting) -> Vec<Line> {
    eprintln!("{} ...", entry.rows[0].name);
    lines(&entry.run(contenders, rounds, setting), setting.workers)
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;

    let mut options = Options {
        workers: vec![2],
        rows: String::new(),
        rounds: 5,
        quick: false,
        json: None,
        gate: false,
        probe: None,
        runtime: None,
    };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("workers") => options.workers = arguments.value()?.parse_with(worker_counts)?,
            Long("rows") => options.rows = arguments.value()?.string()?,
            Long("rounds") => options.rounds = arguments.value()?.parse::<usize>()?.max(1),
            Long("quick") => options.quick = true,
            Long("json") => options.json = Some(arguments.value()?.into()),
            Long("gate") => options.gate = true,
            // For this program's own child processes.
            Long("probe") => options.probe = Some(arguments.value()?.parse_with(probe_name)?),
            Long("runtime") => options.runtime = Some(arguments.value()?.parse_with(runtime_name)?),
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    // A probe with only one of its two options must not measure every row: it would start probes in
    // turn.
    if options.probe.is_some() != options.runtime.is_some() {
        return Err("--probe and --runtime go together".into());
    }
    Ok(Some(options))
}

fn probe_name(name: &str) -> Result<Probe, String> {
    Probe::from_name(name).ok_or_else(|| format!("no probe is called `{name}`"))
}

fn runtime_name(name: &str) -> Result<Contender, String> {
    Contender::from_name(name).ok_or_else(|| format!("no runtime is called `{name}`"))
}

fn worker_counts(list: &str) -> Result<Vec<usize>, String> {
    let count = |item: &str| match item.trim().parse() {
        Ok(0) | Err(_) => Err(format!("`{item}` is not a number of workers")),
        Ok(count) => Ok(count),
    };
    list.split(',').map(count).collect()
}
