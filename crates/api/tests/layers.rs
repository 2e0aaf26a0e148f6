//! Do the api's modules import downwards only? The answer is read from the sources, and from the
//! picture in `src/lib.rs`.

#[path = "../../../tests/support/imports.rs"]
mod imports;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::imports::Imports;

/// The modules for the models may import everything, and `pages` only compiles the guide's code.
const APART: [&str; 2] = ["model", "pages"];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The row of each module in the picture, counted from the top. A row's modules end, and its
/// description begins, where the space is wider by two than between modules.
fn rows() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(src().join("lib.rs")).expect("it can be read");
    let picture = text.split("\n// ```text\n").nth(1).and_then(|rest| rest.split("// ```").next());
    let lines = picture.expect("`lib.rs` has the picture").lines().enumerate();
    let rows = lines.map(|(row, line)| {
        let line = line.trim_start_matches("//").trim_start();
        (row, line.split("    ").next().expect("there is always a first part"))
    });
    let modules = rows.flat_map(|(row, modules)| modules.split_whitespace().map(move |module| (module, row)));
    modules.map(|(module, row)| (module.trim_end_matches('/').to_owned(), row)).collect()
}

#[test]
fn nothing_imports_upwards() {
    let imports = Imports::read(&src(), &APART);
    assert_eq!(imports.in_circles(), [""; 0], "these reach themselves by what they import");
}

#[test]
fn the_picture_shows_every_module_above_what_it_imports() {
    let (imports, rows) = (Imports::read(&src(), &APART), rows());
    let modules: Vec<_> = imports.modules().collect();
    assert_eq!(rows.keys().collect::<Vec<_>>(), modules, "the picture has each module, and no other");
    for module in modules {
        for imported in imports.of(module) {
            assert!(
                rows[module] < rows[imported],
                "{module} imports {imported}, which does not stand below it"
            );
        }
    }
}

/// A task's slot is data: it does not depend on the delivery of requests or on the loop.
#[test]
fn what_a_task_carries_knows_nothing_above_it() {
    let imports = Imports::read(&src(), &APART);
    let below: Vec<_> = imports.reached("slot").into_iter().collect();
    assert_eq!(below, ["contain", "context", "error", "request", "sync"]);
}
