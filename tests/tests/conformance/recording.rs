//! What did asyncio do in a scenario?

use std::path::Path;

/// A recorded trace.
pub(crate) struct Recording {
    pub(crate) name: String,
    /// The row about it in the list of asyncio's behaviour.
    pub(crate) row: String,
    /// Whether the order within one instant is unspecified.
    pub(crate) is_unordered: bool,
    pub(crate) lines: Vec<String>,
}

/// All traces of a group.
pub(crate) fn read(group: &str) -> Vec<Recording> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(format!("{group}.trace"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut recordings: Vec<Recording> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_prefix("== ") {
            let (name, rows) = heading.split_once(' ').expect("a heading is a name and its rows");
            let is_unordered = rows.contains("in any order");
            let row = rows.trim_matches(['(', ')']).split(';').next().expect("a first part").into();
            recordings.push(Recording { name: name.into(), row, is_unordered, lines: Vec::new() });
        } else {
            recordings.last_mut().expect("a heading comes first").lines.push(line.into());
        }
    }
    recordings
}
