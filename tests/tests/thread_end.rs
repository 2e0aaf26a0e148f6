//! Can each public object be made, used and dropped in the destructor of a thread-local? On each
//! kind of thread, before the library's own thread-locals are destroyed and after. The cases are in
//! `src/bin/thread_end/`, which is a separate program, because a fault here would end the process.
#![allow(missing_docs)]

use std::process::Command;

fn run(arguments: &[&str]) -> (Vec<String>, String) {
    let ended =
        Command::new(env!("CARGO_BIN_EXE_thread_end")).args(arguments).output().expect("it was built");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let lines = text(&ended.stdout).lines().map(str::to_owned).collect();
    (lines, format!("{}\n{}", ended.status, text(&ended.stderr)))
}

/// Every case prints a line, in order, and the process ends well.
fn all_end_well(thread: &str, first: &str) {
    let (names, _) = run(&["list"]);
    assert!(names.len() > 150, "the list is cut: {}", names.len());
    let (lines, end) = run(&[thread, first]);
    for (at, name) in names.iter().enumerate() {
        let line = lines.get(at).map_or("the process ended", String::as_str);
        assert_eq!(line, format!("{name}: fine"), "thread {thread}, {first} first\n{end}");
    }
    assert_eq!(lines.len(), names.len());
    assert!(end.starts_with("exit status: 0"), "thread {thread}, {first} first\n{end}");
}

macro_rules! threads {
    ($($name:ident: $thread:literal, $first:literal;)+) => {
        $(
            #[test]
            fn $name() {
                all_end_well($thread, $first);
            }
        )+
    };
}

threads! {
    a_foreign_thread_whose_own_go_first: "foreign", "theirs";
    a_foreign_thread_whose_own_go_last: "foreign", "ours";
    the_main_thread_whose_own_go_first: "main", "theirs";
    the_main_thread_whose_own_go_last: "main", "ours";
    a_worker_whose_own_go_first: "worker", "theirs";
    a_worker_whose_own_go_last: "worker", "ours";
    a_pool_thread_whose_own_go_first: "pool", "theirs";
    a_pool_thread_whose_own_go_last: "pool", "ours";
}
