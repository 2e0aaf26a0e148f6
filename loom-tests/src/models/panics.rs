//! Does a panic stay in its task?

use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use crate::support::{
    End, Ledger, Model, PanicsInDrop, expected_panic, house, join, spawn, spawn_future, spawn_ready,
};

/// A poll panics while the task is woken. The worker must go on.
pub(super) const PANIC_IN_POLL: Model =
    Model::new("panic_in_poll", "a poll panics while the task is woken and joined", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let mut handle = spawn(&house, &ledger, |_| -> Poll<End> { expected_panic() });
        let other = thread::spawn(move || {
            handle.task().wake();
            assert_eq!(join(&mut handle), End::Panicked);
        });
        assert!(worker.turn());
        let mut next = spawn_ready(&house, &ledger);
        assert!(worker.turn());
        assert_eq!(next.try_take(), Some(End::Value));
        other.join().expect("no panic");
        drop(next);
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (2, 2));
    })
    .finds(&["poll-unguarded"]);

/// The drop of a future panics after its poll was ready, while the handle is dropped.
pub(super) const PANIC_IN_DROP: Model =
    Model::new("panic_in_drop", "a future's drop panics while the handle is dropped", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let handle = spawn_future(&house, &ledger, PanicsInDrop);
        let dropper = thread::spawn(move || drop(handle));
        assert!(worker.turn());
        dropper.join().expect("no panic");
        assert_eq!((ledger.abandoned(), ledger.slots_dropped()), (1, 1));
    })
    .finds(&["drop-unguarded"]);
