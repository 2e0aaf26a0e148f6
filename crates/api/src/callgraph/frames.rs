//! Which functions lie between an await and the body of its task?
//!
//! A suspended coroutine has no stack. But while it is polled, each coroutine is called by the one
//! that awaits it. So a backtrace taken in the leaf shows the whole chain, and the file and line of
//! each. How much of it has a name depends on what the linker left: with debug information all of
//! it, lines included; without symbols nothing, and only the leaf's own location is known.
//!
//! The standard library's backtrace shows its frames only as text, in the form that panics print.
//! If that form changes, the functions are missing from call graphs, and nothing worse happens.

use std::backtrace::Backtrace;

use super::entry::FrameCallGraphEntry;

/// The machinery, whose functions are not shown: this library, and the language's own crates.
/// Functions that were inlined may be named without their path; then the file shows it.
const MACHINERY: [&str; 6] = ["selvedge::", "selvedge_scheduler::", "core::", "std::", "alloc::", "__"];
const MACHINERY_FILES: [&str; 4] =
    [OWN_FILES, "/library/core/src/", "/library/std/src/", "/library/alloc/src/"];

/// The functions that poll every task's coroutine. Below them on the stack is the worker, or the
/// task that captures.
const BODY: [&str; 2] = ["selvedge::task::body::TaskBody", "selvedge_scheduler::task::harness::poll"];
const BODY_FILE: &str = "task/body.rs";

/// The part that the paths of this crate's files have in common, wherever it was compiled.
pub(super) const OWN_FILES: &str = own_files(file!());

const fn own_files(this: &'static str) -> &'static str {
    let (own, _) = this.as_bytes().split_at(this.len() - "callgraph/frames.rs".len());
    match std::str::from_utf8(own) {
        Ok(own) => own,
        Err(_) => panic!("the cut lies between two characters"),
    }
}

/// The functions of the program, innermost first.
pub(super) fn of_program(trace: &Backtrace) -> Vec<FrameCallGraphEntry> {
    of_text(&trace.to_string())
}

fn of_text(text: &str) -> Vec<FrameCallGraphEntry> {
    let mut entries = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let name = name_of(line);
        let place = lines.next_if(|next| next.starts_with("at ")).and_then(place_of);
        let file = place.as_ref().map_or("", |(file, _)| file);
        if is_body(name, file) {
            return entries;
        }
        if !is_machinery(name, file) {
            let (name, is_async) = without_closures(name);
            entries.push(FrameCallGraphEntry::of_function(name, is_async, place));
        }
    }
    // If not even the body has a name, the program's frames cannot be distinguished from the
    // others.
    Vec::new()
}

fn is_body(name: &str, file: &str) -> bool {
    BODY.iter().any(|body| name.contains(body)) || (file.contains(OWN_FILES) && file.ends_with(BODY_FILE))
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

/// A method is shown as `<Type as Trait>::method`; the type decides whether it is machinery.
fn is_machinery(name: &str, file: &str) -> bool {
    let whose = name.trim_start_matches(['<', '&']).trim_start_matches("mut ");
    name == "<unknown>"
        || MACHINERY.iter().any(|machinery| whose.starts_with(machinery))
        || MACHINERY_FILES.iter().any(|machinery| file.contains(machinery))
}

/// The name without its closures and generic arguments, and whether it is a coroutine's. The body
/// of a coroutine is shown as a closure in the function that creates it. Of a function that was
/// inlined, the name may have only its last part, with its generic arguments.
fn without_closures(name: &str) -> (&str, bool) {
    let mut name = name;
    if let Some(generic) = name.find('<').filter(|at| *at > 0) {
        name = name[..generic].trim_end_matches("::");
    }
    let mut is_async = is_closure(name);
    while let Some((outer, _)) = name.rsplit_once("::").filter(|(_, last)| is_closure(last)) {
        (name, is_async) = (outer, true);
    }
    (name, is_async)
}

fn is_closure(name: &str) -> bool {
    name == "{{closure}}" || name.starts_with("{closure#") || name.starts_with("{async_")
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
        assert_eq!(without_closures("plain<u32, demo::wait::{closure_env#0}>"), ("plain", false));
        assert_eq!(without_closures("{async_fn#0}"), ("{async_fn#0}", true));
        assert_eq!(
            without_closures("<demo::Own as core::future::Future>::poll").0,
            "<demo::Own as core::future::Future>::poll"
        );
    }

    #[test]
    fn the_machinery_is_left_out() {
        assert!(is_machinery("<selvedge::waiting::sleep::Sleep as core::future::Future>::poll", ""));
        assert!(is_machinery("<&mut core::pin::Pin<P> as core::future::Future>::poll", ""));
        assert!(is_machinery("poll<()>", &format!("/home/me/{OWN_FILES}waiting/sleep.rs")));
        assert!(is_machinery("with_borrow_mut<T>", "/rustc/0a1b/library/std/src/thread/local.rs"));
        assert!(is_machinery("<unknown>", ""));
        assert!(!is_machinery("selvedge_tests::wait", "src/main.rs"));
        assert!(!is_machinery("<demo::Own as core::future::Future>::poll", "src/main.rs"));
    }

    fn shown(text: &str) -> Vec<String> {
        of_text(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_program_ends_where_its_task_begins() {
        let text = "   0: <selvedge::waiting::sleep::Sleep as core::future::Future>::poll
                      1: demo::inner::{{closure}}
                            at ./src/main.rs:3:5
                      2: demo::outer::{{closure}}
                            at ./src/main.rs:7:9
                      3: <selvedge::task::body::TaskBody<C> as core::future::Future>::poll
                      4: demo::asker::{{closure}}";
        let expected = [
            "File 'src/main.rs', line 3, in async demo::inner()",
            "File 'src/main.rs', line 7, in async demo::outer()",
        ];
        assert_eq!(shown(text), expected);
    }

    /// As the compiler leaves the names in an optimized program with line tables only.
    #[test]
    fn inlined_functions_are_known_by_their_files() {
        let text = format!(
            "   9: note<T>
                      at /home/me/{OWN_FILES}callgraph/capture.rs:114:11
                   poll<()>
                      at /home/me/{OWN_FILES}waiting/sleep.rs:111:13
                   {{async_fn#0}}
                      at ./src/main.rs:3:5
                   poll<demo::inner::{{async_fn_env#0}}>
                      at /home/me/{OWN_FILES}task/body.rs:45:9
               10: selvedge_scheduler::task::harness::poll"
        );
        assert_eq!(shown(&text), ["File 'src/main.rs', line 3, in async {async_fn#0}()"]);
    }

    #[test]
    fn without_names_nothing_is_shown() {
        let text = "   0: <unknown>
                      1: <unknown>
                      2: start_thread
                            at ./nptl/pthread_create.c:442:8";
        assert!(shown(text).is_empty());
    }
}
