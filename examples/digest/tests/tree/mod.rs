//! Which files are there to digest, and what is the expected result?

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// A folder of files that is removed when this is dropped.
pub(crate) struct Tree {
    root: tempfile::TempDir,
    /// All regular files, by the names that `digest` gives them when it runs in the root without
    /// paths, in the order of its sums.
    pub(crate) files: Vec<PathBuf>,
}

impl Tree {
    /// Files whose content is their name.
    pub(crate) fn of(names: &[&str]) -> Tree {
        let mut tree = Tree { root: tempfile::tempdir().unwrap(), files: Vec::new() };
        for name in names {
            tree.add(Path::new(name), name.as_bytes());
        }
        tree.files.sort();
        tree
    }

    /// Two thousand small files, a few larger ones, and every name that a shell script gets wrong.
    pub(crate) fn of_2000_files() -> Tree {
        let mut tree = Tree::of(&[
            "with space",
            " leading and trailing ",
            "new\nline",
            "carriage\rreturn",
            "back\\slash",
            "-rf",
            "--",
            "*",
            "'quoted\"",
            "caf\u{e9}",
            "tab\there",
            "\u{1b}[31mred",
            ".hidden",
            "deep/er/and/deeper/still/file",
        ]);
        tree.add(Path::new("empty"), b"");
        for name in not_utf8() {
            tree.add(Path::new(&name), b"not UTF-8");
        }
        for index in 0u32..2000 {
            let text = format!("{index} ").repeat(index as usize % 300);
            tree.add(
                &Path::new("many").join(format!("{}", index % 40)).join(format!("{index}.txt")),
                text.as_bytes(),
            );
        }
        // Around the size of a chunk, and above it.
        for size in [262_143, 262_144, 262_145, 3_000_000] {
            let text: Vec<u8> = (0u32..).flat_map(u32::to_le_bytes).take(size).collect();
            tree.add(Path::new(&format!("large/{size}")), &text);
        }
        tree.files.sort();
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    fn add(&mut self, name: &Path, content: &[u8]) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.files.push(Path::new(".").join(name));
    }

    /// A directory loop, a link to nowhere, a socket, and a file that may not be read.
    #[cfg(unix)]
    pub(crate) fn add_problems(&self) {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let at = |name: &str| self.root().join(name);
        fs::create_dir(at("folder")).unwrap();
        symlink("..", at("folder/loop")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        fs::write(at("unreadable"), "secret").unwrap();
        fs::set_permissions(at("unreadable"), fs::Permissions::from_mode(0o000)).unwrap();
        if !self.has_unreadable() {
            fs::remove_file(at("unreadable")).unwrap();
        }
    }

    /// Whether there is an unreadable file: root may read every file.
    #[cfg(unix)]
    pub(crate) fn has_unreadable(&self) -> bool {
        !rustix::process::geteuid().is_root() && self.root().join("unreadable").exists()
    }
}

#[cfg(target_os = "linux")]
fn not_utf8() -> Vec<OsString> {
    use std::os::unix::ffi::OsStringExt;
    vec![OsString::from_vec(b"caf\xe9".to_vec()), OsString::from_vec(b"\xff\n\xfe".to_vec())]
}

/// Other systems refuse such names.
#[cfg(not(target_os = "linux"))]
fn not_utf8() -> Vec<OsString> {
    Vec::new()
}

/// The output of `sha256sum` for these files. Where there is no `sha256sum`, the same lines made
/// here.
pub(crate) fn reference_sums(root: &Path, files: &[PathBuf]) -> Vec<u8> {
    by_sha256sum(root, files).unwrap_or_else(|| by_hand(root, files))
}

fn by_sha256sum(root: &Path, files: &[PathBuf]) -> Option<Vec<u8>> {
    let command = |arguments: &[PathBuf]| {
        let mut command = Command::new("sha256sum");
        command.arg("--").args(arguments).current_dir(root).stdin(Stdio::null()).output().ok()
    };
    // Older releases, and other implementations, do not escape a carriage return, so they are not
    // used.
    let probe = command(&[PathBuf::from("carriage\rreturn")])?;
    if !probe.stdout.starts_with(b"\\") {
        return None;
    }
    let mut lines = Vec::new();
    for some in files.chunks(500) {
        let output = command(some)?;
        assert!(output.status.success(), "sha256sum: {}", String::from_utf8_lossy(&output.stderr));
        lines.extend(output.stdout);
    }
    Some(lines)
}

fn by_hand(root: &Path, files: &[PathBuf]) -> Vec<u8> {
    let mut lines = Vec::new();
    for file in files {
        let sum = Sha256::digest(fs::read(root.join(file)).unwrap());
        let name = file.as_os_str().as_encoded_bytes();
        let mut escaped = Vec::new();
        for byte in name {
            match byte {
                b'\\' => escaped.extend(b"\\\\"),
                b'\n' => escaped.extend(b"\\n"),
                b'\r' => escaped.extend(b"\\r"),
                other => escaped.push(*other),
            }
        }
        if escaped != name {
            lines.push(b'\\');
        }
        sum.iter().try_for_each(|byte| write!(lines, "{byte:02x}")).unwrap();
        lines.extend(b"  ");
        lines.extend(escaped);
        lines.push(b'\n');
    }
    lines
}

/// The number of lines, each of which is one file.
pub(crate) fn sums_in(lines: &[u8]) -> usize {
    lines.split_inclusive(|byte| *byte == b'\n').count()
}

/// The names in lines of sums (of files whose names need no escapes).
pub(crate) fn names_of(lines: &[u8]) -> Vec<String> {
    let lines = String::from_utf8(lines.to_vec()).unwrap();
    lines.lines().map(|line| line[64..].trim_start().to_owned()).collect()
}
