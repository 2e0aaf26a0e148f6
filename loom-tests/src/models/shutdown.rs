//! Does every handle resolve when the scheduler closes?

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use loom::thread;

use crate::support::{End, Ledger, Model, house, join, reached, spawn};

static REFUSED: AtomicUsize = AtomicUsize::new(0);
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

/// A spawn from a foreign thread against `close`.
pub(super) const SPAWN_VS_SHUTDOWN: Model =
    Model::new("spawn_vs_shutdown", "a task that is spawned during close resolves", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let (spawns, counts) = (house.clone(), Arc::clone(&ledger));
        let spawner = thread::spawn(move || {
            let mut handle = spawn(&spawns, &counts, |_| Poll::Pending);
            reached(if handle.task().is_done() { &REFUSED } else { &CANCELLED });
            assert_eq!(join(&mut handle), End::Closed);
        });
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        spawner.join().expect("no panic");
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (0, 1));
    })
    .finds(&["insert-though-closed"])
    .reaches(|| vec![("the spawn was refused", &REFUSED), ("the task was cancelled", &CANCELLED)]);

/// A suspended task is woken by a foreign thread while `close` wakes it too.
pub(super) const WAKE_DURING_SHUTDOWN: Model =
    Model::new("wake_during_shutdown", "a task that is woken during close resolves once", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let mut handle = spawn(&house, &ledger, |_| Poll::Pending);
        assert!(worker.turn());
        drop(worker);
        let task = handle.task().clone();
        let waker = thread::spawn(move || task.wake());
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        assert_eq!(handle.try_take(), Some(End::Closed));
        waker.join().expect("no panic");
        drop(handle);
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (1, 1));
    })
    .finds(&["close-looks-once"]);

/// The watch takes the dismissal of a spare back while `close` dismisses everybody.
pub(super) const REPRIEVE_VS_SHUTDOWN: Model =
    Model::new("reprieve_vs_shutdown", "a spare that the watch wants to keep leaves all the same", || {
        let house = house(1, 1);
        let (_busy, seat) = (house.reserve(0), house.reserve(1));
        house.dismiss(1);
        let spare = thread::spawn(move || seat.sit().work());
        let watched = house.clone();
        let watch = thread::spawn(move || watched.watch().want(2));
        house.close_pool();
        house.dismiss_all();
        watch.join().expect("no panic");
        spare.join().expect("no panic");
    })
    .finds(&["reprieve-without-swap"]);
