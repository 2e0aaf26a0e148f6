//! How is a cost measured that needs a process of its own?
//!
//! Heap and idle cost belong to a whole process, so the program starts itself again with `--probe`.
//! The child runs one runtime, measures, and prints its numbers on one line.

use std::process::{Command, Stdio};

use crate::rival::Rival;
use crate::workloads::{Setting, heap_per_task, heap_per_timer, idle};

/// The measurement that a child process makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// [`heap_per_task`].
    HeapPerTask,
    /// [`heap_per_timer`].
    HeapPerTimer,
    /// [`idle`].
    Idle,
    /// Bytes for each idle HTTP connection; see [`served`](crate::served).
    HeapPerHttp,
    /// Bytes for each idle TCP connection.
    HeapPerTcp,
    /// The lateness of a ticker beside a process's first tiles; see [`peers`](crate::peers).
    FirstBurst,
}

impl Probe {
    const ALL: [Self; 6] = [
        Self::HeapPerTask,
        Self::HeapPerTimer,
        Self::Idle,
        Self::HeapPerHttp,
        Self::HeapPerTcp,
        Self::FirstBurst,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::HeapPerTask => "heap-per-task",
            Self::HeapPerTimer => "heap-per-timer",
            Self::Idle => "idle",
            Self::HeapPerHttp => "heap-per-http",
            Self::HeapPerTcp => "heap-per-tcp",
            Self::FirstBurst => "first-burst",
        }
    }

    /// The reverse of [`Probe::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|probe| probe.name() == name)
    }
}

/// Measures in a child process. Panics with the child's error if it fails.
pub(crate) fn ask(probe: Probe, runtime: &str, setting: &Setting) -> Vec<f64> {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(program);
    command.args(["--probe", probe.name(), "--runtime", runtime]);
    command.args(["--workers", &setting.workers.to_string()]);
    command.args(setting.quick.then_some("--quick"));
    let output = command.stderr(Stdio::inherit()).output().expect("the OS grants a process");
    assert!(output.status.success(), "the probe {} of {} failed: {}", probe.name(), runtime, output.status);
    let line = String::from_utf8(output.stdout).expect("a probe prints numbers");
    line.split_whitespace().map(|number| number.parse().expect("a probe prints numbers")).collect()
}

/// In the child: prints the measured values.
#[allow(clippy::print_stdout, reason = "the parent reads it")]
pub fn print(values: &[f64]) {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    println!("{}", values.join(" "));
}

/// In the child: measures.
pub(crate) fn measure<R: Rival>(probe: Probe, setting: &Setting) -> Vec<f64> {
    let runtime = R::start(setting.workers);
    let values = match probe {
        Probe::HeapPerTask => heap_per_task(&runtime),
        Probe::HeapPerTimer => heap_per_timer(&runtime),
        Probe::Idle => idle(&runtime, setting),
        Probe::HeapPerHttp | Probe::HeapPerTcp | Probe::FirstBurst => {
            panic!("{} is not about a runtime alone", probe.name())
        }
    };
    // Tasks may still be parked. The end of the runtime is not part of the measurement.
    std::mem::forget(runtime);
    values
}
