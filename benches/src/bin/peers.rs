//! How does a server that computes do on Selvedge, and on tokio with a bridge to other threads?

use std::path::PathBuf;
use std::process::ExitCode;

use selvedge_benches::options;
use selvedge_benches::peers::{Load, Peer, answer, judge, plot, to_json};
use selvedge_benches::probe::Probe;
use selvedge_benches::served::client;
use selvedge_benches::served::client::Load as ClientLoad;

const USAGE: &str = "\
usage: peers [--workers N] [--rows SUBSTRING] [--rounds K] [--only PEER[,...]] [--quick] [--json FILE] [--plot FILE] [--gate]
  --workers N        worker threads of each runtime, and threads of each bridge (default: 2, for which the targets hold)
  --rows SUBSTRING   only loads whose name contains it
  --rounds K         measurements of each peer; their median is shown (default: 5)
  --only PEER[,...]  only these columns: tokio-inline, spawn_blocking, rayon, second-runtime, second-nice, Selvedge,
                     Selvedge-inline
  --quick            very short spans, and no loads of 64 clients: does it run?
  --json FILE        also write the tables, and the spread of each number, to FILE
  --plot FILE        also draw the p99 of /healthz to FILE, as an SVG
  --gate             fail when a target is missed, or when none was judged";

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(load) = ClientLoad::from_env()? {
        client::ask(&load)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut drawing: Option<PathBuf> = None;
    let options = options::parse(Peer::from_name, |name, arguments| {
        if name == "plot" {
            drawing = Some(arguments.value()?.into());
        }
        Ok(name == "plot")
    })?;
    let Some(options) = options else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let setting = &options.setting;
    if let Some((probe, peer)) = options.probe {
        assert_eq!(probe, Probe::FirstBurst, "the only probe of a peer");
        answer(peer, setting);
        return Ok(ExitCode::SUCCESS);
    }
    let peers = if options.only.is_empty() { Peer::COLUMNS } else { &options.only };
    let mut tables = Vec::new();
    for load in Load::all(setting) {
        if load.name().contains(&options.rows) {
            eprintln!("{} ...", load.name());
            tables.push(load.measure(peers, options.rounds, setting));
        }
    }
    let title = format!("{} workers, median of {} rounds", setting.workers, options.rounds);
    println!("\n{title}; a ratio is Selvedge's to the best bridge");
    for table in &tables {
        table.print();
    }
    let (reached, missed) = judge(&tables);
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_string_pretty(&to_json(&title, &tables))?)?;
    }
    if let Some(path) = &drawing {
        std::fs::write(path, plot(&tables))?;
    }
    // A gate that judged nothing must fail: no load has that name, or Selvedge was not built in.
    let passed = missed == 0 && reached > 0;
    Ok(if options.gate && !passed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
