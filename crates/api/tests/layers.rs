//! Do the api's modules import downwards only? The answer is read from the sources, and from the
//! picture in `src/lib.rs`.

#[path = "../../../tests/support/imports.rs"]
mod imports;

use std::path::{Path, PathBuf};

use self::imports::{Imports, check_layers};

/// The modules for the models may import everything, and `pages` only compiles the guide's code.
const APART: [&str; 2] = ["model", "pages"];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn nothing_imports_upwards() {
    check_layers(&src(), &Imports::read(&src(), &APART));
}

/// A task's slot is data: it does not depend on the delivery of requests or on the loop.
#[test]
fn what_a_task_carries_knows_nothing_above_it() {
    let imports = Imports::read(&src(), &APART);
    let below: Vec<_> = imports.reached("slot").into_iter().collect();
    assert_eq!(below, ["contain", "context", "error", "request", "sync"]);
}
