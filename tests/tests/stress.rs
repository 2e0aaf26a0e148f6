//! Does the stress program end well, take a seed, and notice a storm without progress? `make
//! stress` runs it for longer.

use std::process::{Command, Output};

fn stress(seconds: u32, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stress"))
        .args(args)
        .env("STRESS_SECONDS", seconds.to_string())
        .output()
        .expect("the program is built")
}

fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn every_storm_blows_over() {
    let output = stress(0, &["--seed", "3"]);
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    for storm in [
        "spawns",
        "wakes",
        "cancels",
        "standbys",
        "demotions",
        "runtimes",
        "timers",
        "threadsafe",
        "mixed",
        "programs",
    ] {
        assert!(told.contains(&format!("seed      3  {storm}")), "{storm} is missing: {told}");
    }
}

#[test]
fn the_watchdog_names_what_is_stuck() {
    let output = stress(0, &["--only", "stuck", "--patience", "1", "--seed", "5"]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    for clue in ["`stuck` with seed 5", "waits for ever", "tasks_alive: 2", "catalogue.rs"] {
        assert!(told.contains(clue), "no {clue}: {told}");
    }
}

#[test]
fn wrong_options_are_refused() {
    for (args, clue) in [
        (&["--only", "snow"][..], "spawns"),
        (&["--seed", "x"], "number"),
        (&["--sed", "1"], "--seed"),
        (&["--seed"], "value"),
    ] {
        let output = stress(0, args);
        assert!(
            output.status.code() == Some(2) && told(&output).contains(clue),
            "{args:?}: {}",
            told(&output)
        );
    }
}
