//! How is the user's code called and printed, where its panic becomes an error of this library?

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PanicError;

/// Calls a function of the program. Its panic is returned as an error.
pub(crate) fn call<R>(foreign: impl FnOnce() -> R) -> Result<R, PanicError> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(PanicError::from_payload)
}

thread_local! {
    /// How many values of the user's are being printed inside each other.
    static PRINTED: Cell<u32> = const { Cell::new(0) };
}

/// Values that print each other by way of this library go so deep, and no deeper.
const DEEPEST: u32 = 32;

/// Counts one level of printing.
struct Level;

impl Level {
    fn enter() -> Option<Level> {
        let depth = PRINTED.get();
        (depth < DEEPEST).then(|| {
            PRINTED.set(depth + 1);
            Level
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        PRINTED.set(PRINTED.get() - 1);
    }
}

/// Lets an error print itself. If that fails, this prints a text that says so, because errors are
/// printed when other things have gone wrong already.
///
/// `name` is the name of the trait that prints. `rest` counts the causes that are left out when
/// errors are nested too deep.
pub(crate) fn print_error(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    print: impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result,
    rest: impl FnOnce() -> usize,
) -> fmt::Result {
    let Some(_level) = Level::enter() else {
        return match rest() {
            0 => f.write_str("(an error that is nested too deep to be printed)"),
            rest => write!(f, "(an error that is nested too deep to be printed, and {rest} causes)"),
        };
    };
    match call(|| print(f)) {
        Ok(Ok(())) => Ok(()),
        // The error could not print itself, or the formatter cannot be written to; then this fails
        // too.
        Ok(Err(_)) => write!(f, "(an error that could not be printed: its {name} failed)"),
        Err(panic) => write!(f, "(an error that could not be printed: its {name} panicked: {panic})"),
    }
}
