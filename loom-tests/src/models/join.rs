//! Which thread is notified that a task is done, and which one drops its output? The task cell's
//! completion against every operation of a handle.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker};

use loom::thread;
use selvedge_scheduler::model::park;

use crate::support::{Bell, End, Ledger, Model, house, join, reached, spawn, spawn_ready};

static COMPLETED_FIRST: AtomicUsize = AtomicUsize::new(0);
static DROPPED_FIRST: AtomicUsize = AtomicUsize::new(0);

/// The thread that runs the task and the thread that drops the handle agree on which one abandons
/// the output.
pub(super) const COMPLETE_VS_HANDLE_DROP: Model =
    Model::new("complete_vs_handle_drop", "the output is abandoned once, by one of the two", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let handle = spawn_ready(&house, &ledger);
        let seen = Arc::clone(&ledger);
        let dropper = thread::spawn(move || {
            drop(handle);
            seen.abandoned()
        });
        assert!(worker.turn());
        let abandoned_here = ledger.abandoned();
        // This counter is outside of loom, so it only hints at the order. Both orders occur.
        reached(if abandoned_here == 0 { &COMPLETED_FIRST } else { &DROPPED_FIRST });
        dropper.join().expect("no panic");
        assert_eq!((ledger.polls(), ledger.abandoned(), ledger.slots_dropped()), (1, 1, 1));
    })
    .finds(&["quiet-without-looking", "leave-though-complete", "runner-touches-the-handles-data"])
    .reaches(|| {
        vec![("the task completed first", &COMPLETED_FIRST), ("the handle went first", &DROPPED_FIRST)]
    });

static JOINED_AT_ONCE: AtomicUsize = AtomicUsize::new(0);
static JOINED_LATER: AtomicUsize = AtomicUsize::new(0);

/// A handle is awaited with one waker, then with another, while the task completes: the last waker
/// is woken, or its poll finds the output.
pub(super) const JOIN_WAKER_SWAP: Model =
    Model::new("join_waker_swap", "the waker changes while the task completes", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let mut handle = spawn_ready(&house, &ledger);
        let joiner = thread::spawn(move || {
            let first = Waker::from(Bell::silent());
            let second = Waker::from(Bell::here());
            let mut polled = handle.poll_join(&mut Context::from_waker(&first));
            if polled.is_pending() {
                polled = handle.poll_join(&mut Context::from_waker(&second));
            }
            reached(if polled.is_ready() { &JOINED_AT_ONCE } else { &JOINED_LATER });
            while polled.is_pending() {
                park();
                polled = handle.poll_join(&mut Context::from_waker(&second));
            }
            assert_eq!(polled, Poll::Ready(Some(End::Value)));
        });
        assert!(worker.turn());
        joiner.join().expect("no panic");
        assert_eq!((ledger.abandoned(), ledger.slots_dropped()), (0, 1));
    })
    .finds(&["join-though-complete", "complete-relaxed", "waker-is-replaced-in-place"])
    .reaches(|| vec![("the output was there", &JOINED_AT_ONCE), ("it came later", &JOINED_LATER)]);

static RANG: AtomicUsize = AtomicUsize::new(0);
static SILENT: AtomicUsize = AtomicUsize::new(0);

/// A waiting handle is dropped while the task completes: one thread reads the waker and the other
/// drops it.
pub(super) const HANDLE_DROP_VS_COMPLETE: Model = Model::new(
    "handle_drop_vs_complete",
    "the join waker is read and dropped in order, and dropped once",
    || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let mut handle = spawn_ready(&house, &ledger);
        let bell = Bell::silent();
        let waker = Waker::from(Arc::clone(&bell));
        let _ = handle.poll_join(&mut Context::from_waker(&waker));
        drop(waker);
        let dropper = thread::spawn(move || drop(handle));
        assert!(worker.turn());
        dropper.join().expect("no panic");
        reached(if bell.rings() == 1 { &RANG } else { &SILENT });
        assert!(bell.rings() <= 1);
        assert_eq!(Arc::strong_count(&bell), 1, "the cell's copy of the waker was dropped");
        assert_eq!((ledger.abandoned(), ledger.slots_dropped()), (1, 1));
    },
)
.finds(&["leave-though-complete"])
.reaches(|| vec![("the joiner was woken", &RANG), ("it had left", &SILENT)]);

static ASKED_IN_TIME: AtomicUsize = AtomicUsize::new(0);
static ASKED_TOO_LATE: AtomicUsize = AtomicUsize::new(0);

/// A caller that requests `Slot::completed` in time gets the call.
pub(super) const WATCH_COMPLETION_VS_COMPLETE: Model =
    Model::new("watch_completion_vs_complete", "a completion that is asked for in time is told once", || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let handle = spawn_ready(&house, &ledger);
        let task = handle.task().clone();
        let watcher = thread::spawn(move || task.watch_completion());
        assert!(worker.turn());
        let too_late = watcher.join().expect("no panic");
        reached(if too_late { &ASKED_TOO_LATE } else { &ASKED_IN_TIME });
        assert_eq!(ledger.completed(), usize::from(!too_late));
        drop(handle);
        assert_eq!((ledger.abandoned(), ledger.slots_dropped()), (1, 1));
    })
    .finds(&["quiet-without-looking"])
    .reaches(|| vec![("in time", &ASKED_IN_TIME), ("too late", &ASKED_TOO_LATE)]);

/// A foreign thread wakes the task and drops its waker, while the task completes and the scheduler
/// ends.
pub(super) const WAKER_OUTLIVES_POOL: Model = Model::new(
    "waker_outlives_pool",
    "a wake and the drop of a waker after the end of the scheduler",
    || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let given = Arc::new(Mutex::new(None::<Waker>));
        let taken = Arc::clone(&given);
        let handle = spawn(&house, &ledger, move |cx| {
            let mut given = given.lock().expect("not poisoned");
            if given.is_some() {
                return Poll::Ready(End::Value);
            }
            *given = Some(cx.waker().clone());
            Poll::Pending
        });
        assert!(worker.turn());
        let waker = taken.lock().expect("not poisoned").clone().expect("the task has been polled");
        let foreign = thread::spawn(move || waker.wake());
        handle.task().wake();
        while !handle.task().is_done() {
            assert!(worker.turn());
        }
        drop((handle, worker, house));
        drop(taken);
        foreign.join().expect("no panic");
        assert_eq!((ledger.polls(), ledger.slots_dropped()), (2, 1));
    },
)
.finds(&["unref-relaxed"]);

static FOUND_DONE: AtomicUsize = AtomicUsize::new(0);
static WOKEN: AtomicUsize = AtomicUsize::new(0);

/// A task awaits another one that completes on another worker. The waker is a task there, and its
/// reference is consumed.
pub(super) const JOIN_ACROSS_WORKERS: Model =
    Model::new("join_across_workers", "a task is woken by the end of one that runs elsewhere", || {
        let house = house(2, 0);
        let ledger = Arc::new(Ledger::default());
        let mut awaited = spawn_ready(&house, &ledger);
        let right = house.steal().expect("nobody else is here yet");
        let (here, there) = (house.reserve(0).sit(), house.reserve(1));
        let elsewhere = thread::spawn(move || {
            let there = there.sit();
            there.poll(right);
            // The woken task is in this worker's deque.
            while let Some(right) = there.pop() {
                there.poll(right);
            }
        });
        let mut handle =
            spawn(&house, &ledger, move |cx| awaited.poll_join(cx).map(|end| end.expect("taken once")));
        while let Some(right) = here.pop() {
            here.poll(right);
        }
        reached(if handle.task().is_done() { &FOUND_DONE } else { &WOKEN });
        assert_eq!(join(&mut handle), End::Value);
        elsewhere.join().expect("no panic");
        drop((handle, here));
        assert_eq!((ledger.abandoned(), ledger.slots_dropped()), (0, 2));
    })
    .finds(&["wake-and-unref-relaxed"])
    .reaches(|| vec![("it was done already", &FOUND_DONE), ("it ended later", &WOKEN)]);
