//! What do the attributes `main` and `test` call?

use std::panic::resume_unwind;

use crate::coroutine::Coroutine;
use crate::error::{Error, PanicError, Result};
pub use crate::runner::RunnerBuilder;

/// An error becomes the program's exit status through the standard library.
#[track_caller]
pub fn main_with_result<C: Coroutine>(settings: RunnerBuilder, main: C) -> Result<C::Item> {
    settings.run(main)
}

/// A function that returns nothing has no other way to say that it failed.
#[track_caller]
pub fn main_without_result<C: Coroutine<Item = ()>>(settings: RunnerBuilder, main: C) {
    settings.run(main).unwrap_or_else(|error| fail(&error));
}

/// A panic goes on into the test harness, which may expect it.
#[track_caller]
pub fn test_with_result<C: Coroutine>(settings: RunnerBuilder, test: C) -> Result<C::Item> {
    let result = settings.run(test);
    let error = result.as_ref().err();
    if let Some(panic) = error.and_then(|error| error.downcast_ref::<PanicError>()) {
        // The panic has been reported where it happened; this one only carries the message on.
        resume_unwind(Box::new(panic.message().to_owned()));
    }
    result
}

/// A test that returns nothing fails by panicking.
#[track_caller]
pub fn test_without_result<C: Coroutine<Item = ()>>(settings: RunnerBuilder, test: C) {
    test_with_result(settings, test).unwrap_or_else(|error| fail(&error));
}

/// The text first: code of the user's that panics inside of a panic ends the process.
#[track_caller]
fn fail(error: &Error) -> ! {
    let text = format!("{error:?}");
    panic!("{text}")
}
