//! Which tasks are alive? Doubly linked lists through the cells, one shard per worker.

use std::ptr::NonNull;
use std::sync::Weak;

use crossbeam_utils::CachePadded;

use super::cell::{Header, new_task};
use super::{JoinHandle, Outcome, Runnable, Slot, TaskRef};
use crate::shared::Shared;
use crate::sync::{Mutex, mutation};

/// Shards for what a worker spawns, each.
const OWN_SHARDS: usize = if cfg!(selvedge_loom) { 1 } else { 8 };
/// Spawns in a row that go to the same one of these: about half of what a thief takes at once.
const OWN_STAY: usize = 16;
/// Shards for what foreign threads spawn.
const FOREIGN_SHARDS: usize = if cfg!(selvedge_loom) { 2 } else { 16 };
/// The same for these.
const FOREIGN_STAY: usize = 128;

/// A task's neighbours in its shard.
#[derive(Default)]
pub(super) struct Links {
    prev: Option<NonNull<Header>>,
    next: Option<NonNull<Header>>,
}

/// All live tasks of a scheduler.
pub(crate) struct Registry {
    /// Tasks point into this box: it never moves, and is freed only if no task is left.
    shards: Box<[CachePadded<Shard>]>,
    /// How many of them belong to workers; the others take what foreign threads spawn.
    own: usize,
}

/// One list of live tasks. Its lock is nearly always taken by the worker whose shard it is.
pub(super) struct Shard {
    list: Mutex<List>,
    owner: Weak<Shared>,
}

struct List {
    head: Option<NonNull<Header>>,
    len: usize,
    closed: bool,
}

impl Registry {
    pub(crate) fn new(workers: usize, owner: &Weak<Shared>) -> Self {
        let shard = |_| CachePadded::new(Shard::new(owner.clone()));
        let own = workers * OWN_SHARDS;
        Self { shards: (0..own + FOREIGN_SHARDS).map(shard).collect(), own }
    }

    /// The shard for a task that the calling thread spawns, a worker or a foreign one. It stays with one for a while and then moves on, so that it is
    /// seldom at the same one as those who run what it spawned earlier, and take their tasks out.
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

    /// Creates a task. There is nothing to queue if the registry is closed: then the handle resolves to `Outcome::closed`.
    #[inline]
    pub(crate) fn spawn<F, S>(
        &self,
        worker: Option<usize>,
        future: F,
        slot: S,
        weight: u8,
    ) -> (Option<Runnable>, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let home = &*self.shards[self.next_shard(worker)];
        // SAFETY: rule *Home*: a linked task keeps the registry from being freed, and one that is refused completes right here.
        let (runnable, handle) = unsafe { new_task(future, slot, NonNull::from(home), weight) };
        (home.insert(&runnable).then_some(runnable), handle)
    }

    pub(crate) fn tasks(&self) -> Vec<TaskRef> {
        let mut all = Vec::new();
        for shard in &self.shards {
            shard.collect(&mut all);
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Refuses new tasks from now on.
    pub(crate) fn close(&self) {
        for shard in &self.shards {
            shard.list.lock().closed = true;
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // `close` sees to it that no task is left. If one is after all (the operating system refused the thread that would have
        // cancelled it), it still follows its `home`: better a leak than that it finds nothing there.
        if self.len() > 0 {
            std::mem::forget(std::mem::take(&mut self.shards));
        }
    }
}

// SAFETY: the list's pointers are followed under its lock only, and tasks may be referred to from any thread.
unsafe impl Send for Shard {}
// SAFETY: as above.
unsafe impl Sync for Shard {}

impl Shard {
    fn new(owner: Weak<Shared>) -> Self {
        Self { list: Mutex::new(List { head: None, len: 0, closed: false }), owner }
    }

    /// The runtime to which the tasks of this shard belong.
    pub(super) fn owner(&self) -> &Weak<Shared> {
        &self.owner
    }

    /// Links a new task. False: the shard is closed, and the task must not live.
    fn insert(&self, task: &Runnable) -> bool {
        let node = task.with_task(TaskRef::as_raw);
        let mut list = self.list.lock();
        if list.closed && !mutation("insert-though-closed") {
            return false;
        }
        // SAFETY: a new task's links are empty, and the lock is held (rule *Links*).
        unsafe { list.push(node) };
        true
    }

    /// Unlinks a task; no-op for one that was never linked.
    ///
    /// # Safety
    ///
    /// `task` must be valid, and this shard its home.
    pub(super) unsafe fn remove(&self, task: NonNull<Header>) {
        let mut list = self.list.lock();
        // SAFETY: the caller vouches for the task, and the lock is held (rule *Links*).
        unsafe { list.unlink(task) };
    }

    fn len(&self) -> usize {
        self.list.lock().len
    }

    /// Appends references to all tasks of the shard.
    fn collect(&self, into: &mut Vec<TaskRef>) {
        let list = self.list.lock();
        let mut node = list.head;
        while let Some(task) = node {
            // SAFETY: a linked task is valid: it holds the runtime's reference until after it is unlinked.
            let header = unsafe { task.as_ref() };
            header.state.add_ref();
            // SAFETY: the reference just counted.
            into.push(unsafe { TaskRef::from_raw(task) });
            // SAFETY: the lock is held (rule *Links*).
            node = header.links.with(|links| unsafe { (*links).next });
        }
    }
}

impl List {
    /// # Safety
    ///
    /// `node` must be valid and in no list; the lock is held.
    unsafe fn push(&mut self, node: NonNull<Header>) {
        let old = self.head.replace(node);
        self.len += 1;
        // SAFETY: the caller vouches for the node, and holds the lock.
        unsafe { set(node, |links| links.next = old) };
        if let Some(old) = old {
            // SAFETY: a node of this list; the lock is held.
            unsafe { set(old, |links| links.prev = Some(node)) };
        }
    }

    /// # Safety
    ///
    /// `node` must be valid and in this list or in none; the lock is held.
    unsafe fn unlink(&mut self, node: NonNull<Header>) {
        // SAFETY: the caller vouches for the node, and holds the lock.
        let Links { prev, next } = unsafe { set(node, std::mem::take) };
        match prev {
            // SAFETY: a node of this list; the lock is held.
            Some(prev) => unsafe { set(prev, |links| links.next = next) },
            None if self.head == Some(node) => self.head = next,
            None => return,
        }
        if let Some(next) = next {
            // SAFETY: a node of this list; the lock is held.
            unsafe { set(next, |links| links.prev = prev) };
        }
        self.len -= 1;
    }
}

/// # Safety
///
/// `node` must be valid, and the caller hold the lock of its shard.
unsafe fn set<R>(node: NonNull<Header>, change: impl FnOnce(&mut Links) -> R) -> R {
    // SAFETY: the caller vouches for the node.
    let header = unsafe { node.as_ref() };
    // SAFETY: the lock is held, so nobody else touches the links.
    header.links.with_mut(|links| change(unsafe { &mut *links }))
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;
    use std::any::Any;

    struct Nothing;

    impl Slot for Nothing {
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

    fn spawn(registry: &Registry, worker: Option<usize>) -> (Option<Runnable>, JoinHandle<Closed>) {
        registry.spawn(worker, std::future::pending(), Nothing, 0)
    }

    #[test]
    fn tasks_leave_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let registry = Registry::new(1, &Weak::new());
            let (runnables, handles): (Vec<_>, Vec<_>) = (0..3).map(|_| spawn(&registry, Some(0))).unzip();
            let mut runnables = runnables;
            let mut left: Vec<_> = handles.iter().map(|handle| handle.task().clone()).collect();
            for index in order {
                drop(runnables[index].take().expect("not refused"));
                left.retain(|task| task != handles[index].task());
                let tasks = registry.tasks();
                assert_eq!((registry.len(), tasks.len()), (left.len(), left.len()), "{order:?}");
                assert!(left.iter().all(|task| tasks.contains(task)), "{order:?}");
            }
            assert!(handles.iter().all(|handle| handle.peek() == Some(&Closed(true))));
        }
    }

    #[test]
    fn shards_are_counted_together_and_closed_together() {
        let registry = Registry::new(3, &Weak::new());
        let spawners = [Some(0), Some(1), Some(2), None];
        let tasks = spawners.map(|worker| spawn(&registry, worker));
        assert_eq!(registry.len(), 4);
        registry.close();
        for worker in spawners {
            let (runnable, mut handle) = spawn(&registry, worker);
            assert!(runnable.is_none());
            assert_eq!(handle.try_take(), Some(Closed(true)));
        }
        assert_eq!(registry.len(), 4, "those that were there before");
        drop(tasks);
        assert_eq!(registry.len(), 0);
    }
}
