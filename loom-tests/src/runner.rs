//! How does each model, and each fault, run in its own process?

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::faulty;
use crate::models::MODELS;
use crate::support::{FOUND, Model, run_model};

/// A fault that a model does not find within this time counts as not found.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(5);
/// Names the fault that is switched on, see `selvedge_scheduler::model::fault`.
const FAULT: &str = "SELVEDGE_FAULT";

struct Job {
    model: &'static Model,
    fault: Option<&'static str>,
}

struct Done {
    job: Job,
    /// If the model holds, the number of interleavings. If not, the first line of the failure, or
    /// the reason why the process ended.
    text: String,
    held: bool,
    found: bool,
    took: Duration,
}

pub(crate) fn main() -> ExitCode {
    let mut filter = String::new();
    let mut deep = false;
    let mut only = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--deep" => deep = true,
            "--list" => {
                for model in MODELS {
                    println!("{:<28} {}", model.name, model.about);
                }
                return ExitCode::SUCCESS;
            }
            "--only" => only = args.next(),
            _ => filter = arg,
        }
    }
    if let Some(name) = only {
        let Some(model) = MODELS.iter().find(|model| model.name == name) else {
            eprintln!("there is no model `{name}`");
            return ExitCode::from(2);
        };
        run_model(model, deep, std::env::var_os(FAULT).is_some());
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<_> = MODELS.iter().filter(|model| model.name.contains(&filter)).collect();
    if chosen.is_empty() {
        eprintln!("no model has `{filter}` in its name");
        return ExitCode::from(2);
    }
    match programs(&chosen) {
        Ok(programs) => run_all(&chosen, deep, &programs),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// The programs that run the models: this one over what ships, and another one over the same with faults.
struct Programs {
    shipped: PathBuf,
    faulty: PathBuf,
}

fn programs(chosen: &[&Model]) -> Result<Programs, String> {
    let shipped = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let has_controls = chosen.iter().any(|model| !model.controls.is_empty());
    let faulty = if has_controls { faulty::build()? } else { PathBuf::new() };
    Ok(Programs { shipped, faulty })
}

fn run_all(chosen: &[&'static Model], deep: bool, programs: &Programs) -> ExitCode {
    let mut jobs = Vec::new();
    for &model in chosen {
        jobs.push(Job { model, fault: None });
        jobs.extend(model.controls.iter().map(|&fault| Job { model, fault: Some(fault) }));
    }
    let began = Instant::now();
    println!("{:<30} {:<32} {:>12} {:>8}  result", "model", "fault built in", "runs", "time");
    let mut failures = 0;
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    run_in_parallel(jobs, at_once, deep, programs, |done| failures += usize::from(!report(&done)));
    println!("\n{} models, {} failures, {:.0?}", chosen.len(), failures, began.elapsed());
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints a line. Returns whether the result is as it should be.
fn report(done: &Done) -> bool {
    // The canary must fail without a fault.
    let must_find = done.job.fault.is_some() || done.job.model.must_fail;
    let good = if must_find { done.found } else { done.held };
    let (runs, result) = match (must_find, good) {
        (false, true) => (done.text.as_str(), "holds".to_owned()),
        (true, true) => ("", format!("found: {}", done.text)),
        (false, false) => ("", format!("FAILS: {}", done.text)),
        (true, false) => ("", format!("NOT FOUND: {}", done.text)),
    };
    let fault = done.job.fault.unwrap_or(if must_find { "(as it is)" } else { "" });
    println!(
        "{:<30} {fault:<32} {runs:>12} {:>7.1}s  {result}",
        done.job.model.name,
        done.took.as_secs_f64()
    );
    good
}

fn run_in_parallel(
    jobs: Vec<Job>,
    at_once: usize,
    deep: bool,
    programs: &Programs,
    mut each: impl FnMut(Done),
) {
    let mut jobs = jobs.into_iter();
    let mut running: Vec<(Job, Child, Instant)> = Vec::new();
    loop {
        while running.len() < at_once {
            let Some(job) = jobs.next() else { break };
            let program = if job.fault.is_some() { &programs.faulty } else { &programs.shipped };
            let child = start(program, &job, deep);
            running.push((job, child, Instant::now()));
        }
        if running.is_empty() {
            return;
        }
        std::thread::sleep(LOOK);
        let mut at = 0;
        while at < running.len() {
            let (_, child, since) = &mut running[at];
            let late = !deep && since.elapsed() > PATIENCE;
            if late {
                let _ = child.kill();
            }
            if late || child.try_wait().expect("it is our child").is_some() {
                let (job, child, since) = running.swap_remove(at);
                each(finish(job, child, since, late));
            } else {
                at += 1;
            }
        }
    }
}

fn start(program: &Path, job: &Job, deep: bool) -> Child {
    let mut command = Command::new(program);
    command.args(["--only", job.model.name]).env_remove(FAULT);
    if deep {
        command.arg("--deep");
    }
    if let Some(fault) = job.fault {
        command.env(FAULT, fault);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process can be started")
}

fn finish(job: Job, mut child: Child, since: Instant, late: bool) -> Done {
    let took = since.elapsed();
    let status = child.wait().expect("it is our child");
    let mut text = String::new();
    if let Some(mut out) = child.stdout.take() {
        let _ = out.read_to_string(&mut text);
    }
    // A fault may corrupt memory before loom sees it. A process that a signal kills has found the
    // fault, too.
    let crashed = status.code().is_none() && !late;
    let found = status.code() == Some(FOUND) || crashed;
    let text = match text.trim() {
        _ if late => format!("not done after {PATIENCE:?}"),
        "" if crashed => format!("{status}"),
        "" => format!("{status}, nothing said"),
        text => text.lines().next().unwrap_or_default().to_owned(),
    };
    Done { job, text, held: status.success(), found, took }
}
