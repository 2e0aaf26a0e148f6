//! Does every blocking job get a thread, or an error if there is none? The pool's lock and its
//! claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::thread;
use selvedge_scheduler::Config;
use selvedge_scheduler::model::{House, Thread, park};

use crate::support::{Model, config, house, reached};

/// A job that counts its run and then unparks the calling thread.
fn counting(done: &Arc<AtomicUsize>) -> Box<dyn FnOnce() + Send> {
    let (done, waits) = (Arc::clone(done), Thread::current());
    Box::new(move || {
        reached(&done);
        waits.unpark();
    })
}

fn wait_for(done: &AtomicUsize, jobs: usize) {
    while done.load(Ordering::Relaxed) < jobs {
        park();
    }
}

/// More jobs than threads: the second job waits for the first one.
pub(super) const BLOCKING_SPAWN_AT_CAP: Model =
    Model::new("blocking_spawn_at_cap", "a job beyond the bound runs when another one ends", || {
        let house = house(1, 0);
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..2 {
            house.scheduler().spawn_blocking(counting(&done)).expect("the bound refuses nobody");
        }
        wait_for(&done, 2);
        house.scheduler().close(Duration::MAX);
    })
    .finds(&["job-never-ends"]);

/// A thread's waiting time ends just when a job claims the thread.
pub(super) const BLOCKING_RETIRE_VS_SUBMIT: Model =
    Model::new("blocking_retire_vs_submit", "a thread retires while a job claims it", || {
        let house = House::new(Config { max_blocking_threads: Some(2), ..config(1, 0) }, true);
        let done = Arc::new(AtomicUsize::new(0));
        for jobs in 1..=2 {
            house.scheduler().spawn_blocking(counting(&done)).expect("nobody refuses a thread");
            wait_for(&done, jobs);
        }
        house.scheduler().close(Duration::MAX);
    })
    .finds(&["retire-though-claimed"]);

static RAN: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        reached(&self.0);
    }
}

/// A job that is submitted while the scheduler closes is refused, or it runs or is dropped before
/// `close` returns.
pub(super) const BLOCKING_VS_SHUTDOWN: Model =
    Model::new("blocking_vs_shutdown", "a job that is submitted during close is settled by it", || {
        let house = house(1, 0);
        let (ran, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (runs, counts) = (Arc::clone(&ran), Counts(Arc::clone(&dropped)));
        let submits = house.clone();
        let submitter = thread::spawn(move || {
            let job = Box::new(move || {
                reached(&runs);
                drop(counts);
            });
            submits.scheduler().spawn_blocking(job).is_ok()
        });
        house.scheduler().close(Duration::MAX);
        let accepted = submitter.join().expect("no panic");
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "accepted: {accepted}");
        let ran = ran.load(Ordering::Relaxed) == 1;
        assert!(accepted || !ran);
        reached(match (accepted, ran) {
            (true, true) => &RAN,
            (true, false) => &DROPPED,
            (false, _) => &REFUSED,
        });
    })
    .finds(&["submit-though-closed"])
    .reaches(|| vec![("it ran", &RAN), ("it was dropped", &DROPPED), ("it was refused", &REFUSED)]);
