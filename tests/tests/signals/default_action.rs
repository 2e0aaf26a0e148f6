//! What does a signal do after its handler was removed, in a program of its own?

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use selvedge::signal::{SIGINT, SIGTERM, SIGUSR1};

struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(manner: &str) -> Program {
        Program::of(Command::new(env!("CARGO_BIN_EXE_signalled")).arg(manner))
    }

    /// Starts the program after a line of shell.
    fn start_after(shell: &str, manner: &str) -> Program {
        let shell = format!("{shell} && exec \"$0\" \"$@\"");
        Program::of(Command::new("sh").args(["-c", &shell, env!("CARGO_BIN_EXE_signalled"), manner]))
    }

    fn of(command: &mut Command) -> Program {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Program { child, output }
    }

    #[track_caller]
    fn says(&mut self, expected: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the output can be read");
        assert_eq!(line.trim_end(), expected);
    }

    fn send(&self, signal: i32) {
        let (signal, child) = (format!("-{signal}"), self.child.id().to_string());
        assert!(Command::new("kill").args([signal, child]).status().expect("`kill` can be run").success());
    }

    fn rest(mut self) -> (String, ExitStatus) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("the output can be read");
        (rest, self.child.wait().expect("the program ends"))
    }

    /// Checks that the signal ended the program without further output.
    #[track_caller]
    fn ends_by(self, signal: i32) {
        let (rest, status) = self.rest();
        assert_eq!((rest.as_str(), status.signal()), ("", Some(signal)));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program has already ended, if the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_is_back_when_the_handler_is_removed() {
    let mut program = Program::start("removed");
    program.says("called");
    program.says("ready");
    program.send(SIGTERM);
    program.ends_by(SIGTERM);
}

#[test]
fn it_is_back_when_the_runner_is_dropped() {
    let mut program = Program::start("closed");
    program.says("ready");
    program.send(SIGTERM);
    program.ends_by(SIGTERM);
}

#[test]
fn it_is_back_when_the_loop_is_closed_although_a_handler_does_not_return() {
    let mut program = Program::start("stuck");
    program.says("ready");
    program.send(SIGTERM);
    program.ends_by(SIGTERM);
}

#[test]
fn it_is_back_before_what_another_handler_captured_is_dropped() {
    let mut program = Program::start("slow drop");
    program.says("ready");
    program.send(SIGTERM);
    program.ends_by(SIGTERM);
}

#[test]
fn it_is_back_when_the_last_of_two_loops_has_no_handler() {
    let mut program = Program::start("two loops");
    program.says("both called");
    program.says("the other called");
    program.says("ready");
    program.send(SIGTERM);
    program.ends_by(SIGTERM);
}

/// Checked by the exit status that a shell gives for the signal: only the system can end a program
/// by one of these.
#[cfg(target_os = "linux")]
#[test]
fn a_real_time_signal_ends_the_program_again() {
    let mut program = Program::start("real-time");
    program.says("called");
    program.says("ready");
    program.send(40);
    let (rest, status) = program.rest();
    assert_eq!((rest.as_str(), status.code()), ("", Some(168)));
}

/// As above.
#[cfg(target_os = "linux")]
#[test]
fn a_ready_descriptors_signal_ends_the_program_again() {
    let mut program = Program::start("io");
    program.says("called");
    program.says("ready");
    program.send(selvedge::signal::SIGIO);
    let (rest, status) = program.rest();
    assert_eq!((rest.as_str(), status.code()), ("", Some(157)));
}

/// `nohup` starts programs with an ignored signal.
#[test]
fn what_was_ignored_is_ignored_again() {
    let mut program = Program::start_after("trap '' TERM", "removed");
    program.says("called");
    program.says("ready");
    program.send(SIGTERM);
    program.send(SIGUSR1);
    program.ends_by(SIGUSR1);
}

/// While there is a handler, Ctrl-C does not cancel main; after its removal it does.
#[test]
fn a_handler_takes_ctrl_c_from_run_and_gives_it_back() {
    let mut program = Program::start("interrupted");
    program.says("ready");
    program.send(SIGINT);
    program.says("handled");
    program.send(SIGINT);
    program.says("handled again");
    program.says("given back");
    program.send(SIGINT);
    program.says("told");
    program.says("interrupted");
    assert!(program.rest().1.success());
}

#[test]
fn a_handler_has_ctrl_c_during_the_shutdown_too() {
    let mut program = Program::start("during shutdown");
    program.says("ready");
    program.send(SIGINT);
    program.says("handled");
    program.says("done");
    assert!(program.rest().1.success());
}

#[test]
fn a_handler_has_its_signal_while_the_closing_loop_waits_for_a_function() {
    let mut program = Program::start("during a function");
    program.says("saved");
    program.says("done");
    assert!(program.rest().1.success());
}

#[cfg(target_os = "linux")]
#[test]
fn handlers_leave_no_descriptors_behind() {
    let mut program = Program::start("descriptors");
    program.says("0 more");
    program.says("0 left");
    program.says("done");
}

#[cfg(target_os = "linux")]
#[test]
fn without_descriptors_it_is_refused_and_works_later() {
    let mut program = Program::start_after("ulimit -n 64", "no descriptors");
    // Each refused call lacks one descriptor more: the two of the pair, the one that reads the
    // default action, and then the signal handler's copy of one end.
    program.says("refused 3 times, then called");
    program.says("ready");
    program.send(SIGUSR1);
    program.ends_by(SIGUSR1);
}
