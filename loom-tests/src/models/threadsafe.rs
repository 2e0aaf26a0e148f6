//! Does a thread outside of the loop get the result of the coroutine? `run_coroutine_threadsafe` as
//! it ships.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use loom::thread;
use selvedge::{InvalidStateError, run_coroutine_threadsafe};

use crate::support::{Model, loop_house, reached};

static TIMED_OUT: AtomicUsize = AtomicUsize::new(0);
static IN_TIME: AtomicUsize = AtomicUsize::new(0);

/// Two threads wait for one result while the coroutine ends, one of them with a time limit. Exactly
/// one of the threads gets the result; it is not lost when the limit of the other one expires.
pub(super) const THREADSAFE_RESULT_VS_COMPLETE: Model = Model::new(
    "threadsafe_result_vs_complete",
    "two threads ask for a result, one of them for a limited time, while it comes",
    || {
        let (house, event_loop) = loop_house(1, true);
        let worker = house.reserve(0).sit();
        let future = Arc::new(run_coroutine_threadsafe(async { Ok(7) }, &event_loop));
        let asks = [Some(Duration::from_secs(1)), None].map(|limit| {
            let future = Arc::clone(&future);
            thread::spawn(move || future.result(limit))
        });
        assert!(worker.turn());
        let [hasty, patient] = asks.map(|asked| asked.join().expect("no panic"));
        let timed_out = hasty.as_ref().is_err_and(selvedge::Error::is_timeout);
        reached(if timed_out { &TIMED_OUT } else { &IN_TIME });
        let hasty_has_it = matches!(hasty, Ok(7));
        match patient {
            Ok(value) => assert!(value == 7 && !hasty_has_it),
            Err(error) => assert!(hasty_has_it && error.is::<InvalidStateError>(), "{error}"),
        }
        assert!(future.done() && !future.cancelled() && !future.cancel());
    },
)
.finds(&["timeout-gives-up-the-task", "complete-relaxed"])
.reaches(|| vec![("the limit came first", &TIMED_OUT), ("the result did", &IN_TIME)]);

static VALUE: AtomicUsize = AtomicUsize::new(0);
static CANCELLED: AtomicUsize = AtomicUsize::new(0);

/// A thread cancels a coroutine that is about to run, while another thread waits: the result and
/// the future's state agree.
pub(super) const THREADSAFE_CANCEL_VS_COMPLETE: Model =
    Model::new("threadsafe_cancel_vs_complete", "a coroutine is cancelled from outside as it ends", || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let future = Arc::new(run_coroutine_threadsafe(async { Ok(7) }, &event_loop));
        let (asked, cancels) = (Arc::clone(&future), Arc::clone(&future));
        let asks = thread::spawn(move || {
            let result = asked.result(None);
            assert_eq!(asked.cancelled(), result.is_err(), "the end and its result are seen together");
            result
        });
        let canceller = thread::spawn(move || cancels.cancel());
        assert!(worker.turn());
        let was_told = canceller.join().expect("no panic");
        match asks.join().expect("no panic") {
            Ok(value) => {
                reached(&VALUE);
                assert_eq!(value, 7);
            }
            Err(error) => {
                reached(&CANCELLED);
                assert!(error.is_cancelled() && was_told);
            }
        }
        assert!(future.done() && !future.cancel());
    })
    .finds(&["complete-relaxed", "cancelled-without-a-note"])
    .reaches(|| vec![("it ended first", &VALUE), ("it never began", &CANCELLED)]);

/// A coroutine that waits for ever is cancelled from outside while it suspends.
pub(super) const THREADSAFE_CANCEL_VS_SUSPEND: Model = Model::new(
    "threadsafe_cancel_vs_suspend",
    "a coroutine is cancelled from outside as it suspends",
    || {
        let (house, event_loop) = loop_house(1, false);
        let worker = house.reserve(0).sit();
        let never = event_loop.create_future::<u32>();
        let future = Arc::new(run_coroutine_threadsafe(never, &event_loop));
        let cancels = Arc::clone(&future);
        let canceller = thread::spawn(move || assert!(cancels.cancel()));
        while !future.done() {
            assert!(worker.turn());
        }
        canceller.join().expect("no panic");
        assert!(future.cancelled());
        assert!(future.result(None).is_err_and(|error| error.is_cancelled()));
    },
)
.finds(&["cancel-wakes-nobody"]);
