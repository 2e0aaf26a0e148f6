//! What do the modules of a crate import from each other, and in which layers do they stand? For the
//! tests of layers. Imports are read from the sources, layers from the picture in `src/lib.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files or folders right below `src`, by name, and what each of them imports from the others.
pub(crate) struct Imports(BTreeMap<String, BTreeSet<String>>);

impl Imports {
    /// Reads the sources below `src`, without the modules in `apart`. Tests and comments do not
    /// count. A path through a name that `lib.rs` makes public counts as one to the module that
    /// defines it.
    pub(crate) fn read(src: &Path, apart: &[&str]) -> Imports {
        let mut files = Vec::new();
        sources(src, &mut files);
        let mut imports: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut paths = Vec::new();
        for file in files {
            let inside = file.strip_prefix(src).expect("it was found there");
            let first = inside.components().next().expect("it has a name");
            let module = Path::new(first.as_os_str()).file_stem().and_then(|name| name.to_str());
            let module = module.expect("names are ASCII").to_owned();
            if module == "lib" || apart.contains(&&*module) || inside.ends_with("tests.rs") {
                continue;
            }
            let code = code_of(&file);
            assert!(
                !leaves_its_folder(inside, &code),
                "{} imports by `super` what is not its folder's",
                file.display()
            );
            imports.entry(module.clone()).or_default();
            paths.extend(names_after_crate(&code).into_iter().map(|name| (module.clone(), name)));
        }
        let public = public_names(&code_of(&src.join("lib.rs")));
        for (module, name) in paths {
            let imported = if imports.contains_key(&name) { Some(&name) } else { public.get(&name) };
            if let Some(imported) = imported.filter(|imported| **imported != module) {
                let imported = imported.clone();
                imports.entry(module).or_default().insert(imported);
            }
        }
        Imports(imports)
    }

    /// All modules.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The modules that this module imports.
    pub(crate) fn of<'a>(&'a self, module: &str) -> impl Iterator<Item = &'a str> {
        self.0.get(module).into_iter().flatten().map(String::as_str)
    }

    /// All modules that this module imports, directly or through others.
    pub(crate) fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = self.of(from).collect();
        while let Some(module) = open.pop() {
            if reached.insert(module) {
                open.extend(self.of(module));
            }
        }
        reached
    }

    /// The modules that import themselves through others.
    pub(crate) fn in_circles(&self) -> Vec<&str> {
        self.modules().filter(|module| self.reached(module).contains(module)).collect()
    }
}

/// The row of each module in the picture of `src/lib.rs`, counted from the top: the text block whose
/// last row has the module `sync`. A row's modules end, and its description begins, where the space is
/// wider by two than between modules.
fn rows(src: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(src.join("lib.rs")).expect("it can be read");
    let uncommented = |line: &'_ str| line.trim_start_matches(['/', '!']).trim().to_owned();
    let lines: Vec<_> = text.lines().map(uncommented).collect();
    let blocks = lines.split(|line| line.starts_with("```"));
    let is_picture = |block: &&[String]| {
        block.last().is_some_and(|row| row.split_whitespace().any(|module| module == "sync"))
    };
    let picture = blocks.into_iter().find(is_picture).expect("`lib.rs` has the picture");
    let modules = picture.iter().enumerate().flat_map(|(row, line)| {
        let modules = line.split("    ").next().expect("there is always a first part");
        modules.split_whitespace().map(move |module| (module.trim_end_matches('/').to_owned(), row))
    });
    modules.collect()
}

/// Checks that no module imports itself through others, that the picture in `src/lib.rs` has each
/// module and no other, and that each stands in a row above all that it imports.
pub(crate) fn check_layers(src: &Path, imports: &Imports) {
    assert_eq!(imports.in_circles(), [""; 0], "these reach themselves by what they import");
    let (rows, modules) = (rows(src), imports.modules().collect::<Vec<_>>());
    assert_eq!(rows.keys().collect::<Vec<_>>(), modules, "the picture has each module, and no other");
    for module in modules {
        for imported in imports.of(module) {
            let is_below = rows[module] < rows[imported];
            assert!(is_below, "{module} imports {imported}, which does not stand below it in `lib.rs`");
        }
    }
}

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

/// A file without its tests and comments.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("it can be read");
    let text = text.split("\nmod tests {").next().expect("there is always a first part");
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.collect::<Vec<_>>().join("\n")
}

/// Whether a `use` reaches outside the file or folder that lies right below `src`.
fn leaves_its_folder(inside: &Path, code: &str) -> bool {
    let depth = inside.components().count() - usize::from(inside.ends_with("mod.rs"));
    let climb = format!("use {}", "super::".repeat(depth));
    code.lines().any(|line| line.starts_with(&climb))
}

/// The first names of all paths that begin with `crate::`, also of those in `crate::{…}`.
fn names_after_crate(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for path in code.split("crate::").skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            names.push(name_at(path));
            continue;
        };
        let (mut depth, mut at_start) = (0_usize, true);
        for (index, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                _ if at_start && !character.is_whitespace() => {
                    names.push(name_at(&group[index..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|character| character.is_ascii_alphanumeric() || *character == '_').collect()
}

/// The names that `lib.rs` makes public, and the module that defines each.
fn public_names(lib: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for statement in lib.split("pub use self::").skip(1) {
        let statement = statement.split(';').next().expect("there is always a first part");
        let module = name_at(statement);
        let listed = statement[module.len()..]
            .split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        names.extend(listed.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), module.clone())));
    }
    names
}
