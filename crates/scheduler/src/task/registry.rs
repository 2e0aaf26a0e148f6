//! Which tasks are alive? Doubly linked lists through the cells, one shard per worker.

use std::ptr::NonNull;
use std::sync::Weak;

use super::cell::{Header, new_task};
use super::{JoinHandle, Outcome, Runnable, Slot, TaskRef};
use crate::shared::Shared;
use crate::sync::{Mutex, mutation};

/// A task's neighbours in its shard.
#[derive(Default)]
pub(super) struct Links {
    prev: Option<NonNull<Header>>,
    next: Option<NonNull<Header>>,
}

/// All live tasks of a scheduler.
pub(crate) struct Registry {
    /// Tasks point into this box: it never moves, and is freed only if no task is left.
    shards: Box<[Shard]>,
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
    pub(crate) fn new(shards: usize, owner: &Weak<Shared>) -> Self {
        Self { shards: (0..shards).map(|_| Shard::new(owner.clone())).collect() }
    }

    /// Creates a task. There is nothing to queue if the registry is closed: then the handle resolves to `Outcome::closed`.
    #[inline]
    pub(crate) fn spawn<F, S>(
        &self,
        shard: usize,
        future: F,
        slot: S,
        weight: u8,
    ) -> (Option<Runnable>, JoinHandle<F::Output>)
    where
        F: Future + Send + 'static,
        F::Output: Outcome,
        S: Slot,
    {
        let home = &self.shards[shard];
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
        self.shards.iter().map(Shard::len).sum()
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
