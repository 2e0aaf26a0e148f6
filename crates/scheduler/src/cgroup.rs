//! How much CPU time do the control groups of this process grant?
//!
//! Linux limits the CPU time of a container by a quota for each period: a process that has used it up
//! stands still until the next period. Each group above that of the process may have a quota of its own,
//! and the least one counts. There are two versions of the interface:
//!
//! | version | the group in `/proc/self/cgroup` | the quota, in microseconds |
//! |---|---|---|
//! | 1 | of the line that names the controller `cpu` | `cpu.cfs_quota_us`, for each `cpu.cfs_period_us` |
//! | 2 | of the line `0::` | `cpu.max`: the quota, or `max`, and the period |
//!
//! Where a file is missing or holds something else, there is no quota.

use std::ffi::OsString;
use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

/// So many microseconds of CPU time in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    micros: u32,
    period: u32,
}

impl Quota {
    /// As many cores as can be busy, where a part of one counts as one.
    pub(crate) fn cores(self) -> usize {
        self.micros.div_ceil(self.period) as usize
    }

    /// The least one.
    fn least(quotas: impl Iterator<Item = Self>) -> Option<Self> {
        let product = |a: u32, b: u32| u64::from(a) * u64::from(b);
        quotas.min_by(|a, b| product(a.micros, b.period).cmp(&product(b.micros, a.period)))
    }
}

/// The least quota. `root` is `/`, except in tests.
pub(crate) fn quota(root: &Path) -> Option<Quota> {
    let groups = read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = read_to_string(root.join("proc/self/mountinfo")).ok()?;
    Quota::least(mounts.lines().filter_map(|line| Mount::parse(line)?.quota(root, &groups)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A place where a hierarchy of groups with the controller `cpu` is mounted.
struct Mount {
    version: Version,
    /// The group that is mounted there: in a container often not the topmost one.
    group: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// Parses a line of `mountinfo`.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let version = match (kind.next()?, kind.nth(1)?) {
            ("cgroup2", _) => Version::V2,
            ("cgroup", options) if has_cpu(options) => Version::V1,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3).map(unescaped);
        Some(Self { version, group: place.next()?.into(), point: place.next()?.into() })
    }

    /// The least quota of the process's group and of those above it.
    fn quota(&self, root: &Path, groups: &str) -> Option<Quota> {
        let own = groups.lines().find_map(|line| self.group_in(line))?;
        // A path that leads out of the mounted group cannot be followed: what is mounted has to do.
        let is_below = own.components().all(|part| part != Component::ParentDir);
        let below = own.strip_prefix(&self.group).ok().filter(|_| is_below).unwrap_or(Path::new(""));
        let top = root.join(self.point.strip_prefix("/").ok()?);
        Quota::least(below.ancestors().filter_map(|group| self.version.quota_of(&top.join(group))))
    }

    /// The process's group, if this line of `/proc/self/cgroup` names it.
    fn group_in<'a>(&self, line: &'a str) -> Option<&'a Path> {
        let (_, line) = line.split_once(':')?;
        let (controllers, group) = line.split_once(':')?;
        let is_it = match self.version {
            Version::V1 => has_cpu(controllers),
            Version::V2 => controllers.is_empty(),
        };
        is_it.then_some(Path::new(group))
    }
}

impl Version {
    /// The quota of one group.
    fn quota_of(self, group: &Path) -> Option<Quota> {
        let read = |name| read_to_string(group.join(name)).ok();
        let (quota, period) = match self {
            Version::V1 => (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?),
            Version::V2 => {
                let both = read("cpu.max")?;
                let (quota, period) = both.trim().split_once(' ')?;
                (quota.into(), period.into())
            }
        };
        // No number: `max`, or -1.
        let microseconds = |text: &str| text.trim().parse().ok().filter(|&number| number > 0);
        Some(Quota { micros: microseconds(&quota)?, period: microseconds(&period)? })
    }
}

fn has_cpu(names: &str) -> bool {
    names.split(',').any(|name| name == "cpu")
}

/// `mountinfo` writes a blank, a tab, a newline and a backslash as three octal digits.
fn unescaped(text: &str) -> OsString {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character)).into()
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    /// A folder that looks like `/`. Removed in the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("selvedge-cgroup-{}-{name}", std::process::id()));
            let tree = Self(root);
            for (path, text) in files {
                let path = tree.0.join(path);
                std::fs::create_dir_all(path.parent().expect("below the root")).expect("a fresh folder");
                std::fs::write(path, text).expect("a fresh file");
            }
            tree
        }

        /// Microseconds, of a tenth of a second.
        fn quota(&self) -> Option<u32> {
            let Quota { micros, period } = quota(&self.0)?;
            Some(micros * (100_000 / period))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const V1: (&str, &str) = (
        "proc/self/mountinfo",
        "22 1 0:20 / /proc rw - proc proc rw\n\
         32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
         33 31 0:30 / /sys/fs/cgroup/set rw - cgroup cgroup rw,cpuset\n",
    );
    const V2: (&str, &str) =
        ("proc/self/mountinfo", "30 25 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");

    #[test]
    fn a_part_of_a_core_counts_as_one() {
        for (micros, period, cores) in
            [(1_000, 100_000, 1), (100_000, 100_000, 1), (150_000, 100_000, 2), (6_400_000, 100_000, 64)]
        {
            assert_eq!(Quota { micros, period }.cores(), cores);
        }
    }

    #[test]
    fn without_control_groups_there_is_no_quota() {
        assert_eq!(Tree::new("nothing", &[]).quota(), None);
        let files =
            [("proc/self/cgroup", "garbage"), ("proc/self/mountinfo", "1 2\n - \n - a\n\n - cgroup x")];
        assert_eq!(Tree::new("garbage", &files).quota(), None);
        let files = [("proc/self/cgroup", "0::/a\n"), V2];
        assert_eq!(Tree::new("no-files", &files).quota(), None);
    }

    #[test]
    fn the_least_quota_of_all_groups_above_counts() {
        let mut files = vec![("proc/self/cgroup", "0::/a/b/c\n"), V2];
        files.push(("sys/fs/cgroup/a/cpu.max", "150000 100000\n"));
        files.push(("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"));
        files.push(("sys/fs/cgroup/a/b/c/cpu.max", "40000 10000\n"));
        files.push(("sys/fs/cgroup/other/cpu.max", "1000 100000\n"));
        assert_eq!(Tree::new("nested", &files).quota(), Some(150_000));
    }

    #[test]
    fn the_first_version_has_two_files() {
        let groups = ("proc/self/cgroup", "9:cpuset:/elsewhere\n4:cpu,cpuacct:/job\n0::/\n");
        let quota = |name, quota, period| {
            let mut files = vec![groups, V1];
            files.push(("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", quota));
            files.push(("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", period));
            files.push(("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"));
            files.push(("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"));
            Tree::new(name, &files).quota()
        };
        assert_eq!(quota("half", "50000\n", "100000\n"), Some(50_000));
        assert_eq!(quota("many", "6400000\n", "100000\n"), Some(6_400_000));
        assert_eq!(quota("none", "-1\n", "100000\n"), None);
        assert_eq!(quota("zero", "50000\n", "0\n"), None);
        assert_eq!(quota("empty", "", ""), None);
    }

    #[test]
    fn what_is_no_quota_is_none() {
        for (name, text) in [
            ("max", "max 100000"),
            ("nothing", ""),
            ("one", "100000"),
            ("zeros", "0 0"),
            ("zero", "0 100000"),
            ("period", "100000 0"),
            ("word", "many 100000"),
            ("less", "-100000 100000"),
            ("large", "99999999999999999999999 1"),
        ] {
            let files = [("proc/self/cgroup", "0::/a"), V2, ("sys/fs/cgroup/a/cpu.max", text)];
            assert_eq!(Tree::new(&format!("is-{name}"), &files).quota(), None, "{text:?}");
        }
    }

    /// In a container the mounted group is the container's, and the path is written in full or from there on.
    #[test]
    fn a_container_sees_its_own_groups() {
        let mount = "30 25 0:26 /docker/0a\\0401 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        for (name, group) in [
            ("full", "0::/docker/0a 1/job"),
            ("outside", "0::/user.slice"),
            ("above", "0::/docker/0a 1/../../job"),
            ("top", "0::/"),
        ] {
            let mut files = vec![("proc/self/cgroup", group), ("proc/self/mountinfo", mount)];
            files.push(("sys/fs/cgroup/cpu.max", "200000 100000"));
            files.push(("sys/fs/cgroup/job/cpu.max", "100000 100000"));
            let expected = if name == "full" { 100_000 } else { 200_000 };
            assert_eq!(Tree::new(&format!("in-{name}"), &files).quota(), Some(expected), "{group}");
        }
    }
}
