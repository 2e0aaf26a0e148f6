//! Does a queued task always find a worker? The protocol of `idle.rs`, `worker/steal.rs` and
//! `worker/park.rs`.

use std::sync::Arc;

use loom::thread;

use crate::support::{End, Gate, Ledger, Model, house, join, spawn_ready, wait_until_asleep};

/// A push against a worker that goes to sleep: one worker, and one task from outside.
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

/// One task, one worker that sleeps, and another one that goes to sleep: one of the two is woken,
/// and that suffices.
pub(super) const TWO_SLEEPERS: Model =
    Model::new("two_sleepers", "a push while one worker sleeps and another lies down", || {
        loom::stop_exploring();
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let [first, second] = [house.reserve(0), house.reserve(1)];
        let sleeper = thread::spawn(move || first.sit().work());
        wait_until_asleep(&house, 1);
        loom::explore();
        let other = thread::spawn(move || second.sit().work());
        let mut handle = spawn_ready(&house, &ledger);
        assert_eq!(join(&mut handle), End::Value);
        loom::stop_exploring();
        house.dismiss_all();
        sleeper.join().expect("no panic");
        other.join().expect("no panic");
        assert_eq!(ledger.polls(), 1);
    })
    .finds(&["notify-without-fence", "sleep-without-fence"]);

/// Two tasks and two sleeping workers, each of which polls one task. The second push may rely on
/// the searcher that the first push woke.
pub(super) const LAST_SEARCHER: Model =
    Model::new("last_searcher", "a push that relies on a searcher which finds other work", || {
        loom::stop_exploring();
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let gate = Arc::new(Gate::new());
        let workers = [0, 1].map(|index| {
            let (seat, gate) = (house.reserve(index), Arc::clone(&gate));
            thread::spawn(move || {
                let worker = seat.sit();
                assert!(worker.turn());
                // A worker that leaves wakes another one, and this model does not check that.
                gate.wait();
            })
        });
        wait_until_asleep(&house, 2);
        loom::explore();
        let mut handles = [spawn_ready(&house, &ledger), spawn_ready(&house, &ledger)];
        for handle in &mut handles {
            assert_eq!(join(handle), End::Value);
        }
        loom::stop_exploring();
        gate.open();
        for worker in workers {
            worker.join().expect("no panic");
        }
        assert_eq!(ledger.polls(), 2);
    })
    .finds(&["no-successor"]);
