//! How does a request reach leaves that are not polled when their task is woken?
//!
//! A combinator such as `FuturesUnordered` gives each child a waker of its own, and polls only
//! children whose waker was used. A request wakes the task's waker, so such a child would be
//! dropped without seeing the request. Therefore a leaf or frame that suspends with a waker other
//! than its task's registers that *foreign* waker here, with the innermost scope around it. Each
//! scope with such leaves has one `ForeignWakers`; they form the same tree as the scopes.
//!
//! The wakers are *called* (taken out and woken) by the poll that finds the request:
//!
//! 1. A frame that begins a poll with a request calls all wakers below its scope before it polls
//!    its content. So the combinator polls those children in the same poll, and the frame can see
//!    afterwards whether a leaf took the request.
//! 2. A leaf that takes a request calls them too: the request may have come after its frames began
//!    their polls.
//!
//! A combinator may yield after it has polled a few children. So a frame does not give up on its
//! content as long as leaves that were called have not been polled and the poll has woken its own
//! task (`Patience` in `cancel/frame.rs`).
//!
//! A combinator can outlive a scope: `timeout(second, set.next())` in a loop polls most of the
//! set's children in the first round only. So the wakers of a scope that ends move to the scope
//! around it. A leaf that was called in one scope and is polled in another takes the request if the
//! requesting scope is still around it.
//!
//! Code that makes a request only wakes the task. The wakers are called once for each state of the
//! requests (`Call::requests`); a leaf that registers later has checked that state itself. (A leaf
//! polled for the first time after another leaf took the request does not see it: it looks like an
//! await in that leaf's clean-up.) Registering and calling happen on the thread that polls the
//! task; leaves and scopes may be dropped on any.
//!
//! Rejected: to wake the children from the thread that makes the request (this needs locks, and the
//! frame could not know whether the children had their chance); to poll the content with a waker of
//! this library (every poll would pay for it).

use std::sync::{Arc, Weak};
use std::task::Waker;

use selvedge_scheduler::WaitList;

use crate::contain::{silently, wake_quietly};
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// The foreign wakers below one scope.
pub(crate) struct ForeignWakers {
    /// The place of the scope (`Scope::place`, or the task's number).
    place: u64,
    list: Mutex<List>,
    around: Option<Arc<ForeignWakers>>,
    /// How many leaves of the task were called and have neither suspended again nor been dropped
    /// since. All scopes of a task share this count.
    called: Arc<AtomicUsize>,
}

/// Wakers are cloned, woken and dropped outside the lock.
#[derive(Default)]
struct List {
    /// In the order in which they registered, which is the order in which they are called. Keys are
    /// never reused.
    members: WaitList<Member>,
    next: u64,
    /// This list's key among the members of the scope around.
    key_around: Option<u64>,
    /// The scope has ended: the list is removed when it is empty.
    has_ended: bool,
    /// The requests for which the members were called last.
    called: Option<Call>,
}

enum Member {
    Leaf(Waker),
    Inner(Weak<ForeignWakers>),
    /// The members that are left of a scope that has ended.
    Ended(Arc<ForeignWakers>),
}

/// The requests for which members were called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The place of the scope below which all members were called.
    pub(crate) place: u64,
    /// The state of the requests there.
    pub(crate) requests: u64,
}

impl List {
    fn add(&mut self, member: Member) -> u64 {
        let key = self.next;
        self.next += 1;
        self.members.put(key, member);
        key
    }
}

impl ForeignWakers {
    fn new(place: u64, around: Option<Arc<ForeignWakers>>) -> Arc<ForeignWakers> {
        let called = around.as_ref().map_or_else(Arc::default, |around| Arc::clone(&around.called));
        Arc::new(ForeignWakers { place, list: Mutex::new(List::default()), around, called })
    }

    /// Calls all leaves below, if that has not been done for this state of the requests.
    pub(crate) fn call(&self, requests: u64) {
        let call = Call { place: self.place, requests };
        if self.list.lock().called == Some(call) {
            return;
        }
        let wakers = self.take_all(Some(call));
        // Relaxed, here and below: nothing is read through this count.
        self.called.fetch_add(wakers.len(), Ordering::Relaxed);
        wakers.into_iter().for_each(wake_quietly);
    }

    /// Takes out the wakers of all leaves below, in order. A leaf that registers later registers
    /// its scope with the scope around it anew.
    fn take_all(&self, call: Option<Call>) -> Vec<Waker> {
        let take = |wakers: &ForeignWakers| {
            let mut list = wakers.list.lock();
            list.called = call.or(list.called);
            list.members.take().into_iter()
        };
        let mut wakers = Vec::new();
        let mut open = vec![take(self)];
        while let Some(members) = open.last_mut() {
            let inner = match members.next() {
                Some(Member::Leaf(waker)) => {
                    wakers.push(waker);
                    continue;
                }
                Some(Member::Inner(inner)) => inner.upgrade(),
                Some(Member::Ended(inner)) => Some(inner),
                None => {
                    open.pop();
                    continue;
                }
            };
            if let Some(inner) = inner {
                inner.list.lock().key_around = None;
                open.push(take(&inner));
            }
        }
        wakers
    }

    /// Wakes all leaves that are left when the task has ended: another task may hold those leaves
    /// now, and polls them only when they are woken.
    pub(crate) fn wake_all(&self) {
        let left = self.take_all(None);
        self.called.fetch_add(left.len(), Ordering::Relaxed);
        left.into_iter().for_each(wake_quietly);
    }

    /// Whether some of the task's leaves were called and have neither suspended again nor been
    /// dropped since.
    pub(crate) fn has_called(&self) -> bool {
        self.called.load(Ordering::Relaxed) > 0
    }

    fn enter(self: &Arc<Self>, waker: Waker) -> u64 {
        let key = self.list.lock().add(Member::Leaf(waker));
        let mut inner = self;
        while let Some(around) = &inner.around {
            // Two locks, the inner one first: no code takes them in another order.
            let mut list = inner.list.lock();
            if list.key_around.is_some() {
                break;
            }
            list.key_around = Some(around.list.lock().add(Member::Inner(Arc::downgrade(inner))));
            drop(list);
            inner = around;
        }
        key
    }

    fn leave(&self, key: u64) {
        let removed = self.list.lock().members.remove(key);
        match removed {
            // Outside the lock: a waker is foreign code.
            Some(removed) => silently(|| drop(removed)),
            None => _ = self.called.fetch_sub(1, Ordering::Relaxed),
        }
        self.remove_if_empty();
    }

    /// Removes the lists of scopes that have ended and are empty, from the inside outwards.
    fn remove_if_empty(&self) {
        let mut inner = self;
        // The entry that was removed last may hold the only reference to the list that `inner` borrows.
        let mut _held = None;
        while let Some((around, key)) = inner.take_outer_entry() {
            _held = around.list.lock().members.remove(key);
            inner = around;
        }
    }

    /// Where to remove this list, if its scope has ended and it is empty.
    fn take_outer_entry(&self) -> Option<(&ForeignWakers, u64)> {
        let mut list = self.list.lock();
        let is_over = list.has_ended && list.members.is_empty();
        self.around.as_deref().zip(is_over.then(|| list.key_around.take()).flatten())
    }

    /// The requests for which the leaf with this key was called, if it was.
    fn call_of(&self, key: u64) -> Option<Call> {
        let list = self.list.lock();
        if list.members.get(key).is_some() { None } else { list.called }
    }

    fn holds(&self, key: u64, waker: &Waker) -> bool {
        matches!(self.list.lock().members.get(key), Some(Member::Leaf(known)) if known.will_wake(waker))
    }
}

/// A scope's handle to its `ForeignWakers`. Its drop moves the wakers to the scope around. The drop
/// of a root scope's handle wakes them: a waker that stayed could keep itself alive in a cycle of
/// references.
pub(crate) struct ForeignWakersOwner(Arc<ForeignWakers>);

impl ForeignWakersOwner {
    /// For the root scope of the task with this number.
    pub(crate) fn of_task(number: u64) -> ForeignWakersOwner {
        ForeignWakersOwner(ForeignWakers::new(number, None))
    }

    /// For a scope inside of another one.
    pub(crate) fn inside(place: u64, around: Arc<ForeignWakers>) -> ForeignWakersOwner {
        ForeignWakersOwner(ForeignWakers::new(place, Some(around)))
    }

    pub(crate) fn get(&self) -> &Arc<ForeignWakers> {
        &self.0
    }
}

impl Drop for ForeignWakersOwner {
    fn drop(&mut self) {
        let wakers = &self.0;
        let Some(around) = &wakers.around else {
            return wakers.wake_all();
        };
        let mut list = wakers.list.lock();
        list.has_ended = true;
        if let Some(key) = list.key_around {
            let members = &mut around.list.lock().members;
            // The entry is gone if the leaves of the scope around are being called right now.
            if members.get(key).is_some() {
                members.put(key, Member::Ended(Arc::clone(wakers)));
            }
        }
        drop(list);
        wakers.remove_if_empty();
    }
}

/// A leaf's entry, for as long as the leaf stays where it is and waits.
pub(crate) struct Entry {
    wakers: Arc<ForeignWakers>,
    key: u64,
    has_moved: bool,
}

impl Entry {
    pub(crate) fn new(wakers: Arc<ForeignWakers>, waker: &Waker) -> Entry {
        let key = wakers.enter(waker.clone());
        Entry { wakers, key, has_moved: false }
    }

    /// The leaf has been moved to where other scopes are around it.
    pub(crate) fn mark_moved(&mut self) {
        self.has_moved = true;
    }

    /// The requests for which the leaf was called, if it was.
    pub(crate) fn call(&self) -> Option<Call> {
        self.wakers.call_of(self.key)
    }

    /// Whether this entry can stay: the leaf was neither moved nor called, and `waker` wakes the
    /// same task as the registered waker.
    pub(crate) fn stands_for(&self, waker: &Waker) -> bool {
        !self.has_moved && self.wakers.holds(self.key, waker)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.wakers.leave(self.key);
    }
}
