//! Do the scheduler's files import downwards only? The answer is read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The doors of the models reach everywhere, and `lib` names every module.
const APART: [&str; 2] = ["model", "lib"];

type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// What each file or folder below `src` imports from its neighbours there. Tests at the end of a
/// file and comments do not count.
fn imports() -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut imports = Imports::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("it was found there");
        let first = inside.components().next().expect("it has a name");
        let module = Path::new(first.as_os_str()).file_stem().expect("it has a name");
        let module = module.to_str().expect("names are ASCII").to_owned();
        if APART.contains(&module.as_str()) || inside.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("it can be read");
        let text = text.split("\nmod tests {").next().expect("there is always a first part");
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let imported = imports.entry(module.clone()).or_default();
        for path in code.flat_map(|line| line.split("crate::").skip(1)) {
            let name: String = path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() && name != module && !APART.contains(&name.as_str()) {
                imported.insert(name);
            }
        }
    }
    imports
}

/// All modules that a module reaches, directly or through others.
fn reached(imports: &Imports, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(module) = open.pop() {
        for imported in imports.get(&module).into_iter().flatten() {
            if reached.insert(imported.clone()) {
                open.push(imported.clone());
            }
        }
    }
    reached
}

#[test]
fn nothing_imports_upwards() {
    let imports = imports();
    assert!(imports.len() > 25, "too few files were found: {:?}", imports.keys());
    let in_circles: Vec<_> = imports
        .keys()
        .filter(|module| reached(&imports, module).contains(*module))
        .map(String::as_str)
        .collect();
    assert_eq!(in_circles, [""; 0], "these reach themselves by what they import");
}

/// Tasks and queues are leaves: they know no worker and no scheduler.
#[test]
fn tasks_and_queues_know_nothing_above_them() {
    let imports = imports();
    let below = |module: &str| reached(&imports, module).into_iter().collect::<Vec<_>>();
    assert_eq!(below("task"), ["contain", "door", "sync"]);
    assert_eq!(below("queue"), ["contain", "door", "sync", "task"]);
}
