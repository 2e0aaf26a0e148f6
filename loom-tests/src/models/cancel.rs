//! Is each cancellation request delivered once, or taken back, whatever else happens to the task?
//! The library's tasks and leaves as they ship.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;
use selvedge::model::{Leaf, Route, request_shutdown, requests};

use crate::support::{Model, loop_house, reached};

static RAN: AtomicUsize = AtomicUsize::new(0);
static NEVER_BEGAN: AtomicUsize = AtomicUsize::new(0);

/// A queued task is cancelled: it ends with its value, or it never begins and reports the
/// cancellation.
pub(super) const CANCEL_WHILE_QUEUED: Model =
    Model::new("cancel_while_queued", "a task is cancelled as it is about to be polled", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let ran = Arc::new(AtomicBool::new(false));
        let (runs, captured) = (Arc::clone(&ran), Arc::new(()));
        let held = Arc::clone(&captured);
        let task = event_loop.create_task(async move {
            runs.store(true, Ordering::Relaxed);
            drop(held);
            Ok(7)
        });
        let handle = task.handle();
        let canceller = thread::spawn(move || handle.cancel());
        assert!(worker.turn());
        assert!(task.done(), "one poll ends it, whatever it begins with");
        let was_told = canceller.join().expect("no panic");
        let ran = ran.load(Ordering::Relaxed);
        reached(if ran { &RAN } else { &NEVER_BEGAN });
        assert_eq!(task.cancelled(), !ran);
        assert!(ran || was_told);
        match task.result() {
            Ok(value) => assert!(ran && *value == 7),
            Err(error) => assert!(!ran && error.is_cancelled()),
        }
        assert_eq!(Arc::strong_count(&captured), 1, "what the task captured is dropped");
    })
    .finds(&["cancelled-without-a-note"])
    .reaches(|| vec![("it ran", &RAN), ("it never began", &NEVER_BEGAN)]);

static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
static LATER: AtomicUsize = AtomicUsize::new(0);

/// A task is cancelled during a poll that ends in a suspension: the await at which the task is
/// suspended receives the request.
pub(super) const CANCEL_WHILE_POLLING: Model =
    Model::new("cancel_while_polling", "a task is cancelled while a poll goes on", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let (gate, never) = (event_loop.create_future::<()>(), event_loop.create_future::<u32>());
        let waits = gate.clone();
        let task = event_loop.create_task(async move {
            // An operation that is ready completes before the request is delivered.
            waits.await?;
            Ok(never.await.is_err_and(|error| error.is_cancelled()))
        });
        assert!(worker.turn());
        gate.set_result(()).expect("set once");
        let handle = task.handle();
        let canceller = thread::spawn(move || assert!(handle.cancel()));
        assert!(worker.turn());
        reached(if task.done() { &AT_ONCE } else { &LATER });
        while !task.done() {
            assert!(worker.turn());
        }
        canceller.join().expect("no panic");
        assert!(matches!(task.result(), Ok(true)), "the body was dropped instead of told");
        assert_eq!(requests(&task.handle()), (1, false));
    })
    .finds(&["cancel-wakes-nobody"])
    .reaches(|| vec![("in the poll that went on", &AT_ONCE), ("in the next one", &LATER)]);

/// A shutdown requests the cancellation of two tasks while a worker polls them, and one of them
/// awaits the other. Each task receives one request, whichever thread is faster.
pub(super) const SHUTDOWN_TELLS_ONCE: Model = Model::new(
    "shutdown_tells_once",
    "a task passes a shutdown's request on to one that is told of it too",
    || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let never = event_loop.create_future::<()>();
        let child = event_loop.create_task(async move { never.await });
        let told = child.handle();
        let parent = event_loop.create_task(async move { child.await });
        assert!(worker.turn() && worker.turn());
        let (first, second) = (parent.handle(), told.clone());
        let shutdown = thread::spawn(move || {
            request_shutdown(&first);
            request_shutdown(&second);
        });
        while !parent.done() {
            if !worker.turn() {
                thread::yield_now();
            }
        }
        shutdown.join().expect("no panic");
        assert!(parent.cancelled() && told.cancelled());
        assert_eq!(requests(&told).0, 1, "the child was told twice");
    },
)
.finds(&["shutdown-tells-again"])
.preemptions(2);

/// A request joins one that is being delivered. A request that has joined never counts as under way
/// for ever.
pub(super) const ROUTE_JOINS_VS_SETTLES: Model =
    Model::new("route_joins_vs_settles", "a request joins one that is settled at that moment", || {
        let routes = [1, 2, 3].map(Route::starting);
        let first = routes[0].clone();
        let settles = thread::spawn(move || first.settle());
        let joined = routes[1].joins(&routes[0]);
        settles.join().expect("no panic");
        reached(if joined { &JOINED } else { &TOO_LATE });
        if joined {
            assert!(!routes[2].joins(&routes[1]), "nobody will be told");
        }
    })
    .finds(&["settled-routes-are-joined"])
    .reaches(|| vec![("it joined", &JOINED), ("it was too late", &TOO_LATE)]);

static JOINED: AtomicUsize = AtomicUsize::new(0);
static TOO_LATE: AtomicUsize = AtomicUsize::new(0);

/// Two tasks pass requests to each other at the same time. Exactly one of them finds that it closes
/// a cycle, and receives the request.
pub(super) const ROUTES_CLOSE_A_CIRCLE: Model =
    Model::new("routes_close_a_circle", "two requests join each other at the same moment", || {
        let (one, other) = (Route::starting(1), Route::starting(2));
        let (same, as_well) = (one.clone(), other.clone());
        let links = thread::spawn(move || same.link(&as_well));
        let ours = other.link(&one);
        let theirs = links.join().expect("no panic");
        assert!(ours != theirs, "both pass on, and nobody is told, or both are");
    })
    .finds(&["roots-are-not-looked-at-again"]);

static ONE: AtomicUsize = AtomicUsize::new(0);
static TWO: AtomicUsize = AtomicUsize::new(0);

/// A task that goes from await to await is cancelled, then uncancelled, then cancelled again. Each
/// request is delivered to one await or taken back, and the two requests are never confused.
pub(super) const CANCEL_DELIVERED_ONCE: Model = Model::new(
    "cancel_delivered_once",
    "a request is made, taken back and made again while the task's awaits ask",
    || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let delivered = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let (counts, looks, leaves) = (Arc::clone(&delivered), Arc::clone(&over), Arc::clone(&waker));
        let task = event_loop.create_task(async move {
            loop {
                let mut leaf = Leaf::new();
                let was_cancelled = poll_fn(|cx| {
                    *leaves.lock().expect("not poisoned") = Some(cx.waker().clone());
                    // Before the leaf checks for a request. Otherwise a request between the two
                    // reads would be missed.
                    let is_over = looks.load(Ordering::Acquire);
                    if leaf.is_cancelled(cx) {
                        Poll::Ready(true)
                    } else if is_over {
                        Poll::Ready(false)
                    } else {
                        Poll::Pending
                    }
                });
                if !was_cancelled.await {
                    return Ok(());
                }
                reached(&counts);
            }
        });
        assert!(worker.turn());
        let waker = waker.lock().expect("not poisoned").take().expect("left in the first poll");
        let handle = task.handle();
        let canceller = thread::spawn(move || {
            assert!(handle.cancel());
            handle.uncancel();
            assert!(handle.cancel());
            over.store(true, Ordering::Release);
            waker.wake();
        });
        while !task.done() {
            assert!(worker.turn());
        }
        canceller.join().expect("no panic");
        let (made, is_pending) = requests(&task.handle());
        let times = delivered.load(Ordering::Relaxed);
        assert!(task.result().is_ok(), "the task was dropped instead of told");
        assert!(!is_pending && task.cancelling() == 1);
        assert_eq!(made, times, "delivered although it was taken back, or the other way round");
        assert!(times > 0, "the second one stands");
        reached(if times == 1 { &ONE } else { &TWO });
    },
)
.finds(&["deliver-what-was-seen", "taken-though-rescinded", "rescinded-is-not-counted"])
.reaches(|| vec![("one delivery", &ONE), ("two deliveries", &TWO)]);

static IN_THE_POLL: AtomicUsize = AtomicUsize::new(0);
static AFTERWARDS: AtomicUsize = AtomicUsize::new(0);

/// A task is cancelled while it polls one child of a set that polls only woken children: every
/// child receives the request.
pub(super) const CANCEL_IN_A_SET: Model =
    Model::new("cancel_in_a_set", "a task is cancelled while a set in it polls one of its children", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let [gate, first, second] = [(); 3].map(|()| event_loop.create_future::<()>());
        let waits = gate.clone();
        let task = event_loop.create_task(async move {
            let is_told = |waited: selvedge::Result<()>| waited.is_err_and(|error| error.is_cancelled());
            let mut set = WokenOnly::new([
                Box::pin(async move { waits.await.is_ok() && is_told(first.await) }) as Child,
                Box::pin(async move { is_told(second.await) }),
            ]);
            Ok(poll_fn(|cx| set.poll(cx)).await)
        });
        assert!(worker.turn());
        gate.set_result(()).expect("set once");
        let handle = task.handle();
        let canceller = thread::spawn(move || assert!(handle.cancel()));
        assert!(worker.turn());
        reached(if task.done() { &IN_THE_POLL } else { &AFTERWARDS });
        canceller.join().expect("no panic");
        while !task.done() {
            assert!(worker.turn(), "a child was not told, and nothing wakes the task");
        }
        assert!(matches!(task.result(), Ok([true, true])), "a child was dropped instead of told");
    })
    .finds(&["foreign-wakers-are-not-kept", "taken-and-nobody-is-called"])
    .reaches(|| vec![("in the poll that went on", &IN_THE_POLL), ("in a later one", &AFTERWARDS)]);

type Child = Pin<Box<dyn Future<Output = bool> + Send>>;

/// The behaviour of `FuturesUnordered`, for two children.
struct WokenOnly {
    children: [(Option<Child>, Arc<ChildWaker>, bool); 2],
}

#[derive(Default)]
struct ChildWaker {
    is_woken: AtomicBool,
    set: Mutex<Option<Waker>>,
}

impl Wake for ChildWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        if let Some(set) = self.set.lock().expect("no panic").take() {
            set.wake();
        }
    }
}

impl WokenOnly {
    fn new(children: [Child; 2]) -> WokenOnly {
        WokenOnly {
            children: children.map(|child| {
                let waker = ChildWaker { is_woken: AtomicBool::new(true), set: Mutex::default() };
                (Some(child), Arc::new(waker), false)
            }),
        }
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<[bool; 2]> {
        for (child, waker, result) in &mut self.children {
            *waker.set.lock().expect("no panic") = Some(cx.waker().clone());
            if !waker.is_woken.swap(false, Ordering::Acquire) {
                continue;
            }
            let own = Waker::from(Arc::clone(waker));
            let polled = child.as_mut().map(|child| child.as_mut().poll(&mut Context::from_waker(&own)));
            if let Some(Poll::Ready(told)) = polled {
                (*child, *result) = (None, told);
            }
        }
        let [(first, _, one), (second, _, other)] = &self.children;
        if first.is_none() && second.is_none() { Poll::Ready([*one, *other]) } else { Poll::Pending }
    }
}
