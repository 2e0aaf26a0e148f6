//! Do comments and pages keep the rules of CONTRIBUTING.md that a machine can check?

use std::fs;
use std::path::{Path, PathBuf};

/// The most columns of a line of prose.
const COLUMNS: usize = 110;
/// The most lines of DESIGN.md, and the most terms of its glossary.
const DESIGN_LINES: usize = 400;
const GLOSSARY_TERMS: usize = 25;

const FOLDERS: [&str; 7] = ["crates", "tests", "benches", "loom-tests", "examples", "docs", "."];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below `folder` with this extension; of the root folder only those that lie in it.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut open = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            let is_built = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("target"));
            if path.is_dir() && folder != "." && !is_built {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found
}

fn all_files(extension: &str) -> Vec<PathBuf> {
    FOLDERS.iter().flat_map(|folder| files(folder, extension)).collect()
}

fn check(paths: &[PathBuf], is_prose: impl Fn(&str) -> bool) {
    let mut too_long = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).expect("it can be read");
        let mut in_code = false;
        for (number, line) in text.lines().enumerate() {
            in_code ^= line.trim_start().starts_with("```");
            if !in_code && is_prose(line) && line.chars().count() > COLUMNS {
                too_long.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert_eq!(too_long, [""; 0], "wrap these lines: prose has at most {COLUMNS} columns");
}

#[test]
fn comments_are_narrow() {
    let mut paths = all_files("rs");
    assert!(paths.len() > 300, "only {} files were found", paths.len());
    // There the comments are what the compiler prints.
    paths.retain(|path| !path.components().any(|part| part.as_os_str() == "mistakes"));
    check(&paths, |line| line.trim_start().starts_with("//"));
}

/// A table's row cannot be wrapped, and a link neither.
#[test]
fn pages_are_narrow() {
    let paths = all_files("md");
    assert!(paths.len() > 8, "only {} pages were found", paths.len());
    check(&paths, |line| !line.trim_start().starts_with('|') && !line.contains("](http"));
}

#[test]
fn the_design_is_short() {
    let text = fs::read_to_string(root().join("DESIGN.md")).expect("it can be read");
    let lines = text.lines().count();
    assert!(lines <= DESIGN_LINES, "DESIGN.md has {lines} lines; move what is about one file to its head");
    let glossary = text.split_once("\n## Glossary").expect("there is a glossary").1;
    let glossary = glossary.split("\n## ").next().expect("there is always a first part");
    let terms = glossary.lines().filter(|line| line.starts_with("| ")).count().saturating_sub(1);
    assert!(
        (5..=GLOSSARY_TERMS).contains(&terms),
        "the glossary has {terms} terms, not 5 to {GLOSSARY_TERMS}"
    );
}
