//! Is each request delivered once, or taken back, whatever else happens to the task?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use loom::thread;

use crate::support::{End, Ledger, Model, house, join, reached, spawn};
use crate::word::{Request, RequestWord};

static DELIVERED: AtomicUsize = AtomicUsize::new(0);
static RESCINDED: AtomicUsize = AtomicUsize::new(0);

/// One thread cancels a task and takes it back, while the task's polls deliver: the request is delivered once or not at all, and a word that
/// is quiet in the end says which.
pub(super) const CANCEL_DELIVERED_ONCE: Model = Model::new(
    "cancel_delivered_once",
    "a request is made and taken back while the task's polls deliver",
    || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let word = Arc::new(RequestWord::new());
        let delivered = Arc::new(AtomicUsize::new(0));
        let worker = house.reserve(0).sit();
        let is_over = Arc::new(AtomicBool::new(false));
        let (asked, counts, ends) = (Arc::clone(&word), Arc::clone(&delivered), Arc::clone(&is_over));
        let mut handle = spawn(&house, &ledger, move |_| {
            counts.fetch_add(usize::from(asked.deliver().was_pending), Ordering::Relaxed);
            if ends.load(Ordering::Relaxed) { Poll::Ready(End::Value) } else { Poll::Pending }
        });
        assert!(worker.turn());
        let task = handle.task().clone();
        let (asks, over) = (Arc::clone(&word), Arc::clone(&is_over));
        let canceller = thread::spawn(move || {
            if asks.request_counted() == Request::First {
                task.wake();
            }
            assert_eq!(asks.uncancel(), 0);
            over.store(true, Ordering::Relaxed);
            task.wake();
        });
        while !handle.task().is_done() {
            assert!(worker.turn());
        }
        canceller.join().expect("no panic");
        let end = word.load();
        let times = delivered.load(Ordering::Relaxed);
        assert!(!end.is_pending() && end.cancelling() == 0);
        assert_eq!(
            end.made() as usize,
            times,
            "delivered although it was taken back, or the other way round"
        );
        reached(if times == 1 { &DELIVERED } else { &RESCINDED });
        assert_eq!(join(&mut handle), End::Value);
    },
)
.finds(&["deliver-what-was-seen"])
.reaches(|| vec![("delivered", &DELIVERED), ("taken back", &RESCINDED)]);
