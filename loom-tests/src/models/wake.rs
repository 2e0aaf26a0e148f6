//! Does every wake lead to a poll that sees all writes before the wake? The counting wakes of
//! `task/state.rs`.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Poll;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use selvedge_scheduler::Probed;
use selvedge_scheduler::model::{Thread, Word, park};

use crate::support::{End, Ledger, Model, house, reached, spawn, spawn_suspended};

static ONE_POLL: AtomicUsize = AtomicUsize::new(0);
static TWO_POLLS: AtomicUsize = AtomicUsize::new(0);

/// A wake before, in and after a poll. The flag is relaxed: only the wake publishes it.
pub(super) const WAKE_WHILE_RUNNING: Model = Model::new(
    "wake_while_running",
    "a wake around a poll leads to one more poll, or none is needed",
    || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let flag = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&flag);
        let handle = spawn(&house, &ledger, move |_| {
            if seen.load(Ordering::Relaxed) { Poll::Ready(End::Value) } else { Poll::Pending }
        });
        let task = handle.task().clone();
        let waker = thread::spawn(move || {
            flag.store(true, Ordering::Relaxed);
            task.wake();
        });
        while !handle.task().is_done() {
            assert!(worker.turn());
        }
        waker.join().expect("no panic");
        match ledger.polls() {
            1 => reached(&ONE_POLL),
            2 => reached(&TWO_POLLS),
            polls => panic!("one wake, and {polls} polls"),
        }
    },
)
.finds(&["wake-in-poll-forgotten", "wake-relaxed"])
.reaches(|| vec![("the wake was merged into the first", &ONE_POLL), ("one more poll", &TWO_POLLS)]);

static MERGED: AtomicUsize = AtomicUsize::new(0);
static SUBMITTED: AtomicUsize = AtomicUsize::new(0);

/// A value that is written before a wake and read in the poll that answers the wake.
struct Note(UnsafeCell<u32>);

// SAFETY: loom checks each access.
unsafe impl Sync for Note {}
// SAFETY: as above.
unsafe impl Send for Note {}

impl Note {
    fn write(&self) {
        // SAFETY: loom checks that no other thread accesses the cell.
        self.0.with_mut(|value| unsafe { *value = 1 });
    }
    fn read(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }
}

/// Two wakes, both of which may be merged into the first one. Each happens before the poll that
/// answers it.
pub(super) const COALESCED_WAKE: Model =
    Model::new("coalesced_wake", "a merged wake happens before the poll that answers it", || {
        let word = Arc::new(Word::new());
        let notes = Arc::new([0, 0].map(|value| Note(UnsafeCell::new(value))));
        let rights = Arc::new(AtomicUsize::new(0));
        let runner = Thread::current();
        let wakers = [0, 1].map(|index| {
            let (word, notes, rights) = (Arc::clone(&word), Arc::clone(&notes), Arc::clone(&rights));
            let runner = runner.clone();
            thread::spawn(move || {
                notes[index].write();
                if word.wake() {
                    reached(&SUBMITTED);
                    reached(&rights);
                    runner.unpark();
                }
            })
        });
        // The first wake is the creation of the task.
        let mut answered = 0;
        let mut holds_right = true;
        while answered < 3 {
            if !holds_right {
                park();
                holds_right = rights.swap(0, std::sync::atomic::Ordering::Relaxed) > 0;
                continue;
            }
            let begun = word.begin_poll();
            answered += begun.wakes();
            if begun.wakes() == 3 {
                reached(&MERGED);
            }
            if answered == 3 {
                assert_eq!((notes[0].read(), notes[1].read()), (1, 1));
            }
            holds_right = word.end_poll(begun);
        }
        for waker in wakers {
            waker.join().expect("no panic");
        }
    })
    .finds(&["wake-relaxed", "merged-wake-does-not-write"])
    .reaches(|| vec![("both merged into the first", &MERGED), ("a wake of an idle task", &SUBMITTED)]);

static CLAIMED: AtomicUsize = AtomicUsize::new(0);
static TOO_BUSY: AtomicUsize = AtomicUsize::new(0);

/// Polls until no wake is unanswered, and writes to the note, which only a running poll may do.
/// Returns how many wakes were answered.
fn poll_out(word: &Word, note: &Note) -> u64 {
    let mut answered = 0;
    loop {
        let begun = word.begin_poll();
        note.write();
        answered += begun.wakes();
        if !word.end_poll(begun) {
            return answered;
        }
    }
}

/// The same steps as a probe: one poll that answers no wake. Returns how many wakes were answered
/// by the polls that had to follow.
fn ask(word: &Word, note: &Note) -> u64 {
    let begun = word.begin_poll();
    note.write();
    if word.is_woken_since_claim() {
        reached(&OWED);
        // The claim itself counts as one wake.
        return poll_out(word, note) - 1;
    }
    if word.end_poll(begun) { poll_out(word, note) } else { 0 }
}

static OWED: AtomicUsize = AtomicUsize::new(0);

/// The end of a poll, a wake, and a thread that probes whether the task is suspended. Polls never
/// overlap, each poll sees the writes of the previous one, and every wake is answered by a poll
/// that is not a probe.
pub(super) const PROBE_VS_WAKE: Model =
    Model::new("probe_vs_wake", "whoever asks a suspended task polls it alone, and answers no wake", || {
        let word = Arc::new(Word::new());
        let note = Arc::new(Note(UnsafeCell::new(0)));
        let (for_asker, its_note) = (Arc::clone(&word), Arc::clone(&note));
        let asker = thread::spawn(move || {
            if for_asker.claim() {
                reached(&CLAIMED);
                ask(&for_asker, &its_note)
            } else {
                reached(&TOO_BUSY);
                0
            }
        });
        let (for_waker, its_note) = (Arc::clone(&word), Arc::clone(&note));
        let waker = thread::spawn(move || if for_waker.wake() { poll_out(&for_waker, &its_note) } else { 0 });
        // The first wake is the creation of the task.
        let answered =
            poll_out(&word, &note) + asker.join().expect("no panic") + waker.join().expect("no panic");
        assert_eq!(answered, 2);
    })
    .finds(&["claim-though-busy", "probe-answers-wakes"])
    .reaches(|| {
        vec![
            ("a suspended task was claimed", &CLAIMED),
            ("a busy one was not", &TOO_BUSY),
            ("a wake came between the claim and the poll's end", &OWED),
        ]
    });

static STARTED_FIRST: AtomicUsize = AtomicUsize::new(0);
static ASKED_FIRST: AtomicUsize = AtomicUsize::new(0);

/// A task that was spawned suspended is started while a worker probes its state. The probe must not
/// take its first step.
pub(super) const START_VS_PROBE: Model = Model::new(
    "start_vs_probe",
    "a task that is started while somebody looks at it takes its first step",
    || {
        let house = house(1, 0);
        let ledger = Arc::new(Ledger::default());
        let worker = house.reserve(0).sit();
        let is_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&is_asked);
        let handle = spawn_suspended(&house, &ledger, move |_| {
            if asked.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(End::Value) }
        });
        let task = handle.task().clone();
        let starter = thread::spawn(move || task.start());
        is_asked.store(true, Ordering::Relaxed);
        match house.scheduler().probe(handle.task()) {
            Probed::Polled => reached(&ASKED_FIRST),
            Probed::Queued => reached(&STARTED_FIRST),
            look => panic!("{look:?}"),
        }
        is_asked.store(false, Ordering::Relaxed);
        while !handle.task().is_done() {
            assert!(worker.turn(), "nobody polls it");
        }
        starter.join().expect("no panic");
    },
)
.finds(&["start-leaves-a-busy-task"])
.reaches(|| vec![("it was started first", &STARTED_FIRST), ("it was asked first", &ASKED_FIRST)]);
