//! Which files are under the given paths?
//!
//! Folders are walked without following symbolic links. Links that are found are kept, and resolved
//! after everything else has been seen. So a file gets its own name rather than a link's, a link
//! into a walked folder costs nothing, and a link that leads back to a folder that contains it is
//! reported (`DirectoryLoop`) instead of causing an endless walk. A folder is entered once, however
//! many links lead to it, so folders that link to each other crosswise take linear time.
//!
//! A walk remembers canonical paths, so that it recognises seen files without a system call per
//! file. It looks up the canonical path of its root once. Below the root no link is followed, so
//! the other canonical paths are made by joining.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::problem::{Problem, What};

/// The file by which tools mark a folder whose contents they can make again, and the start of its
/// text.
const CACHE_TAG: (&str, &[u8]) = ("CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55");

#[derive(Debug)]
pub(crate) enum Found {
    File { path: PathBuf, size: u64, named: bool },
    Problem(Problem),
}

/// An iterator over the files under some paths, each once. Problems are yielded as items; no
/// problem ends the walk early.
pub(crate) struct Walk {
    named: VecDeque<PathBuf>,
    /// Links that were found on the way, to be resolved last.
    links: VecDeque<PathBuf>,
    current: Option<Folder>,
    skip_caches: bool,
    /// Canonical paths.
    seen_folders: HashSet<PathBuf>,
    seen_files: HashSet<PathBuf>,
}

/// A folder that was given, or that a link leads to, with all that is below it.
struct Folder {
    entries: walkdir::IntoIter,
    path: PathBuf,
    canonical: PathBuf,
    named: bool,
}

impl Walk {
    pub(crate) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Walk {
        Walk {
            named: paths.into_iter().collect(),
            links: VecDeque::new(),
            current: None,
            skip_caches: false,
            seen_folders: HashSet::new(),
            seen_files: HashSet::new(),
        }
    }

    /// Leaves out `.git` and the folders marked as caches, unless they are given themselves.
    pub(crate) fn skip_caches(mut self, skip: bool) -> Walk {
        self.skip_caches = skip;
        self
    }

    /// Leaves out one file: the one that will be overwritten with the result.
    pub(crate) fn leave_out(mut self, file: &Path) -> Walk {
        self.seen_files.extend(file.canonicalize());
        self
    }

    /// Opens the target of `path`, which was given or is a link. A folder becomes the current one.
    fn open(&mut self, path: PathBuf, named: bool) -> Option<Found> {
        let resolved = path.canonicalize().and_then(|canonical| Ok((canonical.metadata()?, canonical)));
        let (metadata, canonical) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return Some(problem(path, What::Io(error), named)),
        };
        if metadata.is_file() {
            let is_new = self.seen_files.insert(canonical);
            return is_new.then_some(Found::File { path, size: metadata.len(), named });
        }
        if !metadata.is_dir() {
            return Some(problem(path, What::NotAFile, named));
        }
        if !named && self.skip_caches && is_cache(&canonical) {
            return None;
        }
        if self.seen_folders.insert(canonical.clone()) {
            let entries = WalkDir::new(&path).min_depth(1).sort_by_file_name().into_iter();
            self.current = Some(Folder { entries, path, canonical, named });
            return None;
        }
        // A second path to a folder adds nothing. A path from inside it would have been an endless
        // loop.
        let home = path.parent().and_then(|home| home.canonicalize().ok());
        let is_loop = !named && home.is_some_and(|home| home.starts_with(&canonical));
        is_loop.then(|| problem(path, What::DirectoryLoop { back_to: canonical }, named))
    }

    /// Classifies an entry below `folder`. Returns `None` for a folder, a link, and a file that was
    /// seen before.
    fn judge(&mut self, folder: &mut Folder, entry: walkdir::Result<walkdir::DirEntry>) -> Option<Found> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let named = folder.named && error.depth() == 0;
                let path = error.path().unwrap_or(&folder.path).to_path_buf();
                // Without following links walkdir reports no loops, so the error contains an I/O
                // error.
                let error = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
                return Some(problem(path, What::Io(error), named));
            }
        };
        let kind = entry.file_type();
        if kind.is_symlink() {
            self.links.push_back(entry.into_path());
            return None;
        }
        let canonical = match entry.path().strip_prefix(&folder.path) {
            Ok(below) => folder.canonical.join(below),
            Err(_) => entry.path().to_path_buf(),
        };
        if kind.is_dir() {
            if self.skip_caches && is_cache(entry.path()) || !self.seen_folders.insert(canonical) {
                folder.entries.skip_current_dir();
            }
            return None;
        }
        if !kind.is_file() {
            return Some(problem(entry.into_path(), What::NotAFile, false));
        }
        if !self.seen_files.insert(canonical) {
            return None;
        }
        Some(match entry.metadata() {
            Ok(metadata) => Found::File { path: entry.into_path(), size: metadata.len(), named: false },
            Err(error) => problem(entry.into_path(), What::Io(error.into()), false),
        })
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let found = if let Some(mut folder) = self.current.take() {
                let Some(entry) = folder.entries.next() else { continue };
                let found = self.judge(&mut folder, entry);
                self.current = Some(folder);
                found
            } else if let Some(path) = self.named.pop_front() {
                self.open(path, true)
            } else {
                let link = self.links.pop_front()?;
                self.open(link, false)
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

fn problem(path: PathBuf, what: What, named: bool) -> Found {
    Found::Problem(Problem { path, what, named })
}

fn is_cache(folder: &Path) -> bool {
    let (name, signature) = CACHE_TAG;
    let tagged = || -> io::Result<bool> {
        let mut start = vec![0; signature.len()];
        File::open(folder.join(name))?.read_exact(&mut start)?;
        Ok(start == signature)
    };
    folder.file_name().is_some_and(|name| name == ".git") || tagged().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The names of the files, relative to `root`, and the problems as text.
    fn walked(walk: Walk, root: &Path) -> (Vec<String>, Vec<String>) {
        let (mut files, mut problems) = (Vec::new(), Vec::new());
        for found in walk {
            match found {
                Found::File { path, .. } => {
                    files.push(path.strip_prefix(root).unwrap().display().to_string());
                }
                Found::Problem(problem) => {
                    let path = problem.path.strip_prefix(root).unwrap_or(&problem.path).display().to_string();
                    problems.push(format!("{path}: {}", problem.what));
                }
            }
        }
        (files, problems)
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        root
    }

    fn whole(root: &tempfile::TempDir) -> (Vec<String>, Vec<String>) {
        walked(Walk::new([root.path().to_path_buf()]), root.path())
    }

    #[test]
    fn files_come_in_order_with_their_sizes() {
        let root = tree(&["b", "a/2", "a/1", ".hidden"]);
        assert_eq!(whole(&root), (vec![".hidden".into(), "a/1".into(), "a/2".into(), "b".into()], vec![]));
        let sizes: u64 = Walk::new([root.path().to_path_buf()])
            .map(|found| if let Found::File { size, .. } = found { size } else { 0 })
            .sum();
        assert_eq!(sizes, 7 + 3 + 3 + 1);
    }

    #[test]
    fn what_is_named_twice_is_found_once() {
        let root = tree(&["a/1", "b"]);
        let at = |name: &str| root.path().join(name);
        let walk = Walk::new([at("b"), at("a/1"), at("."), at("a"), at("a/../b")]);
        let (files, problems) = walked(walk, root.path());
        assert_eq!((files, problems), (vec!["b".into(), "a/1".into()], vec![]));
    }

    #[test]
    fn a_path_that_does_not_exist_is_a_problem_of_the_command_line() {
        let root = tree(&["a"]);
        let found: Vec<_> = Walk::new([root.path().join("gone"), root.path().join("a")]).collect();
        let [Found::Problem(problem), Found::File { named: true, .. }] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(problem.named);
        assert!(matches!(&problem.what, What::Io(error) if error.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn caches_are_left_out_only_on_request_and_only_with_the_signature() {
        let root = tree(&["target/CACHEDIR.TAG", "target/x", "fake/CACHEDIR.TAG", "repo/.git/HEAD", "kept"]);
        fs::write(root.path().join("target/CACHEDIR.TAG"), [CACHE_TAG.1, b"\n# more"].concat()).unwrap();
        assert_eq!(whole(&root).0.len(), 5);
        let walk = Walk::new([root.path().to_path_buf()]).skip_caches(true);
        assert_eq!(walked(walk, root.path()).0, ["fake/CACHEDIR.TAG", "kept"]);
        let walk = Walk::new([root.path().join("target")]).skip_caches(true);
        assert_eq!(walked(walk, root.path()).0, ["target/CACHEDIR.TAG", "target/x"]);
    }

    #[test]
    fn the_file_for_the_result_is_left_out() {
        let root = tree(&["SUMS", "a"]);
        let walk = Walk::new([root.path().to_path_buf()]).leave_out(&root.path().join("SUMS"));
        assert_eq!(walked(walk, root.path()).0, ["a"]);
    }

    #[cfg(unix)]
    mod links {
        use super::*;
        use std::os::unix::fs::symlink;

        #[test]
        fn a_loop_is_reported_and_left() {
            let root = tree(&["a/b/1"]);
            symlink("..", root.path().join("a/b/up")).unwrap();
            symlink(".", root.path().join("self")).unwrap();
            let (files, problems) = whole(&root);
            assert_eq!(files, ["a/b/1"]);
            assert_eq!(problems.len(), 2, "{problems:?}");
            assert!(problems.iter().all(|problem| problem.contains("a directory loop")), "{problems:?}");
        }

        #[test]
        fn a_file_has_its_own_name_and_counts_once() {
            let root = tree(&["z/1"]);
            let elsewhere = tree(&["2"]);
            symlink("z/1", root.path().join("alias")).unwrap();
            symlink("z", root.path().join("folder")).unwrap();
            symlink(elsewhere.path(), root.path().join("outside")).unwrap();
            symlink(elsewhere.path().join("2"), root.path().join("second")).unwrap();
            assert_eq!(whole(&root), (vec!["z/1".into(), "outside/2".into()], vec![]));
        }

        #[test]
        fn a_named_link_is_followed() {
            let root = tree(&["real/1"]);
            symlink("real", root.path().join("link")).unwrap();
            let walk = Walk::new([root.path().join("link")]);
            assert_eq!(walked(walk, root.path()).0, ["link/1"]);
        }

        #[test]
        fn links_to_nowhere_and_to_themselves_are_problems() {
            let root = tree(&[]);
            symlink("nowhere", root.path().join("dangling")).unwrap();
            symlink("knot", root.path().join("knot")).unwrap();
            let (files, problems) = whole(&root);
            assert_eq!((files.len(), problems.len()), (0, 2), "{problems:?}");
        }

        #[test]
        fn folders_that_link_to_each_other_take_linear_time() {
            // Each folder leads to all the others: a walk that follows every path would visit about
            // 30! folders.
            let names: Vec<String> = (0..30).map(|index| format!("d{index}/file")).collect();
            let root = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
            for from in 0..30 {
                for to in 0..30 {
                    symlink(format!("../d{to}"), root.path().join(format!("d{from}/to{to}"))).unwrap();
                }
            }
            let (files, problems) = whole(&root);
            assert_eq!((files.len(), problems.len()), (30, 30));
        }

        #[test]
        fn a_socket_is_not_a_file() {
            let root = tree(&["a"]);
            let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
            let (files, problems) = whole(&root);
            assert_eq!(
                (files, problems),
                (vec!["a".into()], vec!["socket: neither a file nor a folder".into()])
            );
        }
    }
}
