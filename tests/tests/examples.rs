//! Does each example of the api crate print the lines that it states, which are those of asyncio's
//! page?
//!
//! The examples are plain programs. Here each is a module of this crate, and this crate goes by the
//! name `selvedge`. So an example uses the library's own items, except for the attribute `main`.
//! This `main` makes a test of the example, which runs on one worker and in virtual time: the test
//! does not wait, and the order of events is fixed. `println!` writes to a page that belongs to the
//! example.

extern crate self as selvedge;

pub use selvedge_tests::selvedge::test as main;
pub use selvedge_tests::selvedge::*;

/// Stores a line instead of writing it to standard output.
macro_rules! println {
    ($($arguments:tt)*) => {
        $crate::page::write(module_path!(), format!($($arguments)*))
    };
}

#[path = "../../crates/api/examples"]
mod example {
    mod as_completed;
    mod as_completed_stream;
    mod background_tasks;
    mod cancel_me;
    mod cancel_task_group;
    mod display_date;
    mod eternity;
    mod factorial;
    mod future_object;
    mod hello_world;
    mod introspection;
    mod loop_in_thread;
    mod nested;
    mod nested_task;
    mod run_coroutine_threadsafe;
    mod say_after;
    mod say_after_task_group;
    mod say_after_tasks;
    mod shield;
    mod structured_timeout;
    mod task_group;
    mod terminate_task_group;
    mod threadsafe_outcomes;
    mod timeout;
    mod timeout_at;
    mod timeout_reschedule;
    mod to_thread;
    mod wait;
}

/// Examples in which a thread waits for the loop. The wait pauses its virtual time, so these use
/// real time. They take a tenth of a second.
const IN_REAL_TIME: [&str; 3] = ["loop_in_thread", "run_coroutine_threadsafe", "threadsafe_outcomes"];

/// The items that the attribute `main` uses.
#[doc(hidden)]
pub mod __private {
    use std::panic::Location;

    use super::{Coroutine, IN_REAL_TIME, Result, Runner, page};

    /// Accepts the options of an example, and builds the runner that a test needs.
    #[derive(Debug, Default)]
    pub struct RunnerBuilder;

    impl RunnerBuilder {
        #[must_use]
        pub fn debug(self, _enabled: bool) -> RunnerBuilder {
            self
        }

        #[must_use]
        pub fn virtual_time(self, _enabled: bool) -> RunnerBuilder {
            self
        }
    }

    #[track_caller]
    pub fn test_with_result<C: Coroutine>(_settings: RunnerBuilder, main: C) -> Result<C::Item> {
        let example = page::name(Location::caller().file());
        let virtual_time = !IN_REAL_TIME.contains(&&*example);
        let ended = Runner::builder().workers(1).virtual_time(virtual_time).run(main)?;
        page::check(&example);
        Ok(ended)
    }
}

/// The lines that each example has printed.
mod page {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    use parking_lot::Mutex;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/api/examples");

    static PRINTED: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

    /// An example's name from the path of its file.
    pub(crate) fn name(path: &str) -> String {
        let stem = Path::new(path).file_stem().expect("an example is a file");
        stem.to_str().expect("its name is plain").to_owned()
    }

    pub(crate) fn write(module: &str, line: String) {
        let (_, example) = module.rsplit_once("::").expect("only examples print");
        PRINTED.lock().entry(example.to_owned()).or_default().push(line);
    }

    /// Compares the printed lines with the comment that ends the example.
    #[track_caller]
    pub(crate) fn check(example: &str) {
        let printed = PRINTED.lock().remove(example).unwrap_or_default();
        assert_eq!(printed, expected(example), "on the left what {example} printed");
    }

    #[track_caller]
    pub(crate) fn expected(example: &str) -> Vec<String> {
        let source = fs::read_to_string(format!("{FOLDER}/{example}.rs")).expect("it lies there");
        let (_, comment) =
            source.split_once("\n// Expected output:\n//\n").expect("an example says what it prints");
        let line = |line: &str| line.strip_prefix("//     ").expect("a line of output").to_owned();
        comment.lines().map(line).collect()
    }

    /// An example that is no module here would not be tested, and one that the guide does not name
    /// would not be found.
    #[test]
    fn none_is_left_out() {
        let here: BTreeSet<String> = include_str!("examples.rs")
            .lines()
            .filter_map(|line| Some(line.strip_prefix("    mod ")?.strip_suffix(';')?.to_owned()))
            .collect();
        let there: BTreeSet<String> = fs::read_dir(FOLDER)
            .expect("there are examples")
            .map(|entry| name(entry.expect("a file").path().to_str().expect("its name is plain")))
            .collect();
        assert_eq!(here, there);
        let guide = include_str!("../../docs/from-asyncio.md");
        for example in here {
            assert!(!expected(&example).is_empty(), "{example}");
            assert!(guide.contains(&format!("`{example}`")), "the guide does not name {example}");
        }
    }

    #[test]
    fn none_needs_a_turbofish() {
        for file in fs::read_dir(FOLDER).expect("there are examples") {
            let path = file.expect("a file").path();
            let source = fs::read_to_string(&path).expect("it lies there");
            assert!(!source.contains("::<"), "{}", path.display());
        }
    }
}
