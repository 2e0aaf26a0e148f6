//! The numbers of signals, for [`EventLoop::add_signal_handler`](crate::EventLoop::add_signal_handler).
//!
//! Unix only. Any other number that the system knows works too, such as those of real-time signals.

mod ctrl_c;
mod default_action;
mod table;

use signal_hook::consts;

pub(crate) use self::ctrl_c::CtrlC;
pub(crate) use self::default_action::{DefaultAction, Raising, SignalTaken, can_be_caught};
pub(crate) use self::table::{Handler, Signals, no_signal};

/// A timer of `alarm` or `setitimer` has expired. By default this signal ends the program, as do
/// the others unless their description says otherwise.
pub const SIGALRM: i32 = consts::SIGALRM;
/// A child has ended or stopped. Ignored by default.
pub const SIGCHLD: i32 = consts::SIGCHLD;
/// Continues the program after a stop, whether it catches this signal or not.
pub const SIGCONT: i32 = consts::SIGCONT;
/// The terminal has been closed. Many servers reload their settings on this signal.
pub const SIGHUP: i32 = consts::SIGHUP;
/// Ctrl-C.
pub const SIGINT: i32 = consts::SIGINT;
/// A descriptor is ready, if the program has requested a signal for that. Ends the program on
/// Linux, and is ignored elsewhere.
pub const SIGIO: i32 = consts::SIGIO;
/// A write to a pipe or socket without a reader. Rust programs start with this signal ignored, and
/// the write returns an error.
pub const SIGPIPE: i32 = consts::SIGPIPE;
/// A profiling timer has expired.
pub const SIGPROF: i32 = consts::SIGPROF;
/// Ctrl-\. By default the program ends.
pub const SIGQUIT: i32 = consts::SIGQUIT;
/// A request to end the program: from `kill`, a service manager, a container runtime.
pub const SIGTERM: i32 = consts::SIGTERM;
/// Ctrl-Z. By default the program stops.
pub const SIGTSTP: i32 = consts::SIGTSTP;
/// A program in the background reads from its terminal. By default it stops.
pub const SIGTTIN: i32 = consts::SIGTTIN;
/// A program in the background writes to its terminal. By default it stops.
pub const SIGTTOU: i32 = consts::SIGTTOU;
/// Urgent data has come at a socket. Ignored by default.
pub const SIGURG: i32 = consts::SIGURG;
/// For the program's own use.
pub const SIGUSR1: i32 = consts::SIGUSR1;
/// For the program's own use.
pub const SIGUSR2: i32 = consts::SIGUSR2;
/// A timer of CPU time has expired.
pub const SIGVTALRM: i32 = consts::SIGVTALRM;
/// The terminal has another size. Ignored by default.
pub const SIGWINCH: i32 = consts::SIGWINCH;
/// The limit of CPU time is reached.
pub const SIGXCPU: i32 = consts::SIGXCPU;
/// The limit of a file's size is reached.
pub const SIGXFSZ: i32 = consts::SIGXFSZ;
