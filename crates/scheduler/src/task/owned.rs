//! Which tasks are alive?
//!
//! They are registered in shards, each with its own lock, so that threads which spawn and finish
//! tasks seldom contend.
//!
//! The thread that completes a task removes it from its shard. Rejected: one shard for each worker
//! (a spawning worker and the thief of its tasks meet at the same lock for every task); a table
//! with free lists (the spawning and the finishing thread write to the same cache lines, while here
//! the finishing thread only empties a place).
//!
//! Each shard has a [`Door`]. It only ever narrows, under the lock under which tasks are
//! registered. So once `narrow` has returned, a task that is spawned is either refused, or is found
//! by every later walk.

use std::sync::{Arc, Weak};

use crossbeam_utils::CachePadded;

use super::cell::new_task;
use super::page::{Home, PLACES, Pages};
use super::{JoinHandle, Outcome, Runnable, Schedule, ScheduleHere, Slot, TaskRef};
use crate::door::Door;
use crate::sync::Mutex;

/// The number of shards for the tasks that each worker spawns.
const OWN_SHARDS: usize = if cfg!(selvedge_loom) { 1 } else { 8 };
/// The number of consecutive spawns that use the same one of these shards: about half of what a
/// thief takes at once.
const OWN_STAY: usize = 16;
/// The number of shards for the tasks that foreign threads spawn.
const FOREIGN_SHARDS: usize = if cfg!(selvedge_loom) { 2 } else { 16 };
/// The number of consecutive spawns that use the same one of these shards.
const FOREIGN_STAY: usize = 128;

/// A task that was spawned when the door was closed. It must be dropped.
#[must_use = "its handle waits for the drop"]
pub(crate) struct RefusedTask {
    // The task refers to its registration, so its scheduler must outlive it. The fields are dropped
    // in this order.
    _right: Runnable,
    _owner: Option<Arc<dyn Schedule>>,
}

/// All live tasks of a scheduler.
pub(crate) struct OwnedTasks {
    /// The pages of the tasks point into this box: it never moves, and is freed only if no task is
    /// left.
    shards: Box<[CachePadded<Shard>]>,
    /// The number of shards that belong to workers; the others take the tasks that foreign threads
    /// spawn.
    own: usize,
}

/// Some of the live tasks. Its lock is nearly always taken by the worker to which the shard
/// belongs.
pub(super) struct Shard {
    list: Mutex<List>,
    owner: Weak<dyn Schedule>,
    schedule_here: ScheduleHere,
}

struct List {
    tasks: Pages,
    door: Door,
    /// The number of walks through the pages, during which pages must not move.
    walks: usize,
}

impl OwnedTasks {
    pub(crate) fn new(workers: usize, owner: &Weak<dyn Schedule>, schedule_here: ScheduleHere) -> Self {
        let shard = |_| CachePadded::new(Shard::new(owner.clone(), schedule_here));
        let own = workers * OWN_SHARDS;
        Self { shards: (0..own + FOREIGN_SHARDS).map(shard).collect(), own }
    }

    /// The shard for a task that the calling thread, a worker or a foreign thread, spawns. A thread
    /// uses one shard for a while and then another, so that it seldom contends with the workers
    /// that run its earlier tasks and remove them.
    #[inline]
    fn next_shard(&self, worker: Option<usize>) -> usize {
        crate::sync::thread_locals! {
            static SPAWNED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
        }
        let spawned = SPAWNED.get();
        SPAWNED.set(spawned.wrapping_add(1));
        match worker {
            Some(worker) => worker * OWN_SHARDS + spawned / OWN_STAY % OWN_SHARDS,
            None => self.own + spawned / FOREIGN_STAY % FOREIGN_SHARDS,
        }
    }

    /// Creates a task. `is_own` says whether the calling thread is one of the scheduler's. If the
    /// door is closed to it, there is no `Runnable`, and the handle resolves to `Outcome::closed`.
    #[inline]
    pub(crate) fn spawn<F, S>(
        &self,
        worker: Option<usize>,
        is_own: impl FnOnce() -> bool,
        future: F,
        slot: S,
        weight: u8,
    ) -> (Result<Runnable, RefusedTask>, JoinHandle<F::Output, S::ForHandle>)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let (runnable, handle) = new_task(future, slot, weight);
        let shard = &self.shards[self.next_shard(worker)];
        // SAFETY: the task is new.
        let is_open = unsafe { shard.insert(&runnable, is_own) };
        let admitted = if is_open {
            Ok(runnable)
        } else {
            Err(RefusedTask { _right: runnable, _owner: shard.owner.upgrade() })
        };
        (admitted, handle)
    }

    pub(crate) fn tasks(&self) -> Vec<TaskRef> {
        self.by_portions().flatten().collect()
    }

    /// The tasks, page by page: a caller with little time may stop in between. A shard is locked
    /// for one page at a time, so other threads never wait for a whole walk.
    pub(crate) fn by_portions(&self) -> impl Iterator<Item = Vec<TaskRef>> {
        self.portions_of(|_| true)
    }

    /// The tasks that have one of these addresses.
    pub(crate) fn at_addresses(&self, addresses: &[usize]) -> Vec<TaskRef> {
        if addresses.is_empty() {
            return Vec::new();
        }
        self.portions_of(|address| addresses.contains(&address)).flatten().collect()
    }

    fn portions_of(&self, is_meant: impl Fn(usize) -> bool) -> impl Iterator<Item = Vec<TaskRef>> {
        Walk { shards: &self.shards, page: 0, end: 0, is_meant }
    }

    /// The place of `task` lies here. Once the task has left it, another scheduler's may lie there. No
    /// other task is looked at, only the shards' pages.
    pub(crate) fn owns(&self, task: &TaskRef) -> bool {
        let page = task.home().page_address();
        self.shards.iter().any(|shard| shard.list.lock().tasks.has_page_at(page))
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Frees memory that many tasks have left, as long as `goes_on`.
    pub(crate) fn trim(&self, goes_on: impl Fn() -> bool) {
        for shard in self.shards.iter().take_while(|_| goes_on()) {
            shard.trim();
        }
    }

    /// From now on admits only those threads for which `door` is open.
    pub(crate) fn narrow(&self, door: Door) {
        for shard in &self.shards {
            let mut list = shard.list.lock();
            list.door = list.door.max(door);
        }
    }
}

impl Drop for OwnedTasks {
    fn drop(&mut self) {
        // Normally `close` leaves no task. If one is left (the operating system refused the closing
        // thread, and the time was up), its `home` still points into a shard: leaking the shards is
        // better than a dangling pointer.
        if self.len() > 0 {
            std::mem::forget(std::mem::take(&mut self.shards));
        }
    }
}

impl Shard {
    pub(super) fn new(owner: Weak<dyn Schedule>, schedule_here: ScheduleHere) -> Self {
        let list = Mutex::new(List { tasks: Pages::new(), door: Door::Open, walks: 0 });
        Self { list, owner, schedule_here }
    }

    /// The scheduler to which the tasks of this shard belong.
    pub(super) fn owner(&self) -> &Weak<dyn Schedule> {
        &self.owner
    }

    pub(super) fn schedule_here(&self) -> ScheduleHere {
        self.schedule_here
    }

    /// Registers a task. False: the shard is closed, and the task must not live; only the caller
    /// may poll it.
    ///
    /// # Safety
    ///
    /// The task must be new: in no shard, and known to the caller alone.
    unsafe fn insert(&self, task: &Runnable, is_own: impl FnOnce() -> bool) -> bool {
        let task = task.with_task(TaskRef::as_raw);
        let mut list = self.list.lock();
        let is_open = list.door.lets_in(is_own);
        let home = if is_open { list.tasks.insert(task, self) } else { list.tasks.refuse(self) };
        // SAFETY: the caller keeps the cell alive.
        let room = unsafe { &raw mut (*task.as_ptr()).home };
        // SAFETY: no other thread knows the task yet; threads that find it among the owned tasks do
        // so after this write, because of the lock.
        unsafe { room.write(home) };
        is_open
    }

    /// Removes the task that is registered at `home`.
    ///
    /// # Safety
    ///
    /// It must be registered with this shard, and no longer be polled.
    pub(super) unsafe fn remove(&self, home: Home) {
        let mut list = self.list.lock();
        // SAFETY: the caller guarantees it.
        unsafe { list.tasks.remove(home) };
    }

    fn len(&self) -> usize {
        self.list.lock().tasks.len()
    }

    /// Frees pages that have no tasks, a few under the lock at a time. Stops while a walk goes
    /// through them; the next call does the rest.
    fn trim(&self) {
        let mut below = None;
        loop {
            let mut list = self.list.lock();
            if list.walks > 0 {
                break;
            }
            below = list.tasks.trim(below);
            if below.is_none() {
                break;
            }
        }
    }
}

/// Walks through the tasks whose address `is_meant` accepts. It holds a shard's lock for one page
/// at a time.
///
/// A task that stays registered while the walk is at its shard is found exactly once: neither pages
/// nor the tasks on them move meanwhile.
struct Walk<'a, P> {
    /// The current shard, and those still to visit.
    shards: &'a [CachePadded<Shard>],
    /// The next page. If it is not zero, the shard's `walks` counts this walk.
    page: usize,
    /// One past the last page to visit. Later pages were allocated after the walk began, and have
    /// no older tasks.
    end: usize,
    is_meant: P,
}

impl<P: Fn(usize) -> bool> Iterator for Walk<'_, P> {
    type Item = Vec<TaskRef>;

    fn next(&mut self) -> Option<Vec<TaskRef>> {
        // Allocated before the lock is taken.
        let mut found = Vec::with_capacity(PLACES);
        loop {
            let (shard, rest) = self.shards.split_first()?;
            let mut list = shard.list.lock();
            if self.page == 0 {
                self.end = list.tasks.pages();
                list.walks += usize::from(self.end > 0);
            }
            if self.page < self.end {
                let meant = list.tasks.on_page(self.page).filter(|task| (self.is_meant)(task.addr().get()));
                found.extend(meant.map(|task| {
                    // SAFETY: a registered task is valid: it holds the runtime's reference until
                    // after it has been removed.
                    unsafe { task.as_ref() }.state.add_ref();
                    // SAFETY: the reference has just been counted.
                    unsafe { TaskRef::from_raw(task) }
                }));
                self.page += 1;
                return Some(found);
            }
            list.walks -= usize::from(self.page > 0);
            drop(list);
            (self.shards, self.page) = (rest, 0);
        }
    }
}

impl<P> Drop for Walk<'_, P> {
    fn drop(&mut self) {
        if self.page > 0 {
            self.shards[0].list.lock().walks -= 1;
        }
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use std::any::Any;

    use super::super::Why;
    use super::*;

    /// A scheduler that no longer exists.
    struct Gone;

    impl Schedule for Gone {
        fn schedule(&self, _: Runnable, _: Why) {
            unreachable!("it has gone");
        }
    }

    fn owned_by_nobody(workers: usize) -> OwnedTasks {
        OwnedTasks::new(workers, &(Weak::<Gone>::new() as Weak<dyn Schedule>), |_, task, _| Err(task))
    }

    impl Shard {
        /// A shard without a scheduler, for the tests of its pages.
        pub(in super::super) fn of_nobody() -> Self {
            Self::new(Weak::<Gone>::new(), |_, task, _| Err(task))
        }
    }

    struct Nothing;

    impl Slot for Nothing {
        type ForHandle = ();

        fn completed(&self, _: &TaskRef) {}
    }

    #[derive(Debug, PartialEq)]
    struct Closed(bool);

    impl Outcome for Closed {
        fn panicked(_: &TaskRef, _: Box<dyn Any + Send>) -> Self {
            Self(false)
        }
        fn closed(_: &TaskRef) -> Self {
            Self(true)
        }
        fn abandoned(self, _: &TaskRef) {}
    }

    fn spawn(owned: &OwnedTasks, worker: Option<usize>) -> (Option<Runnable>, JoinHandle<Closed>) {
        let (task, handle) = owned.spawn(worker, || worker.is_some(), std::future::pending(), Nothing, 0);
        (task.ok(), handle)
    }

    #[test]
    fn tasks_leave_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let owned = owned_by_nobody(1);
            let (runnables, handles): (Vec<_>, Vec<_>) = (0..3).map(|_| spawn(&owned, Some(0))).unzip();
            let mut runnables = runnables;
            let mut left: Vec<_> = handles.iter().map(|handle| handle.task().clone()).collect();
            for index in order {
                drop(runnables[index].take().expect("not refused"));
                left.retain(|task| task != handles[index].task());
                let tasks = owned.tasks();
                assert_eq!((owned.len(), tasks.len()), (left.len(), left.len()), "{order:?}");
                assert!(left.iter().all(|task| tasks.contains(task)), "{order:?}");
            }
            assert!(handles.iter().all(|handle| handle.peek() == Some(&Closed(true))));
        }
    }

    /// Other tasks begin, end and are trimmed away during the walk.
    #[test]
    fn a_walk_finds_once_what_stays() {
        let owned = owned_by_nobody(1);
        let (stay, go): (Vec<_>, Vec<_>) =
            (0..20_000).map(|_| spawn(&owned, Some(0))).enumerate().partition(|(n, _)| n % 700 == 0);
        let pages = |owned: &OwnedTasks| -> usize {
            owned.shards.iter().map(|shard| shard.list.lock().tasks.pages()).sum()
        };
        let before = pages(&owned);
        let mut portions = owned.by_portions();
        let mut found = portions.next().expect("there are tasks");
        drop(go);
        owned.trim(|| true);
        let late: Vec<_> = (0..1_000).map(|_| spawn(&owned, Some(0))).collect();
        found.extend(portions.by_ref().flatten());
        for (_, (_, handle)) in &stay {
            assert_eq!(found.iter().filter(|task| *task == handle.task()).count(), 1);
        }
        drop((portions, found, late));
        assert_eq!(owned.tasks().len(), stay.len());

        let mut portions = owned.by_portions();
        assert!(portions.next().is_some());
        drop(portions);
        assert!(owned.shards.iter().all(|shard| shard.list.lock().walks == 0));
        owned.trim(|| true);
        assert!(pages(&owned) < before / 2, "{} pages of {before}", pages(&owned));
    }

    #[test]
    fn shards_are_counted_together_and_closed_together() {
        let owned = owned_by_nobody(3);
        let spawners = [Some(0), Some(1), Some(2), None];
        let tasks = spawners.map(|worker| spawn(&owned, worker));
        assert_eq!(owned.len(), 4);
        owned.narrow(Door::OwnThreads);
        let (own, foreign) = (spawn(&owned, Some(0)), spawn(&owned, None));
        assert!(own.0.is_some() && foreign.0.is_none(), "only its own threads are let in");
        drop((own, foreign));
        owned.narrow(Door::Closed);
        owned.narrow(Door::OwnThreads);
        for worker in spawners {
            let (runnable, mut handle) = spawn(&owned, worker);
            assert!(runnable.is_none());
            assert_eq!(handle.try_take(), Some(Closed(true)));
        }
        assert_eq!(owned.len(), 4, "those that were there before");
        drop(tasks);
        assert_eq!(owned.len(), 0);
    }
}
