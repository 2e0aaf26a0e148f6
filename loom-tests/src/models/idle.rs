//! Does a task that is queued always find a worker? The protocol of `idle.rs` and `search.rs`.

use std::sync::Arc;

use loom::thread;

use crate::support::{End, Gate, Ledger, Model, house, join, spawn_ready};

/// A push against going to sleep: one worker, one task, from outside.
pub(super) const HANDOFF: Model = Model::new("handoff", "a push against going to sleep", || {
    let house = house(1, 0);
    let ledger = Arc::new(Ledger::default());
    let seat = house.reserve(0);
    let worker = thread::spawn(move || assert!(seat.sit().turn()));
    let mut handle = spawn_ready(&house, &ledger);
    worker.join().expect("no panic");
    assert_eq!(handle.try_take(), Some(End::Value));
    drop(handle);
    assert_eq!((ledger.polls(), ledger.slots_dropped()), (1, 1));
})
.finds(&["notify-without-fence", "sleep-without-fence", "sleep-without-second-look"]);

/// One task and two workers that go to sleep: whoever is woken polls it.
pub(super) const TWO_SLEEPERS: Model =
    Model::new("two_sleepers", "a push against two workers that go to sleep", || {
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let workers = [0, 1].map(|index| {
            let seat = house.reserve(index);
            thread::spawn(move || seat.sit().work())
        });
        let mut handle = spawn_ready(&house, &ledger);
        assert_eq!(join(&mut handle), End::Value);
        house.dismiss_all();
        for worker in workers {
            worker.join().expect("no panic");
        }
        assert_eq!(ledger.polls(), 1);
    })
    .finds(&["notify-without-fence", "sleep-without-fence"]);

/// Two tasks and two workers, each of which polls one: the second push relies on the searcher that the first one woke.
pub(super) const LAST_SEARCHER: Model =
    Model::new("last_searcher", "a push that relies on a searcher which finds other work", || {
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let gate = Arc::new(Gate::new());
        let workers = [0, 1].map(|index| {
            let (seat, gate) = (house.reserve(index), Arc::clone(&gate));
            thread::spawn(move || {
                let worker = seat.sit();
                assert!(worker.turn());
                // Who leaves wakes another one, which is not what is looked at here.
                gate.wait();
            })
        });
        for mut handle in [spawn_ready(&house, &ledger), spawn_ready(&house, &ledger)] {
            assert_eq!(join(&mut handle), End::Value);
        }
        gate.open();
        for worker in workers {
            worker.join().expect("no panic");
        }
        assert_eq!(ledger.polls(), 2);
    })
    .finds(&["no-successor"]);
