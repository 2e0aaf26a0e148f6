//! Does virtual time move on as soon as everything rests?

use std::sync::Arc;
use std::task::Context;

use loom::thread;
use selvedge_scheduler::Timer;
use selvedge_scheduler::model::House;

use crate::support::{End, Ledger, Model, join, spawn, virtual_house};

fn sleep_then_end(house: &House, ledger: &Arc<Ledger>) {
    let mut timer = Timer::new();
    let mut handle = spawn(house, ledger, move |cx: &mut Context<'_>| {
        timer.poll(1000, cx).map(|armed| armed.map_or(End::Closed, |()| End::Value))
    });
    assert_eq!(join(&mut handle), End::Value);
}

/// Two workers: whoever is the last to come to rest tells the holder of the driver.
pub(super) const REST_IS_NOTICED: Model =
    Model::new("rest_is_noticed", "the last worker to rest lets virtual time move on", || {
        let house = virtual_house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let workers = [0, 1].map(|index| {
            let seat = house.reserve(index);
            thread::spawn(move || seat.sit().work())
        });
        sleep_then_end(&house, &ledger);
        house.dismiss_all();
        for worker in workers {
            worker.join().expect("no panic");
        }
    })
    .finds(&["rest-is-not-told"])
    .preemptions(1);

/// A spare that is dismissed is the last one awake: its leaving, too, is a coming to rest.
pub(super) const SPARE_LEAVES_LAST: Model =
    Model::new("spare_leaves_last", "a spare that leaves lets virtual time move on", || {
        let house = virtual_house(1, 1);
        let ledger = Arc::new(Ledger::default());
        let seats = [house.reserve(0), house.reserve(1)];
        house.dismiss(1);
        let workers = seats.map(|seat| thread::spawn(move || seat.sit().work()));
        sleep_then_end(&house, &ledger);
        house.dismiss_all();
        for worker in workers {
            worker.join().expect("no panic");
        }
    })
    .finds(&["leaving-is-not-told"])
    .preemptions(1);

