//! What happens when somebody changes the niceness of the whole program while it runs? Alone in its file,
//! because it does that.
#![cfg(target_os = "linux")]
#![allow(missing_docs)]

mod common;

use common::{close, run, start};
use rustix::process::{Pid, getpriority_process, setpriority_process};

fn niceness() -> i32 {
    getpriority_process(None).expect("a thread may ask for its own")
}

/// As `renice` does with a group of processes.
fn renice_all(niceness: i32) {
    for thread in std::fs::read_dir("/proc/self/task").expect("Linux shows the threads") {
        let thread = thread.expect("a thread").file_name();
        let number = thread.to_str().and_then(|number| number.parse().ok()).and_then(Pid::from_raw);
        // It may have ended.
        let _ = setpriority_process(number, niceness);
    }
}

/// Each `N` is a kind of its own, and begins on a worker.
async fn compute_until_demoted<const N: i32>() -> i32 {
    let usual = niceness();
    while niceness() == usual {
        std::hint::black_box(N);
    }
    niceness()
}

#[test]
fn a_program_whose_niceness_is_changed_goes_on() {
    let (usual, scheduler) = (niceness(), start(2));
    assert_eq!(run(&scheduler, compute_until_demoted::<0>()), usual + 10);
    renice_all(usual + 3);
    assert_eq!(run(&scheduler, compute_until_demoted::<1>()), usual + 13);
    assert_eq!(run(&scheduler, compute_until_demoted::<2>()), usual + 13);
    assert_eq!(run(&scheduler, compute_until_demoted::<3>()), usual + 13);
    close(&scheduler);
}
