//! Does the compiler's error say how to correct a common mistake?
//!
//! Each file in `mistakes/` is a program that must not compile. It ends with the lines that the
//! error must contain, in that order. Only lines with our own words, or with names that must
//! appear, are compared: the rest are the compiler's words, which change with its versions.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const MISTAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mistakes");

#[test]
#[cfg_attr(selvedge_sanitize, ignore = "the compiler is not what is sanitized")]
fn each_mistake_is_told_how_it_is_put_right() {
    let programs = programs();
    assert!(!programs.is_empty());
    let said = compile(&programs);
    let mut faults = String::new();
    for (name, path) in &programs {
        let errors = said.get(name).map_or("", String::as_str);
        if let Some(missing) = first_missing(&expected(path), errors) {
            let _ = writeln!(faults, "{name}: it does not say, or not there: {missing}\n{errors}");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

fn programs() -> BTreeMap<String, PathBuf> {
    let entries =
        fs::read_dir(MISTAKES).expect("there are mistakes").map(|entry| entry.expect("a file").path());
    entries.map(|path| (path.file_stem().expect("its name").to_string_lossy().into_owned(), path)).collect()
}

fn expected(path: &Path) -> Vec<String> {
    let source = fs::read_to_string(path).expect("it lies there");
    let (_, comment) =
        source.split_once("\n// The compiler says:\n//\n").expect("a mistake says what is to be read");
    comment.lines().map(|line| line.strip_prefix("//     ").expect("a line to be read").to_owned()).collect()
}

/// The first expected line that does not follow the lines before it. Each program expects at least
/// one line, so a program that compiles misses it.
fn first_missing<'a>(expected: &'a [String], mut errors: &str) -> Option<&'a str> {
    for line in expected {
        match errors.split_once(line.as_str()) {
            Some((_, rest)) => errors = rest,
            None => return Some(line),
        }
    }
    expected.is_empty().then_some("anything")
}

/// The compiler's errors for each program.
fn compile(programs: &BTreeMap<String, PathBuf>) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes");
    fs::create_dir_all(&folder).expect("a folder of our own");
    fs::write(folder.join("Cargo.toml"), manifest(programs)).expect("a manifest");
    // Use the versions of this workspace, which are already there, so that cargo fetches nothing.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("a lock file");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--bins", "--keep-going", "--offline", "--message-format=json"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .expect("cargo runs");
    let mut said = BTreeMap::<String, String>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: Value = serde_json::from_str(line).expect("cargo writes a message a line");
        let rendered = &message["message"]["rendered"];
        if let (Some(name), Some(text)) = (message["target"]["name"].as_str(), rendered.as_str()) {
            said.entry(name.to_owned()).or_default().push_str(text);
        }
    }
    assert!(!said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// A package with a program for each mistake.
fn manifest(programs: &BTreeMap<String, PathBuf>) -> String {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/api");
    let mut manifest = "package = { name = 'mistakes', edition = '2024' }\nworkspace = {}\n".to_owned();
    let _ = writeln!(manifest, "dependencies = {{ selvedge = {{ path = '{library}' }} }}");
    for (name, path) in programs {
        let _ = writeln!(manifest, "[[bin]]\nname = '{name}'\npath = '{}'", path.display());
    }
    manifest
}
