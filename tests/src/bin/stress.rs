//! Stampedes for minutes: does anything hang, get lost, or stay behind?
//!
//! ```text
//! make stress                          two minutes
//! make stress STRESS_SECONDS=3600
//! make stress STRESS_ARGS='--seed 7'   begins with this seed; each storm prints its own
//! make stress STRESS_ARGS='--seed 7 --only wakes'
//! make stress STRESS_ARGS='--only stuck --patience 1'    what the watchdog prints
//! ```
//!
//! A storm that has made no progress for a while is stuck: the watchdog of this program prints all
//! tasks and metrics of its loop, and ends the process with status 1.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use selvedge_tests::storms::{STORMS, Watchdog};

const DEFAULT: Duration = Duration::from_mins(2);

struct Options {
    lasts: Duration,
    seed: u64,
    only: Option<String>,
    patience: Option<Duration>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { lasts: DEFAULT, seed: 1, only: None, patience: None };
    if let Ok(seconds) = std::env::var("STRESS_SECONDS") {
        let seconds = seconds.parse().map_err(|_| format!("STRESS_SECONDS is no number: `{seconds}`"))?;
        options.lasts = Duration::from_secs(seconds);
    }
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or(format!("`{arg}` needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("`{arg}` needs a number, not `{value}`"));
        match arg.as_str() {
            "--seed" => options.seed = number()?,
            "--patience" => options.patience = Some(Duration::from_secs(number()?)),
            "--only" => options.only = Some(value.clone()),
            _ => {
                return Err(format!(
                    "there is no option `{arg}`: --seed N, --only STORM, --patience SECONDS"
                ));
            }
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let chosen: Vec<_> = STORMS
        .iter()
        .filter(|storm| options.only.as_ref().map_or(storm.name != "stuck", |only| *only == storm.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = STORMS.iter().map(|storm| storm.name).collect();
        eprintln!("there is no such storm; there are {names:?}");
        return ExitCode::from(2);
    }
    let watchdog = Watchdog::start(options.patience);
    let began = Instant::now();
    let (mut seed, mut storms) = (options.seed, 0);
    loop {
        for storm in &chosen {
            // Printed before the run, so that the output shows which storm has crashed.
            print!("seed {seed:>6}  {:<10}", storm.name);
            let _ = std::io::stdout().flush();
            let since = Instant::now();
            storm.blow(seed, &watchdog);
            println!("{:>8.0?}", since.elapsed());
            storms += 1;
        }
        seed += 1;
        if began.elapsed() >= options.lasts {
            println!("{storms} storms in {:.0?}: nothing hung, nothing was lost", began.elapsed());
            return ExitCode::SUCCESS;
        }
    }
}
