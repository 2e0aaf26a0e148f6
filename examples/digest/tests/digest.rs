//! Does the program agree with `sha256sum`, and does it handle bad input and Ctrl-C?

mod tree;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tree::{Tree, names_of, reference_sums, sums_in};

fn digest(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_digest"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// With one worker, with two, and with more than there are cores: the same sums, equal to
/// `sha256sum`'s line by line.
#[test]
fn agrees_with_sha256sum_on_every_file() {
    let tree = Tree::of_2000_files();
    let expected = reference_sums(tree.root(), &tree.files);
    assert_eq!(sums_in(&expected), tree.files.len(), "the reference has a line for each file");

    for workers in ["1", "2", "16"] {
        let output = digest(&["--workers", workers, "--sums", "-", "--no-progress"], tree.root());
        let report = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{report}");
        assert!(
            output.stdout == expected,
            "with {workers} workers:\n{}",
            difference(&expected, &output.stdout)
        );
        assert!(report.contains(&format!("with {workers} worker")), "{report}");
    }
}

#[cfg(unix)]
#[test]
fn problems_are_lines_of_the_report() {
    let tree = Tree::of(&["fine"]);
    tree.add_problems();
    let output = digest(&[".", "--sums", "-"], tree.root());
    let report = text(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "what was not named on the command line is no failure: {report}"
    );
    assert_eq!(names_of(&output.stdout), ["./fine"]);
    assert!(report.contains("./folder/loop: a directory loop"), "{report}");
    assert!(report.contains("./dangling: "), "{report}");
    assert!(report.contains("./socket: neither a file nor a folder"), "{report}");
    if tree.has_unreadable() {
        assert!(report.contains("./unreadable: "), "{report}");
    }
}

#[test]
fn a_named_path_that_does_not_exist_fails_at_the_end() {
    let tree = Tree::of(&["a", "b"]);
    let output = digest(&["a", "nowhere", "b", "--sums", "-"], tree.root());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names_of(&output.stdout), ["a", "b"]);
    assert!(text(&output.stderr).contains("nowhere: "), "{}", text(&output.stderr));
}

/// Any process can open `/proc/self/mem`, and none can read its first bytes: an error after a
/// successful open.
#[cfg(target_os = "linux")]
#[test]
fn a_named_file_that_fails_while_it_is_read_fails_at_the_end() {
    let tree = Tree::of(&["a"]);
    let output = digest(&["/proc/self/mem", "a", "--sums", "-"], tree.root());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(names_of(&output.stdout), ["a"]);
    assert!(text(&output.stderr).contains("/proc/self/mem: "), "{}", text(&output.stderr));
}

#[test]
fn zero_workers_are_refused() {
    let tree = Tree::of(&[]);
    let output = digest(&["--workers", "0"], tree.root());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--workers takes a whole number of at least 1, not '0'"));
    assert!(output.stdout.is_empty());
}

#[test]
fn an_empty_folder_is_fine() {
    let tree = Tree::of(&[]);
    let output = digest(&[], tree.root());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("0 files, 0 B"), "{}", text(&output.stdout));
}

/// The file with the sums is written last, and an old file of that name is not digested.
#[test]
fn sums_can_be_checked_where_they_lie() {
    let tree = Tree::of(&["a", "b"]);
    for _ in 0..2 {
        let output = digest(&[".", "--sums", "SUMS"], tree.root());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(names_of(&std::fs::read(tree.root().join("SUMS")).unwrap()), ["./a", "./b"]);
    }
    let output = digest(&[".", "--sums", "no/such/folder"], tree.root());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no/such/folder: "), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("3 files"), "the report comes all the same");
}

#[test]
fn plain_lines_come_when_stderr_is_no_terminal() {
    let tree = Tree::of(&["a", "b"]);
    let output = digest(&["."], tree.root());
    assert_eq!(text(&output.stderr), "digest: 2 files, 2 B\n");
    assert_eq!(text(&digest(&[".", "--no-progress"], tree.root()).stderr), "");
}

/// Ctrl-C arrives while a file is read that takes minutes; the finished file beside it is reported.
#[cfg(unix)]
#[test]
fn ctrl_c_reports_what_is_finished() {
    use std::io::{BufRead, BufReader, Read};

    const MINUTES_OF_WORK: u64 = 1 << 36;
    let tree = Tree::of(&[]);
    let huge = std::fs::File::create(tree.root().join("huge")).unwrap();
    huge.set_len(MINUTES_OF_WORK).unwrap();
    std::fs::write(tree.root().join("small"), "small").unwrap();

    let mut child = Command::new(env!("CARGO_BIN_EXE_digest"))
        .args([".", "--workers", "2", "--sums", "SUMS"])
        .current_dir(tree.root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // This line shows that one of the two files is finished.
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(
        lines.any(|line| line.ends_with("1 of 2 files")),
        "the small file was never reported as finished"
    );
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();

    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{report}");
    assert!(report.contains("Interrupted: 1 of 2 files were digested."), "{report}");
    assert_eq!(names_of(&std::fs::read(tree.root().join("SUMS")).unwrap()), ["./small"]);
}

/// The lines that only one of the two outputs has, for the message.
fn difference(expected: &[u8], actual: &[u8]) -> String {
    let mut lines: BTreeMap<&[u8], i32> = BTreeMap::new();
    for line in expected.split(|byte| *byte == b'\n') {
        *lines.entry(line).or_default() -= 1;
    }
    for line in actual.split(|byte| *byte == b'\n') {
        *lines.entry(line).or_default() += 1;
    }
    let differing = lines.into_iter().filter(|(_, count)| *count != 0).take(20);
    let differing =
        differing.map(|(line, count)| format!("{} {}", if count < 0 { '-' } else { '+' }, text(line)));
    differing.collect::<Vec<_>>().join("\n")
}
