//! Does each queued task leave its queue once? The next-task slot, and stealing over the loom
//! deque.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use loom::thread;
use selvedge_scheduler::model::{self, House, NextSlot, Right, Worker};

use crate::support::{End, Ledger, Model, house, reached, spawn_ready};

static OWNER_TOOK: AtomicUsize = AtomicUsize::new(0);
static THIEF_TOOK: AtomicUsize = AtomicUsize::new(0);

/// A task from the calling worker's own deque. No fence is executed between its creation and the
/// slot (with the watchdog; without it, each push has one).
fn new_right(house: &House, ledger: &Arc<Ledger>, owner: &Worker) -> Right {
    drop(spawn_ready(house, ledger));
    owner.pop().expect("nobody steals here")
}

/// The owner fills and empties its slot while the watchdog takes its content twice. Dropping a
/// right cancels its task.
pub(super) const NEXT_SLOT: Model =
    Model::new("next_slot", "put against take against the watch's take", || {
        let house = house(1, 1);
        let ledger = Arc::new(Ledger::default());
        let owner = house.reserve(0).sit();
        let slot = Arc::new(NextSlot::new());
        let watched = Arc::clone(&slot);
        let watch = thread::spawn(move || {
            for _ in 0..2 {
                if let Some(right) = watched.take() {
                    reached(&THIEF_TOOK);
                    drop(right);
                }
            }
        });
        slot.put(new_right(&house, &ledger, &owner));
        if slot.is_empty() {
            slot.put(new_right(&house, &ledger, &owner));
        } else if let Some(right) = slot.take() {
            reached(&OWNER_TOOK);
            drop(right);
            assert!(slot.take().is_none(), "only the owner fills the slot");
            slot.put(new_right(&house, &ledger, &owner));
        }
        watch.join().expect("no panic");
        drop(slot.take());
        // The handles were dropped first, so each task abandons its output, which records the
        // cancellation.
        assert_eq!(ledger.abandoned(), ledger.slots_dropped());
        assert_eq!(house.scheduler().live_tasks(), 0);
    })
    .finds(&["take-without-swap", "put-relaxed"])
    .reaches(|| vec![("the owner took its task", &OWNER_TOOK), ("the watch took it", &THIEF_TOOK)]);

/// A worker with two tasks, and a thief: each of them polls one task.
pub(super) const OWNER_AND_THIEF: Model =
    Model::new("owner_and_thief", "pop against steal: each task is polled once", || {
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let (owner, thief) = (house.reserve(0).sit(), house.reserve(1));
        let handles = [spawn_ready(&house, &ledger), spawn_ready(&house, &ledger)];
        let thief = thread::spawn(move || assert!(thief.sit().turn()));
        let right = owner.pop().expect("the thief polls one task only");
        owner.poll(right);
        thief.join().expect("no panic");
        for mut handle in handles {
            assert_eq!(handle.try_take(), Some(End::Value));
        }
        assert_eq!(ledger.polls(), 2);
    })
    .finds(&["retry-is-empty"]);

static RETRIES: AtomicUsize = AtomicUsize::new(0);

/// Two thieves at the deque of a worker that has one task for each. A worker whose steal returns
/// `Retry` must not go to sleep.
pub(super) const RETRY_STORM: Model =
    Model::new("retry_storm", "two thieves in each other's way: both find their task", || {
        let house = house(3, 0);
        let ledger = Arc::new(Ledger::default());
        let owner = house.reserve(2).sit();
        let handles = [spawn_ready(&house, &ledger), spawn_ready(&house, &ledger)];
        let seats = [house.reserve(0), house.reserve(1)];
        let before = model::retries();
        let thieves = seats.map(|seat| thread::spawn(move || assert!(seat.sit().turn())));
        for thief in thieves {
            thief.join().expect("no panic");
        }
        if model::retries() > before {
            reached(&RETRIES);
        }
        drop((handles, owner));
        assert_eq!(ledger.polls(), 2);
    })
    .finds(&["retry-is-empty"])
    .reaches(|| vec![("a thief was told to retry", &RETRIES)]);

/// A thief takes half of a worker's tasks. Another thief comes for the rest, or for the tasks that
/// the first one has just taken.
pub(super) const MULTI_STEALER: Model =
    Model::new("multi_stealer", "what a thief has taken is stolen from it in turn", || {
        loom::stop_exploring();
        let house = house(3, 0);
        let ledger = Arc::new(Ledger::default());
        let owner = house.reserve(2).sit();
        let handles = [(); 3].map(|()| spawn_ready(&house, &ledger));
        let seats = [house.reserve(0), house.reserve(1)];
        loom::explore();
        let thieves = seats.map(|seat| thread::spawn(move || assert!(seat.sit().turn())));
        for thief in thieves {
            thief.join().expect("no panic");
        }
        // Any worker may take the tasks that a thief still had when it left.
        while let Some(right) = owner.pop().or_else(|| house.steal()) {
            owner.poll(right);
        }
        for mut handle in handles {
            assert_eq!(handle.try_take(), Some(End::Value));
        }
        assert_eq!(ledger.polls(), 3);
    })
    .finds(&["retry-is-empty"])
    .preemptions(2);
