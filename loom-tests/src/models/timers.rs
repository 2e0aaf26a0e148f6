//! Does every timer fire in time? The wheel's published deadline, and the handshake of `driver.rs`.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use loom::thread;
use selvedge_scheduler::Timer;

use crate::support::{Bell, End, Gate, Ledger, Model, house, reached, spawn};

/// The holder of the driver goes to wait while another worker arms an earlier timer.
pub(super) const TIMER_INSERT_VS_PARK: Model =
    Model::new("timer_insert_vs_park", "an earlier timer against the holder that goes to wait", || {
        let house = house(2, 0);
        let armer = house.reserve(0).sit();
        let late = Waker::from(Bell::silent());
        let mut first = Timer::new();
        assert!(first.poll(house.start_of(9), &mut Context::from_waker(&late)).is_pending());
        let drives = house.clone();
        let holder = thread::spawn(move || drives.drive_until_armed(1, 5));
        let mut second = Timer::new();
        assert!(second.poll(house.start_of(5), &mut Context::from_waker(&late)).is_pending());
        holder.join().expect("no panic");
        drop((first, second, armer));
    })
    .finds(&["arm-without-fence", "announce-without-second-look"]);

static FIRED: AtomicUsize = AtomicUsize::new(0);
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

/// A timer is cancelled and another one is armed, while a foreign worker fires the wheel.
pub(super) const TIMER_CANCEL_VS_FIRE: Model =
    Model::new("timer_cancel_vs_fire", "cancel and re-arm while another worker fires the wheel", || {
        let house = house(2, 0);
        let owner = house.reserve(0).sit();
        let (first_bell, second_bell) = (Bell::silent(), Bell::silent());
        let mut timer = Timer::new();
        let first = Waker::from(Arc::clone(&first_bell));
        assert!(timer.poll(house.start_of(1), &mut Context::from_waker(&first)).is_pending());
        drop(first);
        let fires = house.clone();
        let firing = thread::spawn(move || fires.fire(0, 1));
        let second = Waker::from(Arc::clone(&second_bell));
        assert!(timer.poll(house.start_of(2), &mut Context::from_waker(&second)).is_pending());
        drop(second);
        let fired = firing.join().expect("no panic");
        assert_eq!(first_bell.rings(), fired);
        assert_eq!(second_bell.rings(), 0);
        reached(if fired == 1 { &FIRED } else { &CANCELLED });
        assert_eq!(house.fire(0, 2), 1, "the second timer is due");
        assert_eq!(second_bell.rings(), 1);
        assert_eq!(Arc::strong_count(&first_bell), 1);
        assert_eq!(Arc::strong_count(&second_bell), 1);
        drop((timer, owner));
    })
    .finds(&["publish-after-the-lock"])
    .reaches(|| vec![("the timer fired", &FIRED), ("it was cancelled", &CANCELLED)]);

/// A timer moves to another worker in the poll that armed it. It is still staged, or already in its
/// wheel, and fires once.
pub(super) const STAGED_TIMER_MOVES: Model = Model::new(
    "staged_timer_moves",
    "another worker polls a timer while the poll that armed it ends",
    || {
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let (here, there) = (house.reserve(0).sit(), house.reserve(1));
        let due = house.start_of(5);
        let (gate, moves) = (Arc::new(Gate::new()), Arc::new(Mutex::new(None)));
        let (opens, puts) = (Arc::clone(&gate), Arc::clone(&moves));
        drop(spawn(&house, &ledger, move |cx| {
            let mut timer = Timer::new();
            assert!(timer.poll(due, cx).is_pending());
            *puts.lock().expect("not poisoned") = Some(timer);
            opens.open();
            Poll::Ready(End::Value)
        }));
        let bell = Bell::silent();
        let waker = Waker::from(Arc::clone(&bell));
        let other = thread::spawn(move || {
            let there = there.sit();
            gate.wait();
            let mut timer = moves.lock().expect("not poisoned").take().expect("put before the gate opened");
            assert!(timer.poll(due, &mut Context::from_waker(&waker)).is_pending(), "early");
            drop(there);
            timer
        });
        assert!(here.turn());
        let timer = other.join().expect("no panic");
        assert_eq!(house.fire(0, 5) + house.fire(1, 5), 1);
        assert_eq!(bell.rings(), 1);
        drop((timer, here));
    },
)
.finds(&["stage-is-not-told"]);

/// The holder leaves the driver to do work, another worker takes the driver, and a timer is armed
/// meanwhile.
pub(super) const DRIVER_HANDOVER: Model =
    Model::new("driver_handover", "a timer is armed while the driver changes hands", || {
        let house = house(3, 0);
        let armer = house.reserve(2).sit();
        let (leaves, comes) = (house.clone(), house.clone());
        let leaving = thread::spawn(move || leaves.drive_once(0));
        let coming = thread::spawn(move || comes.drive_until_armed(1, 5));
        house.unpark(0);
        let waker = Waker::from(Bell::silent());
        let mut timer = Timer::new();
        assert!(timer.poll(house.start_of(5), &mut Context::from_waker(&waker)).is_pending());
        leaving.join().expect("no panic");
        coming.join().expect("no panic");
        drop((timer, armer));
    })
    .finds(&["driver-keeps-its-name", "arm-without-fence"]);
