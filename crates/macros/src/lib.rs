//! `#[selvedge::main]` and `#[selvedge::test]`: an `async fn` that the compiler or the test harness
//! can call.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations)]

mod entry;
mod options;

use proc_macro::TokenStream;

use self::entry::Kind;

/// Makes an `async fn main` the program's entry: its body runs as the main task of a new event loop.
///
/// The function returns nothing or a `selvedge::Result`. An error it returns ends the program with
/// status 1.
///
/// # Options
///
/// * `workers = 4`: how many threads run tasks, at least 1 and at most
///   `RunnerBuilder::MAX_WORKERS`. Default: one for each core of the machine.
/// * `debug`: report polls that take long.
/// * `crate = path`: where the `selvedge` crate is, if it was renamed.
///
/// # Examples
///
/// ```
/// #[selvedge::main(workers = 4, debug)]
/// async fn main() -> selvedge::Result<()> {
///     selvedge::sleep(std::time::Duration::from_millis(1)).await
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::expand(Kind::Main, options.into(), function.into()).into()
}

/// Makes an `async fn` a test: its body runs as the main task of a new event loop.
///
/// The function returns nothing or a `selvedge::Result`. An error or a panic fails the test;
/// `#[should_panic]` sees the panic.
///
/// # Options
///
/// * `workers = 4`: how many threads run tasks, at least 1 and at most
///   `RunnerBuilder::MAX_WORKERS`. Default: one for each core of the machine.
/// * `debug`: report polls that take long.
/// * `virtual_time`: the loop's clock jumps to the next deadline whenever no task is ready to run.
/// * `crate = path`: where the `selvedge` crate is, if it was renamed.
///
/// # Examples
///
/// ```ignore
/// #[selvedge::test(virtual_time)]
/// async fn an_hour_passes() -> selvedge::Result<()> {
///     selvedge::sleep(std::time::Duration::from_secs(3600)).await
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::expand(Kind::Test, options.into(), function.into()).into()
}
