//! How many cores may this process use?

use std::path::Path;

use crate::cgroup;

/// How many cores this process may keep busy, at least 1: those of its affinity mask, but no more than the
/// quotas of its control groups grant, where a part of a core counts as one.
///
/// Reads some files. What it finds may change while the program runs.
#[must_use]
pub fn cores() -> usize {
    count(affinity(), cgroup::quota(Path::new("/")))
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

fn count(affinity: usize, quota: Option<f64>) -> usize {
    let granted = quota.map_or(usize::MAX, |quota| quota.ceil() as usize);
    affinity.min(granted).max(1)
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_quota_limits_the_cores() {
        for (affinity, quota, expected) in [
            (4, None, 4),
            (4, Some(2.0), 2),
            (4, Some(1.5), 2),
            (4, Some(0.1), 1),
            (4, Some(64.0), 4),
            (1, Some(2.0), 1),
            (0, None, 1),
            (4, Some(1e300), 4),
        ] {
            assert_eq!(count(affinity, quota), expected, "{affinity} {quota:?}");
        }
    }

    #[test]
    fn there_is_at_least_one() {
        assert!((1..=affinity().max(1)).contains(&cores()));
    }
}
