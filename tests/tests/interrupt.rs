//! Does Ctrl-C interrupt a program, in a process of its own?
//!
//! Not under `make tsan`: that sanitizer delivers a signal when the thread next calls a function
//! that it intercepts. A thread that waits in a direct system call never does.
#![cfg(all(unix, not(selvedge_tsan)))]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(manner: &str) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_interrupted"))
            .arg(manner)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Program { child, output }
    }

    fn read_until(&mut self, last: &str) {
        let mut line = String::new();
        while line.trim_end() != last {
            line.clear();
            let length = self.output.read_line(&mut line).expect("the output can be read");
            assert_ne!(length, 0, "the program ended before it said {last:?}");
        }
    }

    fn press_ctrl_c(&self) {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(status.expect("`kill` can be run").success());
    }

    fn rest(self) -> (String, ExitStatus) {
        let (rest, _, status) = self.rest_and_reports();
        (rest, status)
    }

    fn rest_and_reports(mut self) -> (String, String, ExitStatus) {
        let (mut rest, mut reports) = (String::new(), String::new());
        self.output.read_to_string(&mut rest).expect("the output can be read");
        let mut errors = self.child.stderr.take().expect("it is piped");
        errors.read_to_string(&mut reports).expect("the reports can be read");
        (rest, reports, self.child.wait().expect("the program ends"))
    }
}

#[test]
fn the_first_one_cancels_main() {
    let mut program = Program::start("gives way");
    program.read_until("ready");
    program.press_ctrl_c();
    let (rest, status) = program.rest();
    assert_eq!(rest, "told\ntask told\ninterrupted\n");
    assert!(status.success());
}

#[test]
fn main_may_refuse() {
    let mut program = Program::start("refuses");
    program.read_until("ready");
    program.press_ctrl_c();
    assert_eq!(program.rest().0, "told\ntask told\nvalue refused\n");
}

#[test]
fn the_second_one_ends_run_at_once() {
    let mut program = Program::start("clings");
    program.read_until("ready");
    program.press_ctrl_c();
    program.read_until("told");
    program.press_ctrl_c();
    let (rest, reports, _) = program.rest_and_reports();
    assert!(rest.ends_with("interrupted\n"), "{rest:?}");
    assert!(reports.contains("did not stop before Ctrl-C was pressed a second time"), "{reports}");
}

#[test]
fn after_run_it_ends_the_program_as_ever() {
    let mut program = Program::start("afterwards");
    program.read_until("ready");
    program.press_ctrl_c();
    let (rest, status) = program.rest();
    assert_eq!(rest, "");
    assert_eq!(status.signal(), Some(2));
}
