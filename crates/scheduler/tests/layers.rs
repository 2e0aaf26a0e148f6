//! Do the scheduler's modules import downwards only? The answer is read from the sources, and from the
//! picture in `src/lib.rs`.

#[path = "../../../tests/support/imports.rs"]
mod imports;

use std::path::{Path, PathBuf};

use self::imports::{Imports, check_layers};

/// The doors of the models may import everything.
const APART: [&str; 1] = ["model"];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn nothing_imports_upwards() {
    check_layers(&src(), &Imports::read(&src(), &APART));
}

/// Tasks and queues know no worker and no scheduler.
#[test]
fn tasks_and_queues_know_nothing_above_them() {
    let imports = Imports::read(&src(), &APART);
    let below = |module: &str| imports.reached(module).into_iter().collect::<Vec<_>>();
    assert_eq!(below("task"), ["contain", "door", "sync"]);
    assert_eq!(below("queue"), ["contain", "door", "sync", "task"]);
}
