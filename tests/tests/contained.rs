//! Does a panic of user code stay contained where no task awaits it? It does not unwind into the
//! thread that runs the code, the process goes on, and standard error shows what could not be
//! printed.
//!
//! The test is the product of the code that panics and its thread, each in its own process
//! (`src/bin/misbehaving.rs`).

use std::process::Command;

const PLACES: [&str; 5] = ["worker", "pool", "foreign", "main", "closed"];

const NO_DEBUG: &str = "could not be printed: its Debug panicked: in Debug";

/// The code that panics, and the expected text on standard error.
const CASES: [(&str, &[&str]); 33] = [
    ("a task's error", &["Task exception was never retrieved", NO_DEBUG, "in Drop"]),
    (
        "a task's mute error",
        &["Task exception was never retrieved", "could not be printed: its Debug failed"],
    ),
    ("a task's errors", &[NO_DEBUG, "\"good\""]),
    ("a future's error", &["Future exception was never retrieved", NO_DEBUG]),
    ("a report", &["told", NO_DEBUG]),
    (
        "a handler",
        &["told", NO_DEBUG, "Unhandled error in exception handler", "PanicError(\"in the handler\")"],
    ),
    ("a handler's payload", &["told", NO_DEBUG, "PanicError(\"the panic carried no message\")"]),
    ("a handler that prints", &["handled: told", NO_DEBUG]),
    ("a handler that goes", &["in Drop"]),
    ("a handler that goes in its call", &["in Drop"]),
    ("a handler that stays", &["in Drop"]),
    ("an error that is asked", &["in source"]),
    ("a main that fails", &[NO_DEBUG]),
    ("errors that are dropped", &["in Drop"]),
    ("a task's value", &["in Drop"]),
    ("a task's payload", &["Task exception was never retrieved", "the panic carried no message"]),
    ("a coroutine", &["in Drop"]),
    ("a coroutine that is refused", &["in Drop"]),
    ("a body whose group fails", &["in Drop"]),
    ("a function's value", &["in Drop"]),
    ("a function's late value", &["in Drop"]),
    ("a function that is refused", &["in Drop"]),
    ("functions one after the other", &["in Drop"]),
    ("a thread's result", &["in Drop"]),
    ("a future's value", &["in Drop"]),
    ("a value that comes too late", &["in Drop"]),
    ("callbacks that are not called", &["in Drop"]),
    ("a callback that is removed", &["in Drop"]),
    ("callbacks that are called", &["Exception in callback", "PanicError(\"in a callback\")"]),
    ("a task's callbacks", &["Exception in callback", "PanicError(\"in a callback\")"]),
    ("a call that is cancelled", &["in Drop"]),
    ("a context's values", &["in Drop"]),
    ("the loop's end", &["unhandled exception during run() shutdown", NO_DEBUG]),
];

/// These print no text: the program only has to go on.
const QUIET: [&str; 5] =
    ["a call", "a variable that is set anew", "wakers of a future", "wakers of waits", "a signal's handlers"];

/// In this case the function would have to continue after the loop has given it up.
const UNTRIED: (&str, &str) = ("a function's late value", "closed");

/// The failure of a case, if there is one.
fn fault(case: &str, place: &str, said: &[&str]) -> Option<String> {
    if (case, place) == UNTRIED {
        return None;
    }
    let run = Command::new(env!("CARGO_BIN_EXE_misbehaving"))
        .args([case, place])
        .env("RUST_BACKTRACE", "0")
        .output();
    let run = run.expect("the program can be started");
    let [out, err] = [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text));
    let is_well = run.status.success() && out == "returned\n" && said.iter().all(|said| err.contains(said));
    (!is_well).then(|| format!("== {case}, {place}: {}\n{out}{err}", run.status))
}

fn check(place: &str) {
    let quiet = QUIET.iter().filter(|_| cfg!(unix)).map(|case| (*case, &[][..]));
    let faults: Vec<_> =
        CASES.into_iter().chain(quiet).filter_map(|(case, said)| fault(case, place, said)).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), CASES.len() + QUIET.len(), faults.join("\n"));
}

#[test]
fn on_a_worker() {
    check(PLACES[0]);
}

#[test]
fn on_a_thread_of_the_pool() {
    check(PLACES[1]);
}

#[test]
fn on_a_foreign_thread() {
    check(PLACES[2]);
}

#[test]
fn on_the_main_thread() {
    check(PLACES[3]);
}

#[test]
fn after_the_loop_was_closed() {
    check(PLACES[4]);
}
