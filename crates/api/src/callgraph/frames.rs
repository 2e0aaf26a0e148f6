//! Which functions lie between an await and the body of its task?
//!
//! A suspended coroutine has no stack. But while it is polled each coroutine stands on the stack of the one that awaits it, so a backtrace
//! taken in the leaf shows the whole chain, and where in its file each stands. How much of it has a name depends on what the linker left: with
//! debug information all of it, lines included; without symbols nothing, and the leaf's own location is what is known.
//!
//! The standard library's backtrace tells its frames only as text, in the form that panics made well known. Should that form change,
//! the functions are missing, and nothing worse.

use std::backtrace::Backtrace;

use super::entry::FrameCallGraphEntry;

/// Whose functions are the machinery's: this library's, and those of the language's own crates.
const MACHINERY: [&str; 6] = ["selvedge::", "selvedge_scheduler::", "core::", "std::", "alloc::", "__"];

/// What every task's coroutine is polled by; below it lies the worker, or the task that asks.
const BODY: [&str; 2] = ["selvedge::task::body::TaskBody", "selvedge_scheduler::task::harness::poll"];

/// The functions of the program, innermost first.
pub(super) fn of_program(trace: &Backtrace) -> Vec<FrameCallGraphEntry> {
    let text = trace.to_string();
    let mut entries = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let name = name_of(line);
        let place = lines.next_if(|next| next.starts_with("at ")).and_then(place_of);
        if BODY.iter().any(|body| name.contains(body)) {
            break;
        }
        if !is_machinery(name) {
            let (name, is_async) = without_closures(name);
            entries.push(FrameCallGraphEntry::of_function(name, is_async, place));
        }
    }
    entries
}

/// `12: name`; functions that were inlined into it follow without a number.
fn name_of(line: &str) -> &str {
    match line.split_once(": ") {
        Some((number, name)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => line,
    }
}

/// `at file:line:column`.
fn place_of(line: &str) -> Option<(String, u32)> {
    let (rest, _column) = line.strip_prefix("at ")?.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file.strip_prefix("./").unwrap_or(file).to_owned(), line.parse().ok()?))
}

/// A method is shown as `<Type as Trait>::method`; the type says whose it is.
fn is_machinery(name: &str) -> bool {
    let name = name.trim_start_matches(['<', '&']).trim_start_matches("mut ");
    name == "<unknown>" || name.is_empty() || MACHINERY.iter().any(|whose| name.starts_with(whose))
}

/// The body of a coroutine is shown as a closure in the function that makes it.
fn without_closures(name: &str) -> (&str, bool) {
    let mut name = name;
    let mut is_async = false;
    while let Some((outer, last)) = name.rsplit_once("::")
        && (last == "{{closure}}" || last.starts_with("{closure#") || last.starts_with("{async_"))
    {
        (name, is_async) = (outer, true);
    }
    (name, is_async)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        assert_eq!(name_of("12: demo::wait::{{closure}}"), "demo::wait::{{closure}}");
        assert_eq!(name_of("demo::inlined"), "demo::inlined");
        assert_eq!(place_of("at ./src/main.rs:3:5"), Some(("src/main.rs".to_owned(), 3)));
        assert_eq!(place_of("at C:\\demo\\main.rs:3:5"), Some(("C:\\demo\\main.rs".to_owned(), 3)));
        assert_eq!(without_closures("demo::wait::{{closure}}::{{closure}}"), ("demo::wait", true));
        assert_eq!(without_closures("demo::wait::{closure#0}"), ("demo::wait", true));
        assert_eq!(without_closures("demo::plain"), ("demo::plain", false));
    }

    #[test]
    fn the_machinery_is_left_out() {
        assert!(is_machinery("<selvedge::waiting::sleep::Sleep as core::future::Future>::poll"));
        assert!(is_machinery("<&mut core::pin::Pin<P> as core::future::Future>::poll"));
        assert!(!is_machinery("selvedge_tests::wait"));
        assert!(!is_machinery("<demo::Own as core::future::Future>::poll"));
    }
}
