//! How do the tests start, signal and stop a running `tiles serve`?

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

pub(crate) struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) addr: SocketAddr,
}

impl Serving {
    /// Serves on a free port, with two workers.
    pub(crate) fn start(arguments: &[&str]) -> Serving {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tiles"))
            .args(["serve", "--listen", "127.0.0.1:0", "--workers", "2"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line.strip_prefix("tiles: http://").and_then(|rest| rest.split('/').next());
        let addr = addr.unwrap_or_else(|| panic!("what is '{line}'?")).parse().unwrap();
        Serving { child, stdout, addr }
    }

    /// Sends the signal that Ctrl-C sends in a terminal.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        self.send(rustix::process::Signal::INT);
    }

    #[cfg(unix)]
    pub(crate) fn send(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until the program has ended by itself. Returns the rest of its output.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The program has already ended, if the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
