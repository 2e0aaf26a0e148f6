//! How many cores may this process use?

use std::path::Path;

use crate::cgroup::{self, Quota};

/// How many cores this process may keep busy, at least 1: those of its affinity mask, but no more than the
/// quotas of its control groups grant, where a part of a core counts as one.
///
/// Reads some files. What it finds may change while the program runs.
#[must_use]
pub fn cores() -> usize {
    count(affinity(), cgroup::quota(Path::new("/")).map(Quota::cores))
}

/// On how many cores the calling thread may run, by its affinity mask.
fn affinity() -> usize {
    #[cfg(target_os = "linux")]
    // Refused where there are more than 1,024.
    if let Ok(mask) = rustix::thread::sched_getaffinity(None) {
        return mask.count() as usize;
    }
    num_cpus::get()
}

fn count(affinity: usize, quota: Option<usize>) -> usize {
    affinity.min(quota.unwrap_or(usize::MAX)).max(1)
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_quota_limits_the_cores() {
        for (affinity, quota, expected) in
            [(4, None, 4), (4, Some(2), 2), (4, Some(0), 1), (4, Some(64), 4), (1, Some(2), 1), (0, None, 1)]
        {
            assert_eq!(count(affinity, quota), expected, "{affinity} {quota:?}");
        }
    }

    #[test]
    fn there_is_at_least_one() {
        assert!((1..=affinity().max(1)).contains(&cores()));
    }
}
