//! Does virtual time advance as soon as every worker is idle?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Context;

use loom::thread;
use selvedge_scheduler::model::{House, Seat};
use selvedge_scheduler::{JoinHandle, Timer};

use crate::support::{End, Ledger, Model, join, spawn, virtual_house, wait_until_asleep};

/// A task that sleeps for a while.
fn spawn_sleeper(house: &House, ledger: &Arc<Ledger>) -> JoinHandle<End> {
    let mut timer = Timer::new();
    spawn(house, ledger, move |cx: &mut Context<'_>| {
        timer.poll(1000, cx).map(|armed| armed.map_or(End::Closed, |()| End::Value))
    })
}

/// A task sleeps, and so does the worker that holds the driver, which waits until the worker that
/// runs `last` is idle too. The steps that lead to this state are not explored.
fn until_all_rest(house: &House, last: impl FnOnce(Seat) + 'static) {
    loom::stop_exploring();
    let ledger = Arc::new(Ledger::default());
    let (first, second) = (house.reserve(0), house.reserve(1));
    let holder = thread::spawn(move || first.sit().work());
    let mut handle = spawn_sleeper(house, &ledger);
    while ledger.polls() < 1 {
        thread::yield_now();
    }
    wait_until_asleep(house, 1);
    loom::explore();
    let other = thread::spawn(move || last(second));
    assert_eq!(join(&mut handle), End::Value);
    loom::stop_exploring();
    house.dismiss_all();
    holder.join().expect("no panic");
    other.join().expect("no panic");
}

/// Two workers: the last one to become idle notifies the holder of the driver.
pub(super) const REST_IS_NOTICED: Model =
    Model::new("rest_is_noticed", "the last worker to rest lets virtual time move on", || {
        until_all_rest(&virtual_house(2, 0), |seat| seat.sit().work());
    })
    .finds(&["rest-is-not-told"])
    .preemptions(1);

/// A dismissed standby is the last worker awake: its exit counts as becoming idle, too.
pub(super) const SPARE_LEAVES_LAST: Model =
    Model::new("spare_leaves_last", "a standby that leaves lets virtual time move on", || {
        let house = virtual_house(1, 1);
        let told = house.clone();
        until_all_rest(&house, move |seat| {
            told.dismiss(1);
            seat.sit().work();
        });
    })
    .finds(&["leaving-is-not-told"]);

/// The watchdog looks into the slot of a worker that has just become idle. For that moment the
/// watchdog may have a task in hand.
pub(super) const WATCH_LOOKS_LAST: Model =
    Model::new("watch_looks_last", "a look of the watch does not hold up virtual time", || {
        let house = virtual_house(1, 1);
        let ledger = Arc::new(Ledger::default());
        let seat = house.reserve(0);
        let worker = thread::spawn(move || seat.sit().work());
        let mut handle = spawn_sleeper(&house, &ledger);
        house.share_tasks(0);
        assert_eq!(join(&mut handle), End::Value);
        loom::stop_exploring();
        house.dismiss_all();
        worker.join().expect("no panic");
    })
    .finds(&["moving-is-not-told"]);

/// Every worker is idle, but a clock pause stops time. The end of the pause lets time advance.
pub(super) const HOLD_IS_LET_GO: Model =
    Model::new("hold_is_let_go", "virtual time moves on when nobody holds it any more", || {
        let house = virtual_house(1, 0);
        let hold = house.scheduler().pause_clock();
        let ledger = Arc::new(Ledger::default());
        let seat = house.reserve(0);
        let worker = thread::spawn(move || seat.sit().work());
        let mut handle = spawn_sleeper(&house, &ledger);
        drop(hold);
        assert_eq!(join(&mut handle), End::Value);
        loom::stop_exploring();
        house.dismiss_all();
        worker.join().expect("no panic");
    })
    .finds(&["release-is-not-told"]);

/// The last worker to become idle has taken a clock pause. The holder of the driver must not
/// advance time before the pause ends.
pub(super) const HOLD_IS_SEEN: Model = Model::new(
    "hold_is_seen",
    "virtual time stands still while the last one to rest has left a hold",
    || {
        loom::stop_exploring();
        let house = virtual_house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let (first, second) = (house.reserve(0), house.reserve(1));
        let holder = thread::spawn(move || first.sit().work());
        // Outside of loom, because it must not order anything.
        let is_released = Arc::new(AtomicBool::new(false));
        let (may_move, mut timer) = (Arc::clone(&is_released), Timer::new());
        let mut handle = spawn(&house, &ledger, move |cx: &mut Context<'_>| {
            timer.poll(1000, cx).map(|_| {
                assert!(may_move.load(Ordering::Relaxed), "time moved on though it was held");
                End::Value
            })
        });
        while ledger.polls() < 1 {
            thread::yield_now();
        }
        wait_until_asleep(&house, 1);
        let (scheduler, taken) = (house.scheduler(), Arc::new(Mutex::new(None)));
        let room = Arc::clone(&taken);
        loom::explore();
        let other = thread::spawn(move || {
            let seat = second.sit();
            // A poll takes a clock pause in the same way.
            *room.lock().expect("no panic") = Some(scheduler.pause_clock());
            seat.work();
        });
        wait_until_asleep(&house, 2);
        loom::stop_exploring();
        is_released.store(true, Ordering::Relaxed);
        drop(taken.lock().expect("no panic").take());
        assert_eq!(join(&mut handle), End::Value);
        house.dismiss_all();
        holder.join().expect("no panic");
        other.join().expect("no panic");
    },
)
.finds(&["holds-are-not-looked-at"])
.preemptions(1);
