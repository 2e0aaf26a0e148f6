//! Which functions do the attributes `main` and `test` call?

use std::panic::resume_unwind;

use crate::coroutine::Coroutine;
use crate::error::{Error, PanicError, Result};
pub use crate::runner::RunnerBuilder;

/// Returns an error, which the standard library turns into the program's exit status.
#[track_caller]
pub fn main_with_result<C: Coroutine>(settings: RunnerBuilder, main: C) -> Result<C::Item> {
    settings.run(main)
}

/// Panics on an error: a function that returns nothing has no other way to report that it failed.
#[track_caller]
pub fn main_without_result<C: Coroutine<Item = ()>>(settings: RunnerBuilder, main: C) {
    settings.run(main).unwrap_or_else(|error| fail(&error));
}

/// A panic is resumed in the test harness, which may expect it.
#[track_caller]
pub fn test_with_result<C: Coroutine>(settings: RunnerBuilder, test: C) -> Result<C::Item> {
    let result = settings.run(test);
    let error = result.as_ref().err();
    if let Some(panic) = error.and_then(|error| error.downcast_ref::<PanicError>()) {
        // The panic was reported where it happened; this one only carries its message.
        resume_unwind(Box::new(panic.message().to_owned()));
    }
    result
}

/// A test that returns nothing fails by panicking.
#[track_caller]
pub fn test_without_result<C: Coroutine<Item = ()>>(settings: RunnerBuilder, test: C) {
    test_with_result(settings, test).unwrap_or_else(|error| fail(&error));
}

/// The text is made before the panic: if the error's `Debug` panicked inside `panic!`, the process
/// would end.
#[track_caller]
fn fail(error: &Error) -> ! {
    let text = format!("{error:?}");
    panic!("{text}")
}
