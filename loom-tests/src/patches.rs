//! How does a fault get into a copy of the sources?
//!
//! `loom-tests/faults` holds unified diffs, one for each source file with faults, at the file's own
//! path. A hunk applies to the first place after the previous hunk whose lines are the same. Line
//! numbers, indentation, comments and blank lines do not count, so a reworded comment never breaks
//! a patch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The contents of files, by their paths below some folder.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) const FAULTS: &str = "loom-tests/faults";
/// The folders with packages. cargo does not load a workspace of which one is missing.
pub(crate) const COPIED: [&str; 5] = ["crates", "loom-tests", "tests", "benches", "examples"];

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in a folder of the repository")
}

/// The sources of the workspace, as they are now.
pub(crate) fn sources() -> Result<Files, String> {
    let mut files = Files::new();
    for name in ["Cargo.toml", "Cargo.lock"].into_iter().chain(COPIED) {
        read(root(), Path::new(name), &mut files)?;
    }
    Ok(files)
}

/// All files in `folder`.
pub(crate) fn files_in(folder: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    read(folder, Path::new(""), &mut files)?;
    Ok(files)
}

fn read(folder: &Path, below: &Path, files: &mut Files) -> Result<(), String> {
    let path = folder.join(below);
    let failed = |error| format!("{}: {error}", path.display());
    if !path.is_dir() {
        files.insert(below.to_owned(), fs::read(&path).map_err(failed)?);
        return Ok(());
    }
    for entry in fs::read_dir(&path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != "target" {
            read(folder, &below.join(name), files)?;
        }
    }
    Ok(())
}

/// Makes `folder` hold these files and no others. Those that are there already keep their times, or
/// cargo would build them again.
pub(crate) fn write(folder: &Path, files: &Files) -> Result<(), String> {
    let failed = |path: &Path, error| format!("{}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let present = files_in(folder)?;
    for name in present.keys().filter(|name| !files.contains_key(*name)) {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(|error| failed(&path, error))?;
    }
    for (name, bytes) in files.iter().filter(|(name, bytes)| present.get(*name) != Some(bytes)) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder"))
            .map_err(|error| failed(&path, error))?;
        fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// The faults of one source file.
pub(crate) struct Patch {
    /// The path of the source file.
    pub(crate) source: PathBuf,
    pub(crate) hunks: Vec<Hunk>,
}

/// Lines that begin with a space, `-` or `+`, as in any unified diff.
#[derive(Clone)]
pub(crate) struct Hunk(Vec<String>);

impl Patch {
    /// All that there are.
    pub(crate) fn all() -> Result<Vec<Patch>, String> {
        let files = match fs::metadata(root().join(FAULTS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Files::new(),
            _ => files_in(&root().join(FAULTS))?,
        };
        let patches =
            files.into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "patch"));
        Ok(patches.map(|(path, bytes)| Patch::parse(path.with_extension(""), &bytes)).collect())
    }

    pub(crate) fn parse(source: PathBuf, diff: &[u8]) -> Patch {
        let mut hunks = Vec::new();
        for line in String::from_utf8_lossy(diff).lines() {
            if line.starts_with("@@") {
                hunks.push(Hunk(Vec::new()));
            } else if let Some(Hunk(lines)) = hunks.last_mut()
                && !line.starts_with('\\')
            {
                lines.push(line.to_owned());
            }
        }
        Patch { source, hunks }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(FAULTS).join(format!("{}.patch", self.source.display()))
    }

    /// The source with the faults in it, and the hunks that do not apply.
    pub(crate) fn apply(&self, source: &[u8]) -> (Vec<u8>, Vec<&Hunk>) {
        let source = String::from_utf8_lossy(source);
        let lines: Vec<_> = source.lines().collect();
        let counted: Vec<_> = (0..lines.len()).filter(|&at| counts(lines[at])).collect();
        let (mut out, mut rejected) = (Vec::new(), Vec::new());
        let (mut copied, mut matched) = (0, 0);
        for hunk in &self.hunks {
            let Some(skipped) = hunk.places(&lines, &counted[matched..]).next() else {
                rejected.push(hunk);
                continue;
            };
            matched += skipped;
            let after_last = matched.checked_sub(1).map_or(0, |last| counted[last] + 1);
            let leading = hunk.0.iter().take_while(|line| old(line).is_none());
            let leading = leading.filter(|line| !line.starts_with('+')).count();
            let start = counted[matched].saturating_sub(leading).max(after_last).max(copied);
            out.extend(&lines[copied..start]);
            copied = start;
            for line in &hunk.0 {
                if let Some(added) = line.strip_prefix('+') {
                    out.push(added);
                } else if let Some(removed) = old(line) {
                    let at = counted[matched];
                    matched += 1;
                    out.extend(&lines[copied..at + usize::from(!removed)]);
                    copied = at + 1;
                } else if lines.get(copied).is_some_and(|next| !counts(next)) {
                    // Another comment may stand here now. It stays on its side of what is added.
                    out.push(lines[copied]);
                    copied += 1;
                }
            }
        }
        out.extend(&lines[copied..]);
        ((out.join("\n") + "\n").into_bytes(), rejected)
    }

    /// The names of its faults.
    fn faults(&self) -> impl Iterator<Item = &str> {
        let added = self.hunks.iter().flat_map(|hunk| &hunk.0).filter(|line| line.starts_with('+'));
        added.flat_map(|line| {
            let calls = ["fault(\"", "weaken(\""].into_iter().flat_map(|call| line.split(call).skip(1));
            calls.filter_map(|rest| rest.split('"').next())
        })
    }
}

impl Hunk {
    /// After how many of the `counted` lines it applies.
    fn places(&self, lines: &[&str], counted: &[usize]) -> impl Iterator<Item = usize> {
        let old: Vec<_> =
            self.0.iter().filter(|line| old(line).is_some()).map(|line| line[1..].trim()).collect();
        let windows = counted.windows(old.len().max(1)).enumerate();
        windows
            .filter(move |(_, window)| window.iter().map(|&at| lines[at].trim()).eq(old.iter().copied()))
            .map(|(at, _)| at)
    }

    /// In how many places of a source it applies.
    #[cfg(not(selvedge_loom))]
    pub(crate) fn fits(&self, source: &[u8]) -> usize {
        let source = String::from_utf8_lossy(source);
        let lines: Vec<_> = source.lines().collect();
        let counted: Vec<_> = (0..lines.len()).filter(|&at| counts(lines[at])).collect();
        self.places(&lines, &counted).count()
    }
}

impl std::fmt::Display for Hunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Whether a hunk's line must be there and is removed; None: it is added, or does not count.
fn old(line: &str) -> Option<bool> {
    let text = line.strip_prefix([' ', '-'])?;
    counts(text).then(|| line.starts_with('-'))
}

/// Neither a comment nor blank.
pub(crate) fn counts(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

/// The names of all faults that the patches build in.
pub(crate) fn faults(patches: &[Patch]) -> BTreeSet<&str> {
    patches.iter().flat_map(Patch::faults).collect()
}

/// The sources with all faults in them, and what does not apply.
pub(crate) fn apply<'a>(patches: &'a [Patch], sources: &Files) -> (Files, Vec<(&'a Patch, &'a Hunk)>) {
    let mut faulty = sources.clone();
    let mut rejected = Vec::new();
    for patch in patches {
        let hunks = match faulty.get_mut(&patch.source) {
            Some(source) => {
                let (changed, hunks) = patch.apply(source);
                *source = changed;
                hunks
            }
            None => patch.hunks.iter().collect(),
        };
        rejected.extend(hunks.into_iter().map(|hunk| (patch, hunk)));
    }
    (faulty, rejected)
}

/// Which hunk does not apply, and what there is to do.
pub(crate) fn complain(rejected: &[(&Patch, &Hunk)], sources: &Files) -> String {
    let mut lines = Vec::new();
    for (patch, hunk) in rejected {
        let file = patch.source.display();
        let why = if sources.contains_key(&patch.source) {
            format!("has changed where {} puts a fault", patch.path().display())
        } else {
            format!("is no longer there, but {} puts a fault into it", patch.path().display())
        };
        lines.push(format!("{file} {why}:\n{hunk}"));
    }
    lines.concat()
        + "Run `make faults-edit`, put these faults into the copy that it makes, and run `make faults-save`."
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    const DIFF: &[u8] = b"--- a/x
+++ b/x
@@ -1,4 +1,4 @@
 {
     // why
-    fence();
+    if !fault(\"f\") { fence() }
 }
";

    fn applied(source: &str) -> (String, usize) {
        let patch = Patch::parse("x".into(), DIFF);
        let (faulty, rejected) = patch.apply(source.as_bytes());
        (String::from_utf8(faulty).expect("as the source"), rejected.len())
    }

    #[test]
    fn comments_and_indentation_do_not_count() {
        let source = "fence();\nfn f()\n  {\n  // another reason\n  // on two lines\n\n  fence();\n  }\n";
        let faulty = source.replacen("\n  fence();", "\n    if !fault(\"f\") { fence() }", 1);
        assert_eq!(applied(source), (faulty, 0));
    }

    #[test]
    fn what_is_added_stays_between_the_comments() {
        let diff = b"@@ -1,4 +1,5 @@\n // first\n+fault(\"f\");\n // second\n run();\n \n";
        let (faulty, _) = Patch::parse("x".into(), diff).apply(b"go();\n// one\n// two\nrun();\n");
        assert_eq!(String::from_utf8_lossy(&faulty), "go();\n// one\nfault(\"f\");\n// two\nrun();\n");
    }

    #[test]
    fn what_does_not_apply_changes_nothing() {
        let source = "{\nfence();\nfence();\n}\n";
        assert_eq!(applied(source), (source.to_owned(), 1));
    }

    #[test]
    fn names_are_found_in_what_is_added() {
        let patches = [Patch::parse("x".into(), DIFF)];
        assert_eq!(faults(&patches), BTreeSet::from(["f"]));
    }
}
