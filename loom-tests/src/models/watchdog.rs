//! Does another worker serve everything that a stuck worker holds? The watchdog, and the standbys
//! it lends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use loom::thread;
use selvedge_scheduler::model::{Thread, park};

use crate::support::{End, Ledger, Model, house, reached, spawn};

static RESCUED: AtomicUsize = AtomicUsize::new(0);

/// A poll wakes a task, which goes into the next-task slot, and then waits for it. Only a standby
/// can run it.
pub(super) const SPARE_WORKER_HANDOVER: Model =
    Model::new("spare_worker_handover", "what lies in a stuck worker's slot runs on a standby", || {
        let house = house(1, 1);
        let ledger = Arc::new(Ledger::default());
        let done = Arc::new(AtomicBool::new(false));
        let seat = house.reserve(0);
        let (spawns, counts, ends) = (house.clone(), Arc::clone(&ledger), Arc::clone(&done));
        let stuck = thread::spawn(move || {
            let worker = seat.sit();
            let waits = Thread::current();
            let finished = Arc::clone(&ends);
            let mut polled = false;
            let held = spawn(&spawns, &counts, move |_| {
                if !std::mem::replace(&mut polled, true) {
                    return Poll::Pending;
                }
                finished.store(true, Ordering::Relaxed);
                waits.unpark();
                Poll::Ready(End::Value)
            });
            assert!(worker.turn());
            drop(spawn(&spawns, &counts, move |_| {
                held.task().wake();
                while !ends.load(Ordering::Relaxed) {
                    park();
                }
                Poll::Ready(End::Value)
            }));
            assert!(worker.turn());
        });
        let mut watch = house.watchdog();
        while !done.load(Ordering::Relaxed) {
            watch.look();
            thread::yield_now();
        }
        reached(&RESCUED);
        stuck.join().expect("no panic");
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (3, 2));
    })
    .finds(&["next-is-not-shared"])
    .reaches(|| vec![("a standby ran the task", &RESCUED)])
    .preemptions(1);

/// The watchdog goes to sleep while a worker wakes up: the worker continues to poll until the
/// watchdog is awake.
pub(super) const WATCH_SLEEPS_VS_WORKER_WAKES: Model =
    Model::new("watch_sleeps_vs_worker_wakes", "while a worker polls, the watch does not sleep", || {
        let house = house(1, 1);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let this = Thread::current();
        let awake = Arc::new(AtomicBool::new(false));
        let (watched, tells) = (house.clone(), Arc::clone(&awake));
        let watch = thread::spawn(move || {
            watched.watchdog().sleep_while_idle();
            tells.store(true, Ordering::Relaxed);
            this.unpark();
        });
        let (spawns, counts) = (house.clone(), Arc::clone(&ledger));
        let pusher = thread::spawn(move || {
            drop(spawn(&spawns, &counts, move |_| {
                while !awake.load(Ordering::Relaxed) {
                    park();
                }
                Poll::Ready(End::Value)
            }));
        });
        assert!(worker.turn());
        watch.join().expect("no panic");
        pusher.join().expect("no panic");
        drop(worker);
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (1, 1));
    })
    .finds(&["awake-without-fence", "watchdog-sleeps-without-fence"]);
