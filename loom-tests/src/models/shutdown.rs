//! Does every handle resolve when the scheduler closes?

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use loom::thread;
use selvedge_scheduler::model::House;
use selvedge_scheduler::{JoinHandle, TaskRef};

use crate::support::{End, Ledger, Model, house, join, reached, spawn, spawn_future};

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

static IN_TIME: AtomicUsize = AtomicUsize::new(0);
static TOO_LATE: AtomicUsize = AtomicUsize::new(0);

/// A spawn from a foreign thread against the first step of closing: the spawn is refused, or the
/// list of tasks that is read after that step contains it.
pub(super) const HAND_IN_VS_LAST_LOOK: Model =
    Model::new("hand_in_vs_last_look", "a task is handed in while the door is closed to its thread", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let (spawns, counts) = (house.clone(), Arc::clone(&ledger));
        let spawner = thread::spawn(move || {
            let handle = spawn(&spawns, &counts, |_| Poll::Pending);
            let is_refused = handle.task().is_done();
            (handle, is_refused)
        });
        house.scheduler().refuse_foreign_threads();
        let seen = house.scheduler().tasks();
        let (mut handle, is_refused) = spawner.join().expect("no panic");
        reached(if is_refused { &TOO_LATE } else { &IN_TIME });
        assert_ne!(seen.contains(handle.task()), is_refused, "neither refused nor found by the last look");
        drop(seen);
        // A worker of the scheduler may still spawn.
        let worker = house.reserve(0).sit();
        let mut own = spawn(&house, &ledger, |_| Poll::Pending);
        assert!(!own.task().is_done());
        drop(worker);
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        assert_eq!((handle.try_take(), own.try_take()), (Some(End::Closed), Some(End::Closed)));
        drop((handle, own));
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (0, 2));
    })
    .finds(&["insert-though-closed", "door-is-read-before-its-lock"])
    .reaches(|| vec![("it came in", &IN_TIME), ("it was refused", &TOO_LATE)])
    .preemptions(2);

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
    .finds(&["close-looks-once"])
    .preemptions(1);

static ENDED: AtomicUsize = AtomicUsize::new(0);
static CUT_SHORT: AtomicUsize = AtomicUsize::new(0);

/// A worker polls a task, twice if there is time, while `close` cancels it.
pub(super) const COMPLETE_VS_CANCEL: Model =
    Model::new("complete_vs_cancel", "a task that is being polled ends, or is cancelled, once", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let seat = house.reserve(0);
        let mut polled = false;
        let mut handle = spawn(&house, &ledger, move |cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(End::Value);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let worker = thread::spawn(move || seat.sit().work());
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        worker.join().expect("no panic");
        let end = handle.try_take().expect("every handle resolves");
        reached(if end == End::Value { &ENDED } else { &CUT_SHORT });
        drop(handle);
        assert_eq!((ledger.abandoned(), ledger.slots_dropped()), (0, 1));
    })
    .finds(&["close-looks-nowhere"])
    .reaches(|| vec![("it ended by itself", &ENDED), ("it was cancelled", &CUT_SHORT)])
    .preemptions(1);

/// A future whose destructor wakes another task and spawns a third.
struct Meddles {
    house: House,
    ledger: Arc<Ledger>,
    other: TaskRef,
    spawned: Arc<Mutex<Option<JoinHandle<End>>>>,
}

impl Future for Meddles {
    type Output = End;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<End> {
        Poll::Pending
    }
}

impl Drop for Meddles {
    fn drop(&mut self) {
        self.other.wake();
        let spawned = spawn(&self.house, &self.ledger, |_| Poll::Pending);
        *self.spawned.lock().expect("not poisoned") = Some(spawned);
    }
}

/// Destructors run while `close` goes on, and may do everything that tasks do.
pub(super) const DESTRUCTOR_WAKES_AND_SPAWNS: Model =
    Model::new("destructor_wakes_and_spawns", "a destructor that runs during close wakes and spawns", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let mut other = spawn(&house, &ledger, |_| Poll::Pending);
        let spawned = Arc::new(Mutex::new(None));
        let meddles = Meddles {
            house: house.clone(),
            ledger: Arc::clone(&ledger),
            other: other.task().clone(),
            spawned: Arc::clone(&spawned),
        };
        let mut meddler = spawn_future(&house, &ledger, meddles);
        assert!(worker.turn() && worker.turn());
        drop(worker);
        let task = meddler.task().clone();
        let foreign = thread::spawn(move || task.wake());
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        foreign.join().expect("no panic");
        let mut third = spawned.lock().expect("not poisoned").take().expect("the destructor has run");
        for handle in [&mut other, &mut meddler, &mut third] {
            assert_eq!(handle.try_take(), Some(End::Closed));
        }
        drop((other, meddler, third));
        assert_eq!(ledger.slots_dropped(), 3);
    })
    .finds(&["close-looks-once"])
    .preemptions(1);

/// The watchdog takes back the dismissal of a standby while `close` dismisses all workers.
pub(super) const REPRIEVE_VS_SHUTDOWN: Model = Model::new(
    "reprieve_vs_shutdown",
    "a standby that the watchdog wants to keep leaves all the same",
    || {
        let house = house(1, 1);
        let (_busy, seat) = (house.reserve(0), house.reserve(1));
        house.dismiss(1);
        let standby = thread::spawn(move || seat.sit().work());
        let watched = house.clone();
        let watch = thread::spawn(move || watched.watchdog().want(2));
        house.close_pool();
        house.dismiss_all();
        watch.join().expect("no panic");
        standby.join().expect("no panic");
    },
)
.finds(&["reprieve-without-swap"]);
