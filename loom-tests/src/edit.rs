//! How are the faults edited? In a copy of the sources that has them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::patches::{self, FAULTS, Files, Hunk, Patch, counts, root};

/// Holds `shipped`, the sources, and `faulty`, the same with the faults in them.
const EDITED: &str = "target-faults";
/// Lines around a fault in a patch. More only where the first place that fits these would be another one.
const CONTEXT: [usize; 4] = [2, 4, 8, 16];

/// Makes the copy.
pub(crate) fn begin() -> Result<(), String> {
    let folder = root().join(EDITED);
    if folder.exists() {
        return Err(format!(
            "{EDITED} has faults in it: run `make faults-save`, or remove it if you want none of them"
        ));
    }
    let patches = Patch::all()?;
    let shipped = patches::sources()?;
    let (mut faulty, rejected) = patches::apply(&patches, &shipped);
    for (patch, hunk) in rejected {
        if let Some(moved_to) = moved(hunk, &mut faulty) {
            println!("A fault in {} has moved to {}", patch.source.display(), moved_to.display());
            continue;
        }
        let name = PathBuf::from(format!("{}.rej", patch.source.display()));
        println!("{}\n{hunk}", Path::new(EDITED).join("faulty").join(&name).display());
        faulty.entry(name).or_default().extend(format!("{hunk}\n").into_bytes());
    }
    patches::write(&folder.join("shipped"), &shipped)?;
    patches::write(&folder.join("faulty"), &faulty)?;
    println!(
        "Edit the faults in {EDITED}/faulty, and those in files that end in .rej put where they belong now,"
    );
    println!("then remove these files and run `make faults-save`.");
    Ok(())
}

/// Puts a fault that does not apply where it was into the only other place where it does.
fn moved(hunk: &Hunk, files: &mut Files) -> Option<PathBuf> {
    let in_crates = files.iter().filter(|(path, _)| path.starts_with("crates"));
    let places: Vec<_> =
        in_crates.map(|(path, source)| (path, hunk.fits(source))).filter(|place| place.1 > 0).collect();
    let &[(source, 1)] = &places[..] else { return None };
    let moved = Patch { source: source.clone(), hunks: vec![hunk.clone()] };
    let (faulty, _) = moved.apply(&files[&moved.source]);
    files.insert(moved.source.clone(), faulty);
    Some(moved.source)
}

/// Writes what was edited back as patches, and removes the copy.
pub(crate) fn save() -> Result<(), String> {
    let folder = root().join(EDITED);
    if !folder.exists() {
        return Err(format!("there is no {EDITED}: run `make faults-edit` first"));
    }
    let [shipped, faulty] =
        [patches::files_in(&folder.join("shipped"))?, patches::files_in(&folder.join("faulty"))?];
    let mut written = Files::new();
    for (path, bytes) in &faulty {
        if path.extension().is_some_and(|end| end == "rej") {
            return Err(format!(
                "{EDITED}/faulty/{}: put these faults where they belong, and remove the file",
                path.display()
            ));
        }
        let Some(before) = shipped.get(path) else {
            return Err(format!("{EDITED}/faulty/{}: a fault cannot be a file of its own", path.display()));
        };
        if before != bytes {
            written.insert(
                PathBuf::from(format!("{}.patch", path.display())),
                diff(&folder, path, before, bytes)?,
            );
        }
    }
    patches::write(&root().join(FAULTS), &written)?;
    let patches = Patch::all()?;
    let sources = patches::sources()?;
    let (_, rejected) = patches::apply(&patches, &sources);
    if !rejected.is_empty() {
        return Err(format!(
            "The faults are saved, but the sources have changed meanwhile; remove {EDITED}.\n{}",
            patches::complain(&rejected, &sources)
        ));
    }
    println!("{} faults in {} files", patches::faults(&patches).len(), patches.len());
    fs::remove_dir_all(&folder).map_err(|error| format!("{EDITED}: {error}"))
}

fn diff(folder: &Path, path: &Path, shipped: &[u8], faulty: &[u8]) -> Result<Vec<u8>, String> {
    let counted = |text: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(text).lines().filter(|line| counts(line)).map(str::to_owned).collect()
    };
    for context in CONTEXT {
        let mut git = Command::new("git");
        git.args([
            "diff",
            "--no-index",
            "--no-ext-diff",
            "--no-color",
            &format!("--unified={context}"),
            "--",
        ]);
        git.args([Path::new("shipped").join(path), Path::new("faulty").join(path)]).current_dir(folder);
        let output = git.output().map_err(|error| format!("git: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(at) = text.find("\n@@") else {
            return Err(format!("{}: git finds no difference that is text", path.display()));
        };
        let text = format!("--- a/{0}\n+++ b/{0}{1}", path.display(), &text[at..]);
        let saved = Patch::parse(path.to_owned(), text.as_bytes());
        let (again, rejected) = saved.apply(shipped);
        if rejected.is_empty() && counted(&again) == counted(faulty) {
            return Ok(text.into_bytes());
        }
    }
    Err(format!("{}: the faults are in places that look like others", path.display()))
}
