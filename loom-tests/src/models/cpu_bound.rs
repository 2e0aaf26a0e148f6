//! Do computing threads come to every task in a lane, whichever way they come and go?

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;
use std::time::Duration;

use loom::thread;
use selvedge_scheduler::JoinHandle;
use selvedge_scheduler::model::{House, Worker};

use crate::support::{End, Ledger, Model, computing_house, join, reached, spawn};

/// A suspended task that is cpu-bound, and completes in its next poll.
fn cpu_bound(house: &House, ledger: &Arc<Ledger>, worker: &Worker) -> JoinHandle<End> {
    let mut polled = false;
    let handle = spawn(house, ledger, move |_| {
        if std::mem::replace(&mut polled, true) { Poll::Ready(End::Value) } else { Poll::Pending }
    });
    assert!(worker.turn());
    house.make_cpu_bound(handle.task());
    handle
}

/// A cpu-bound task is queued while the only permit is given back: the task is announced, or the
/// thread that gives the permit back finds it.
pub(super) const PERMIT_RETURNS_VS_PUSH: Model = Model::new(
    "permit_returns_vs_push",
    "a cpu-bound task is queued while the last permit comes back",
    || {
        let house = computing_house(1, 1, false);
        let ledger = Arc::new(Ledger::default());
        let light = house.reserve(0).sit();
        let [mut first, mut second] = [(); 2].map(|()| cpu_bound(&house, &ledger, &light));
        drop(light);
        let computes = house.reserve_computing(1).sit();
        first.task().wake();
        let wakes = house.clone();
        let foreign = thread::spawn(move || {
            second.task().wake();
            assert_eq!(join(&mut first), End::Value);
            assert_eq!(join(&mut second), End::Value);
            wakes.dismiss_all();
        });
        computes.work();
        foreign.join().expect("no panic");
        drop(computes);
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (4, 2));
    },
)
.finds(&["cpu-bound-push-without-fence"]);

static FOUND: AtomicUsize = AtomicUsize::new(0);
static CALLED: AtomicUsize = AtomicUsize::new(0);

/// The only computing thread has rested for too long and ends, while a task is queued: it finds the task,
/// or the watchdog is called for another thread.
pub(super) const RETIREMENT_VS_PUSH: Model = Model::new(
    "retirement_vs_push",
    "a computing thread that has nothing to do ends while a task is queued",
    || {
        let house = computing_house(1, 1, true);
        let ledger = Arc::new(Ledger::default());
        let light = house.reserve(0).sit();
        let task = cpu_bound(&house, &ledger, &light);
        drop(light);
        let seat = house.reserve_computing(1);
        let computing = thread::spawn(move || seat.sit().work());
        task.task().wake();
        computing.join().expect("no panic");
        let is_called = house.watchdog_is_called();
        let is_done = task.task().is_done();
        assert!(is_done || is_called, "neither thread knows of the task");
        reached(if is_done { &FOUND } else { &CALLED });
        assert_eq!(house.computing_threads(), 0);
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        drop(task);
        assert_eq!(ledger.slots_dropped(), 1);
    },
)
.finds(&["retires-though-woken"])
.reaches(|| vec![("the thread ran the task", &FOUND), ("the watchdog was called", &CALLED)]);

static LIGHT: AtomicUsize = AtomicUsize::new(0);
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// The watchdog demotes a worker that polls, ends a poll, or sleeps. In each case it runs the cpu-bound task
/// that is queued after that, as there is no other computing thread. A light task it has polled before that,
/// or leaves to the other worker.
pub(super) const DEMOTION_VS_POLL_END: Model = Model::new(
    "demotion_vs_poll_end",
    "a worker is demoted while its poll ends: it computes from then on, and leaves light tasks to others",
    || {
        let house = computing_house(1, 1, false);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let mut heavy = cpu_bound(&house, &ledger, &worker);
        drop(worker);
        let light = spawn(&house, &ledger, |_| Poll::Ready(End::Value));
        let (seat, _other) = (house.reserve(0), house.reserve(1));
        let demoted = thread::spawn(move || seat.sit().work());
        let mut watch = house.watchdog();
        // Not if a poll ends while the watchdog looks at it.
        while !watch.demote(0) {
            thread::yield_now();
        }
        heavy.task().wake();
        assert_eq!(join(&mut heavy), End::Value);
        assert_eq!(house.computing_threads(), 1);
        reached(if light.task().is_done() { &LIGHT } else { &LEFT });
        house.dismiss_all();
        demoted.join().expect("no panic");
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        drop((light, heavy));
        assert_eq!(ledger.slots_dropped(), 2);
    },
)
.finds(&["demoted-is-not-woken"])
.reaches(|| vec![("the worker ran the light task", &LIGHT), ("it left it to others", &LEFT)]);

static LENT: AtomicUsize = AtomicUsize::new(0);

/// A standby is dismissed, and its place is lent to a computing thread: that thread is not dismissed.
pub(super) const DISMISSED_PLACE_IS_LENT: Model = Model::new(
    "dismissed_place_is_lent",
    "a computing thread takes the place of a standby that was dismissed",
    || {
        let house = computing_house(1, 1, false);
        let ledger = Arc::new(Ledger::default());
        let (_light, standby) = (house.reserve(0), house.reserve(1).sit());
        let mut task = cpu_bound(&house, &ledger, &standby);
        house.dismiss(1);
        standby.work();
        drop(standby);
        task.task().wake();
        house.watchdog().lend_computing();
        assert_eq!(join(&mut task), End::Value);
        reached(&LENT);
        assert_eq!(house.scheduler().close(Duration::MAX), []);
        drop(task);
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (2, 1));
    },
)
.finds(&["place-is-lent-dismissed"])
.reaches(|| vec![("the place was lent", &LENT)])
.preemptions(1);
