//! Which parked worker is woken, and may this worker park?
//!
//! The invariant: **as long as a stealable task is queued, a worker is awake that will look for it,
//! or the thread that queued the task wakes one.**
//!
//! Both sides, as steps:
//!
//! ```text
//! pusher                                    worker that found nothing
//! P1 push the task                          W1 enter the sleepers, leave the searchers   (`sleep`)
//! P2 fence(SeqCst)              (`notify`)  W2 fence(SeqCst)
//! P3 read the word; if no worker searches   W3 look at every queue again; if there is something,
//!    and one sleeps, take a sleeper            leave the sleepers (`cancel_sleep`) and go on
//!    and wake it as a searcher              W4 park until woken
//! ```
//!
//! W3 and W4 are in `Local::park`; "every queue" is `Shared::has_work_to_give`.
//!
//! A worker that pushes into its own deque leaves out the fence if there is a watchdog. The
//! invariant holds, because this worker is awake and comes to the task itself. What it may miss is
//! a worker that goes to sleep at that moment and could have helped; it looks again when its poll
//! ends, or when a burst of timers or sockets is over. A worker may also keep its only task local
//! while the poll that pushed it goes on (`worker/wake_policy.rs`): then the push wakes no worker,
//! and W3 passes over the task. If the poll lasts, the watchdog looks for a sleeper in either case.
//!
//! Proof, in two cases. The fences are totally ordered. If P2 comes first, W3 sees the task of P1.
//! If W2 comes first, P3 sees the word of W1: the worker among the sleepers and no longer among the
//! searchers. So the pusher wakes a sleeper, unless another worker searches. That one either finds
//! the task, or goes through W1 to W3 itself after P3 read it as searching, so its W3 sees the
//! task.
//!
//! A searcher that finds work stops searching. The last one to do so notifies once more, because
//! pushes that came meanwhile relied on it. At most half of the workers search, so that many pushes
//! at once do not send all workers to the same queues.
//!
//! Computing threads sleep in a list of their own, by the same steps: "every queue" is then the two lanes
//! (`worker/compute.rs`).
//!
//! Rejected: a lock around push and sleep (two more read-modify-writes for each push); a wake for
//! each push (many system calls while the first woken worker is still on its way).

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicUsize, Mutex, Ordering, fence};

const SEARCHING_ONE: usize = 1;
const SLEEPING_SHIFT: u32 = usize::BITS / 2;
const SLEEPING_ONE: usize = 1 << SLEEPING_SHIFT;

/// How many workers search, and which ones sleep.
pub(crate) struct Idle {
    word: CachePadded<AtomicUsize>,
    /// Changes together with the word.
    sleepers: Mutex<Sleepers>,
}

struct Sleepers {
    /// The last to fall asleep on top: its caches are the warmest.
    list: Vec<usize>,
    /// How often a worker has left the list.
    departures: u64,
}

/// All workers slept at some moment, see [`Idle::all_sleep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllSleep(u64);

/// One look at the word.
#[derive(Clone, Copy)]
struct Snapshot(usize);

impl Snapshot {
    fn searching(self) -> usize {
        self.0 & (SLEEPING_ONE - 1)
    }
    fn sleeping(self) -> usize {
        self.0 >> SLEEPING_SHIFT
    }
}

/// The right, and the duty, to look for work on behalf of the pushers that rely on it (see the
/// module's head).
#[must_use = "searchers are counted: give it to `Idle::sleep` or `Idle::found`"]
#[derive(Debug)]
pub(crate) struct Searching(());

/// What the end of a search leaves to its worker.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No worker searches any more: look at every queue behind a fence, and call `notify` if there is
    /// something.
    NotifyAnother,
    /// Another worker still searches.
    Nothing,
}

impl Idle {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            word: CachePadded::new(AtomicUsize::new(0)),
            sleepers: Mutex::new(Sleepers { list: Vec::with_capacity(workers), departures: 0 }),
        }
    }

    /// After a push: the worker to unpark, if one is needed. It counts as searching from here on.
    #[inline]
    pub(crate) fn notify(&self) -> Option<usize> {
        // Ordering: P2, partner of the fence in `sleep`.
        fence(Ordering::SeqCst);
        self.notify_if_visible()
    }

    /// As `notify`, without the fence. It may miss a worker that is just falling asleep, so it is
    /// for tasks that do not depend on it.
    #[inline]
    pub(crate) fn notify_if_visible(&self) -> Option<usize> {
        // Relaxed: the fences order this read against the sleeper's announcement.
        if self.seems_wanted() { self.pop_sleeper() } else { None }
    }

    /// A worker sleeps and none searches: a hint.
    #[inline]
    pub(crate) fn seems_wanted(&self) -> bool {
        let now = Snapshot(self.word.load(Ordering::Relaxed));
        now.searching() == 0 && now.sleeping() > 0
    }

    #[cold]
    fn pop_sleeper(&self) -> Option<usize> {
        let mut sleepers = self.sleepers.lock();
        // Another pusher has made a searcher meanwhile, and this one relies on it.
        if Snapshot(self.word.load(Ordering::Relaxed)).searching() > 0 {
            return None;
        }
        let index = sleepers.list.pop()?;
        sleepers.departures += 1;
        // Relaxed: the count of searchers publishes nothing; the lock orders it with the list.
        self.word.fetch_add(SEARCHING_ONE.wrapping_sub(SLEEPING_ONE), Ordering::Relaxed);
        Some(index)
    }

    /// Begins a search, unless half of `workers` search already.
    pub(crate) fn try_search(&self, workers: usize) -> Option<Searching> {
        let now = Snapshot(self.word.load(Ordering::Relaxed));
        (2 * now.searching() < workers.max(1)).then(|| self.search())
    }

    /// Begins a search in any case: the worker has seen work.
    pub(crate) fn search(&self) -> Searching {
        // Relaxed: a pusher that relies on this searcher saw the count before the fence of the
        // searcher's later `sleep`.
        self.word.fetch_add(SEARCHING_ONE, Ordering::Relaxed);
        Searching(())
    }

    /// Ends a search that found work.
    pub(crate) fn found(&self, searching: Searching) -> Found {
        let Searching(()) = searching;
        // Relaxed: the last one to leave looks again behind a fence (`Local::stop_searching`).
        let before = Snapshot(self.word.fetch_sub(SEARCHING_ONE, Ordering::Relaxed));
        if before.searching() == 1 { Found::NotifyAnother } else { Found::Nothing }
    }

    /// W1 and W2. The worker must look at every queue again before it parks.
    pub(crate) fn sleep(&self, index: usize, searching: Option<Searching>) {
        let leaves = if searching.is_some() { SEARCHING_ONE } else { 0 };
        {
            let mut sleepers = self.sleepers.lock();
            debug_assert!(!sleepers.list.contains(&index));
            sleepers.list.push(index);
            self.word.fetch_add(SLEEPING_ONE - leaves, Ordering::Relaxed);
        }
        // Ordering: W2, partner of the fence in `notify`.
        fence(Ordering::SeqCst);
    }

    /// The worker wakes by itself. An error: another thread woke it, so it counts as searching.
    pub(crate) fn cancel_sleep(&self, index: usize) -> Result<(), Searching> {
        if self.remove(index) { Ok(()) } else { Err(Searching(())) }
    }

    /// Takes a certain worker out of the sleepers; it does not count as searching. False: it was not there.
    fn remove(&self, index: usize) -> bool {
        let mut sleepers = self.sleepers.lock();
        let Some(place) = sleepers.list.iter().position(|&sleeper| sleeper == index) else {
            return false;
        };
        sleepers.list.remove(place);
        sleepers.departures += 1;
        self.word.fetch_sub(SLEEPING_ONE, Ordering::Relaxed);
        true
    }

    /// All of `workers` sleep. Two equal answers mean that none of them woke in between.
    pub(crate) fn all_sleep(&self, workers: usize) -> Option<AllSleep> {
        let sleepers = self.sleepers.lock();
        (sleepers.list.len() >= workers).then_some(AllSleep(sleepers.departures))
    }

    /// How many sleep: a hint.
    pub(crate) fn sleeping(&self) -> usize {
        Snapshot(self.word.load(Ordering::Relaxed)).sleeping()
    }

    /// A worker searches: a hint.
    pub(crate) fn searches(&self) -> bool {
        Snapshot(self.word.load(Ordering::Relaxed)).searching() > 0
    }

    /// No worker but the caller searches: a hint.
    pub(crate) fn searches_alone(&self) -> bool {
        Snapshot(self.word.load(Ordering::Relaxed)).searching() <= 1
    }
}

#[cfg(test)]
#[cfg(not(selvedge_loom))]
mod tests {
    use super::*;

    fn counts(idle: &Idle) -> (usize, usize) {
        let now = Snapshot(idle.word.load(Ordering::Relaxed));
        (now.searching(), now.sleeping())
    }

    #[test]
    fn a_woken_worker_searches_and_counts_once() {
        let idle = Idle::new(3);
        assert_eq!(idle.notify(), None, "none sleeps");
        for index in 0..3 {
            idle.sleep(index, None);
        }
        assert_eq!(idle.notify(), Some(2), "the last to fall asleep");
        assert_eq!(counts(&idle), (1, 2));
        assert_eq!(idle.notify(), None, "one searches already");
        let right = idle.cancel_sleep(2).expect_err("it was woken");
        assert_eq!(idle.found(right), Found::NotifyAnother);
        assert_eq!(counts(&idle), (0, 2));
        assert_eq!(idle.notify(), Some(1));
    }

    #[test]
    fn a_worker_that_wakes_by_itself_does_not_search() {
        let idle = Idle::new(2);
        idle.sleep(0, None);
        idle.cancel_sleep(0).expect("no thread woke it");
        assert_eq!(counts(&idle), (0, 0));
        assert!(!idle.remove(0));
    }

    #[test]
    fn a_searcher_that_falls_asleep_searches_no_more() {
        let idle = Idle::new(2);
        let right = idle.try_search(2).expect("none searches");
        assert_eq!(counts(&idle), (1, 0));
        idle.sleep(0, Some(right));
        assert_eq!(counts(&idle), (0, 1));
    }

    #[test]
    fn a_worker_is_wanted_if_one_sleeps_and_none_searches() {
        let idle = Idle::new(3);
        assert!(!idle.seems_wanted(), "none sleeps");
        idle.sleep(0, None);
        assert!(idle.seems_wanted());
        let searching = idle.search();
        assert!(!idle.seems_wanted(), "one searches");
        // A pusher that saw the word before that search began relies on the searcher.
        assert_eq!((idle.pop_sleeper(), counts(&idle)), (None, (1, 1)));
        assert_eq!(idle.found(searching), Found::NotifyAnother);
        assert_eq!((idle.pop_sleeper(), counts(&idle)), (Some(0), (1, 0)));
        assert!(!idle.seems_wanted());
    }

    #[test]
    fn hints_agree_with_the_word() {
        let idle = Idle::new(3);
        let hints = || (idle.sleeping(), idle.searches_alone());
        assert_eq!(hints(), (0, true));
        let first = idle.search();
        assert_eq!(hints(), (0, true));
        let second = idle.search();
        assert_eq!(hints(), (0, false));
        idle.sleep(0, Some(first));
        idle.sleep(1, Some(second));
        assert_eq!(hints(), (2, true));
        idle.sleep(2, None);
        assert_eq!(hints(), (3, true));
    }

    #[test]
    fn two_answers_differ_if_a_worker_woke_in_between() {
        let idle = Idle::new(2);
        assert_eq!(idle.all_sleep(1), None);
        idle.sleep(0, None);
        assert_eq!(idle.all_sleep(2), None);
        idle.sleep(1, None);
        let rests = idle.all_sleep(2).expect("both sleep");
        assert_eq!((idle.all_sleep(2), idle.all_sleep(1)), (Some(rests), Some(rests)));
        idle.cancel_sleep(1).expect("no thread woke it");
        assert_eq!(idle.all_sleep(2), None);
        idle.sleep(1, None);
        let again = idle.all_sleep(2).expect("both sleep");
        assert_ne!(again, rests, "one woke by itself");
        assert_eq!(idle.notify(), Some(1));
        let searching = idle.cancel_sleep(1).expect_err("it was woken");
        idle.sleep(1, Some(searching));
        assert!(idle.all_sleep(2).is_some_and(|last| last != again && last != rests), "one was woken");
    }

    #[test]
    fn at_most_half_search_unless_there_is_work() {
        let idle = Idle::new(4);
        let (first, second) =
            (idle.try_search(4).expect("one of four"), idle.try_search(4).expect("two of four"));
        assert!(idle.try_search(4).is_none());
        let third = idle.search();
        assert_eq!(idle.found(first), Found::Nothing);
        assert_eq!(idle.found(second), Found::Nothing);
        assert_eq!(idle.found(third), Found::NotifyAnother, "the last one");
        let only = idle.try_search(1).expect("a single worker may search");
        assert!(idle.try_search(1).is_none());
        assert_eq!(idle.found(only), Found::NotifyAnother);
    }
}
