//! Which leaves does waking their task not reach?
//!
//! A combinator such as `FuturesUnordered` hands each of its children a waker of its own, and polls only children whose waker was
//! used. A request wakes the task, so it would never get to such a child, and the child would be dropped untold. Therefore a leaf
//! that suspends with another waker than its task's leaves that waker here, with the innermost scope around it; frames do the same.
//! Every scope that has such leaves has one `ForeignWakers`, and they form a tree as the scopes do.
//!
//! The wakers are *called* (taken out and woken) by the poll that meets the request, on the thread that polls the task:
//!
//! 1. A frame that begins a poll and knows of a request calls all wakers below its scope before it polls its content. So the
//!    children are ready when their combinator is polled, in the same poll, and the frame can still tell afterwards whether anybody took
//!    the request.
//! 2. A leaf that takes a request calls them as well: the request may have come after its frames had begun their polls.
//!
//! Whoever makes a request wakes the task and knows nothing of this file. Each state of requests is called once (`asked`); a leaf that
//! leaves its waker afterwards has looked at that state itself. Entering and calling happen on the thread that polls the task;
//! only leaving, by a leaf that is dropped, may happen on another one.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::contain::wake_quietly;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// The foreign wakers below one scope.
pub(crate) struct ForeignWakers {
    list: Mutex<List>,
    around: Option<Arc<ForeignWakers>>,
    /// How many leaves of the task were called and have been neither polled nor dropped since. All scopes of a task share it.
    called: Arc<AtomicUsize>,
}

/// Wakers are cloned, woken and dropped after the lock.
#[derive(Default)]
struct List {
    /// In the order in which they came, which is the order in which they are called. Keys are never used again.
    members: BTreeMap<u64, Member>,
    next: u64,
    /// The key among the members of the scope around.
    place_around: Option<u64>,
    /// The state of the requests for which the members were called last.
    asked: Option<u64>,
}

enum Member {
    Leaf(Waker),
    Inner(Weak<ForeignWakers>),
}

impl List {
    fn add(&mut self, member: Member) -> u64 {
        let key = self.next;
        self.next += 1;
        self.members.insert(key, member);
        key
    }
}

impl ForeignWakers {
    fn new(around: Option<Arc<ForeignWakers>>) -> Arc<ForeignWakers> {
        let called = around.as_ref().map_or_else(Arc::default, |around| Arc::clone(&around.called));
        Arc::new(ForeignWakers { list: Mutex::new(List::default()), around, called })
    }

    /// Wakes all below, if that has not been done for this state of the requests.
    pub(super) fn call(self: &Arc<Self>, asked: u64) {
        let members = {
            let mut list = self.list.lock();
            if list.asked.replace(asked) == Some(asked) {
                return;
            }
            std::mem::take(&mut list.members)
        };
        let mut wakers = Vec::new();
        let mut open = vec![members.into_values()];
        while let Some(members) = open.last_mut() {
            match members.next() {
                Some(Member::Leaf(waker)) => wakers.push(waker),
                Some(Member::Inner(inner)) => {
                    open.extend(inner.upgrade().map(|inner| inner.leave_scope_around()))
                }
                None => _ = open.pop(),
            }
        }
        // Relaxed, here and below: a count that nothing is read through.
        self.called.fetch_add(wakers.len(), Ordering::Relaxed);
        wakers.into_iter().for_each(wake_quietly);
    }

    /// Gives its members away. Those that come later enter it with the scope around again.
    fn leave_scope_around(&self) -> btree_map::IntoValues<u64, Member> {
        let mut list = self.list.lock();
        list.place_around = None;
        std::mem::take(&mut list.members).into_values()
    }

    /// Some of the task's leaves were called and have not come to be polled.
    pub(super) fn has_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) > 0
    }

    fn enter(self: &Arc<Self>, waker: Waker) -> u64 {
        let key = self.list.lock().add(Member::Leaf(waker));
        let mut inner = self;
        while let Some(around) = &inner.around {
            // Two locks, the inner one first: nobody takes them in another order.
            let mut list = inner.list.lock();
            if list.place_around.is_some() {
                break;
            }
            list.place_around = Some(around.list.lock().add(Member::Inner(Arc::downgrade(inner))));
            drop(list);
            inner = around;
        }
        key
    }

    fn leave(&self, key: u64) {
        let member = self.list.lock().members.remove(&key);
        if member.is_none() {
            self.called.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn holds(&self, key: u64, waker: &Waker) -> bool {
        matches!(self.list.lock().members.get(&key), Some(Member::Leaf(known)) if known.will_wake(waker))
    }
}

/// A scope's own, which ends with the scope: a waker left there may keep alive what keeps the waker alive.
pub(crate) struct ScopesWakers(Arc<ForeignWakers>);

impl ScopesWakers {
    /// For a task's root scope.
    pub(crate) fn of_task() -> ScopesWakers {
        ScopesWakers(ForeignWakers::new(None))
    }

    /// For a scope inside of another one.
    pub(super) fn inside(around: Arc<ForeignWakers>) -> ScopesWakers {
        ScopesWakers(ForeignWakers::new(Some(around)))
    }

    pub(crate) fn get(&self) -> &Arc<ForeignWakers> {
        &self.0
    }
}

impl Drop for ScopesWakers {
    fn drop(&mut self) {
        let (members, place) = {
            let mut list = self.0.list.lock();
            // Leaves that outlive the scope find that they were called; nobody counts any more.
            (std::mem::take(&mut list.members), list.place_around.take())
        };
        let leaves = members.values().filter(|member| matches!(member, Member::Leaf(_))).count();
        self.0.called.fetch_add(leaves, Ordering::Relaxed);
        if let (Some(around), Some(place)) = (&self.0.around, place) {
            around.list.lock().members.remove(&place);
        }
    }
}

/// A leaf's entry, for as long as the leaf stays where it is and waits.
pub(super) struct Entry {
    wakers: Arc<ForeignWakers>,
    key: u64,
    is_elsewhere: bool,
}

impl Entry {
    pub(super) fn new(wakers: Arc<ForeignWakers>, waker: &Waker) -> Entry {
        let key = wakers.enter(waker.clone());
        Entry { wakers, key, is_elsewhere: false }
    }

    /// The leaf has been moved to where other scopes are around it.
    pub(super) fn is_elsewhere(&mut self) {
        self.is_elsewhere = true;
    }

    /// The leaf is still there, was not called, and `waker` wakes the same.
    pub(super) fn stands_for(&self, waker: &Waker) -> bool {
        !self.is_elsewhere && self.wakers.holds(self.key, waker)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.wakers.leave(self.key);
    }
}
