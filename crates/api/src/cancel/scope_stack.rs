//! Which scopes are around the code that is being polled?

use std::cell::{Cell, RefCell};
use std::mem::{ManuallyDrop, needs_drop};
use std::sync::Arc;

use selvedge_scheduler::TaskRef;

use super::scope::Scope;
use crate::error::CancelledError;
use crate::request::{Call, ForeignWakers, InHand, Requests};
use crate::slot::TaskSlot;
use crate::sync::thread_locals;

/// It has no destructor: frames leave nothing to drop, and the destructors of other thread-locals
/// may still poll when the thread ends.
type Innermost = RefCell<ManuallyDrop<Option<Arc<Scope>>>>;

const _: () = assert!(!needs_drop::<Innermost>());

thread_locals! {
    /// The innermost scope opened inside the task that this thread polls. `None` between polls: a
    /// frame puts its scope here while it polls its content, and removes it again, also when the
    /// content panics.
    static INNERMOST: Innermost = const { RefCell::new(ManuallyDrop::new(None)) };

    /// Whether there is an innermost scope. Most tasks never open one, and read only this flag.
    static IS_SCOPED: Cell<bool> = const { Cell::new(false) };

    /// Whether anything inside the innermost frame took a request during the current poll.
    static TAKEN: Cell<bool> = const { Cell::new(false) };
}

/// The scopes around the code being polled: those opened inside the task, and the task's root scope.
pub(crate) struct ScopeStack<'a> {
    root: &'a TaskSlot,
    innermost: Option<&'a Scope>,
}

/// The scopes of a stack to which a request was delivered: bit 0 is the root, and the scopes follow
/// from the innermost outwards. Scopes that are nested deeper than the bits reach are left out: a
/// delivery to them cannot be given back, though it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeliveredTo(u32);

impl DeliveredTo {
    /// Adds the scopes of one more delivery.
    pub(crate) fn add(&mut self, other: DeliveredTo) {
        self.0 |= other.0;
    }
}

/// What a frame compares to find out whether a scope around it got a request since the frame was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutsideScopes {
    cancelling: u32,
    made: u32,
    made_by_scopes: u32,
    pending: bool,
    /// The scopes that ever got a request, by the bits of `DeliveredTo`, without the root.
    requested: u32,
}

/// What a delivery to a whole stack found.
pub(super) struct StackDelivery {
    pub(super) made: u32,
    pub(super) to: DeliveredTo,
    /// The place of the outermost scope that had a request to deliver.
    pub(super) outermost: Option<u64>,
    pub(super) error: CancelledError,
    pub(super) route: InHand,
}

impl ScopeStack<'_> {
    /// Runs `f` with the stack around the code being polled; `None` where no task of this library is polled.
    #[inline]
    pub(crate) fn with<R>(f: impl FnOnce(&ScopeStack<'_>) -> R) -> Option<R> {
        TaskRef::with_current(|task| {
            let root = task?.slot::<TaskSlot>()?;
            if !IS_SCOPED.get() {
                return Some(f(&ScopeStack { root, innermost: None }));
            }
            INNERMOST
                .with(|innermost| Some(f(&ScopeStack { root, innermost: innermost.borrow().as_deref() })))
        })
    }

    /// The place of the innermost scope: its number, or the task's if there is none.
    #[inline]
    pub(super) fn place(&self) -> u64 {
        self.innermost.map_or_else(|| self.root.number(), Scope::place)
    }

    /// Requests made, over all scopes.
    #[inline]
    pub(super) fn made(&self) -> u32 {
        self.sum(Requests::made)
    }

    /// Requests delivered, over all scopes.
    #[inline]
    pub(super) fn delivered(&self) -> u32 {
        self.sum(Requests::delivered)
    }

    /// Marks everything on the stack as delivered, and notes for the frame around this code that a
    /// request was taken.
    pub(super) fn deliver(&self) -> StackDelivery {
        // Read first: the delivery clears the pending bits, which show what the request was made
        // to.
        let is_to_task = self.is_request_to_task();
        let (root, message, route) = self.root.deliver();
        let mut made = root.made;
        let mut to = u32::from(root.was_pending);
        let mut outermost = None;
        for (depth, scope) in self.scopes().enumerate() {
            let delivery = scope.state().deliver();
            made = made.wrapping_add(delivery.made);
            to |= u32::from(delivery.was_pending).checked_shl(depth as u32 + 1).unwrap_or(0);
            outermost = delivery.was_pending.then(|| scope.place()).or(outermost);
        }
        outermost = root.was_pending.then(|| self.root.number()).or(outermost);
        TAKEN.set(true);
        let (message, passed) = if is_to_task { (message, route) } else { (None, None) };
        let route = InHand::new(self.root.number(), passed);
        StackDelivery {
            made,
            to: DeliveredTo(to),
            outermost,
            error: CancelledError::from_message(message),
            route,
        }
    }

    /// The message of the request. Only a request to a task has one.
    pub(super) fn message(&self) -> Option<Arc<str>> {
        if self.is_request_to_task() { self.root.cancel_message() } else { None }
    }

    /// Whether the request was made to the task itself. If another arm of a `join!` took the
    /// request first, no pending bit is left to show this. Then the request was made to the task if
    /// no scope ever got one.
    fn is_request_to_task(&self) -> bool {
        self.root.requests().load().is_pending() || self.scopes().all(|scope| scope.requests().made() == 0)
    }

    /// Undoes a delivery whose error was not used: the next leaf that starts to wait gets it.
    pub(crate) fn give_back(&self, to: DeliveredTo) {
        if to.0 & 1 != 0 {
            self.root.requests().give_back();
        }
        for (depth, scope) in self.scopes().take(31).enumerate() {
            if to.0 & (2 << depth) != 0 {
                scope.state().give_back();
            }
        }
    }

    /// What a frame that is about to open a scope here should remember.
    #[inline]
    pub(crate) fn outside(&self) -> OutsideScopes {
        let root = self.root.requests().load();
        let made_by_scopes = self.made().wrapping_sub(root.made());
        let pending = root.is_pending() || self.scopes().any(|scope| scope.requests().is_pending());
        let bit = |(depth, scope): (usize, &Scope)| u32::from(scope.requests().made() != 0) << (depth + 1);
        let requested = self.scopes().take(31).enumerate().map(bit).sum();
        OutsideScopes { cancelling: root.cancelling(), made: self.made(), made_by_scopes, pending, requested }
    }

    /// The state of the requests on `innermost` and the scopes around it, as one number. It changes
    /// with each request, and with each request that is rescinded.
    fn requests(&self, innermost: Option<&Scope>) -> u64 {
        let root = self.root.requests().load();
        let scopes = std::iter::successors(innermost, |scope| scope.parent());
        let made = scopes.fold(root.made(), |sum, scope| sum.wrapping_add(scope.requests().made()));
        u64::from(root.rescinded()) << 32 | u64::from(made)
    }

    /// Whether the requests of `call` are unchanged, at a scope that is around the code being
    /// polled.
    pub(super) fn still_stand(&self, call: Call) -> bool {
        self.at(call.place, |scope| call.requests == self.requests(scope)).unwrap_or(false)
    }

    /// Calls `f` with the scope at this place, `None` for the root, if it is around the code being
    /// polled.
    fn at<R>(&self, place: u64, f: impl FnOnce(Option<&Scope>) -> R) -> Option<R> {
        if place == self.root.number() {
            return Some(f(None));
        }
        self.scopes().find(|scope| scope.place() == place).map(|scope| f(Some(scope)))
    }

    /// The foreign wakers below `scope`, and the state of the requests for which they are to be
    /// called.
    fn to_call(&self, scope: Option<&Scope>) -> Option<(Arc<ForeignWakers>, u64)> {
        let wakers = match scope {
            Some(scope) => scope.foreign(),
            None => self.root.foreign_wakers_if_any(),
        };
        wakers.map(|wakers| (Arc::clone(wakers), self.requests(scope)))
    }

    /// The foreign wakers of the innermost scope, created now if it has none.
    fn foreign(&self) -> Arc<ForeignWakers> {
        let without: Vec<_> = self.scopes().take_while(|scope| scope.foreign().is_none()).collect();
        let around = self.scopes().nth(without.len()).and_then(Scope::foreign);
        let around = around.unwrap_or_else(|| self.root.foreign_wakers());
        without
            .iter()
            .rev()
            .fold(Arc::clone(around), |around, scope| Arc::clone(scope.foreign_inside(around)))
    }

    #[inline]
    fn sum(&self, count: impl Fn(Requests) -> u32) -> u32 {
        let root = count(self.root.requests().load());
        self.scopes().fold(root, |sum, scope| sum.wrapping_add(count(scope.requests())))
    }

    #[inline]
    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        std::iter::successors(self.innermost, |scope| scope.parent())
    }
}

impl OutsideScopes {
    /// Whether a scope further out got a request since `entry`, so that a frame inside has to leave
    /// the cancellation to that scope.
    ///
    /// `expiry` is the state outside when the frame's own request was made. A request that was
    /// still undelivered then, or came later, may have been taken together with the frame's own by
    /// a single leaf; it must not be lost.
    pub(crate) fn requested_since(&self, entry: &OutsideScopes, expiry: &OutsideScopes) -> bool {
        self.cancelling > entry.cancelling
            || self.made_by_scopes != entry.made_by_scopes
            || self.made != expiry.made
            || expiry.pending
    }

    /// The scopes that got a request since `entry`.
    pub(super) fn requests_since(&self, entry: &OutsideScopes) -> DeliveredTo {
        let root =
            self.made.wrapping_sub(self.made_by_scopes) != entry.made.wrapping_sub(entry.made_by_scopes);
        DeliveredTo(u32::from(root) | (self.requested & !entry.requested))
    }
}

/// The foreign wakers of the innermost scope around the code being polled; `None` outside of tasks.
pub(super) fn foreign() -> Option<Arc<ForeignWakers>> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough over lifetimes"
    )]
    ScopeStack::with(|stack| stack.foreign())
}

/// Calls the foreign wakers below the innermost scope.
pub(super) fn call_innermost() {
    // Not inside `ScopeStack::with`: a waker is foreign code.
    if let Some((wakers, requests)) = ScopeStack::with(|stack| stack.to_call(stack.innermost)).flatten() {
        wakers.call(requests);
    }
}

/// Calls the foreign wakers below the scope with this place, the outermost that had something to
/// deliver: the request may have come during this poll.
#[cold]
pub(super) fn call_below(outermost: u64) {
    let to_call = ScopeStack::with(|stack| stack.at(outermost, |scope| stack.to_call(scope)).flatten());
    if let Some((wakers, requests)) = to_call.flatten() {
        wakers.call(requests);
    }
}

/// Calls the foreign wakers of `root`'s task, which is being polled.
#[cold]
pub(crate) fn call_task(root: &TaskSlot) {
    let stack = ScopeStack { root, innermost: None };
    if let Some((wakers, requests)) = stack.to_call(None) {
        wakers.call(requests);
    }
}

/// Whether leaves that were called may still be polled: some have not been polled yet, and the task
/// has woken itself, so the poll that ends now is followed by another one. A combinator that yields
/// does so: it has polled some of its ready children and wakes its task.
pub(crate) fn awaits_called() -> bool {
    let has_called = ScopeStack::with(|stack| {
        let wakers = stack.root.foreign_wakers_if_any();
        wakers.is_some_and(|wakers| wakers.has_called())
    });
    has_called == Some(true) && TaskRef::current_has_woken_itself()
}

/// The place of the code being polled; `None` outside of tasks.
pub(super) fn place() -> Option<u64> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough over lifetimes"
    )]
    ScopeStack::with(|stack| stack.place())
}

/// The requests to the current task itself; only these can be taken back.
pub(super) fn root() -> Option<Requests> {
    ScopeStack::with(|stack| stack.root.requests().load())
}

/// The state of the scopes around the code being polled; `None` outside of tasks.
#[inline]
pub(super) fn outside() -> Option<OutsideScopes> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough over lifetimes"
    )]
    ScopeStack::with(|stack| stack.outside())
}

/// The scope that is current on this thread.
pub(super) fn innermost() -> Option<Arc<Scope>> {
    INNERMOST.with(|innermost| Option::clone(&innermost.borrow()))
}

fn replace_innermost(scope: Option<Arc<Scope>>) -> Option<Arc<Scope>> {
    IS_SCOPED.set(scope.is_some());
    ManuallyDrop::into_inner(INNERMOST.replace(ManuallyDrop::new(scope)))
}

/// Makes a scope current while it lives.
pub(super) struct Entered<'a> {
    home: &'a mut Option<Arc<Scope>>,
    around: Option<Arc<Scope>>,
}

impl<'a> Entered<'a> {
    /// Moves the scope from its home to the thread; the end of this value moves it back. No
    /// reference is counted.
    pub(super) fn enter(home: &'a mut Option<Arc<Scope>>) -> Entered<'a> {
        let around = replace_innermost(home.take());
        Entered { home, around }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        *self.home = replace_innermost(self.around.take());
    }
}

/// Leaves all scopes while it lives: for a poll of another task inside this one's.
pub(crate) struct Outside {
    innermost: Option<Arc<Scope>>,
    taken: bool,
}

impl Outside {
    pub(crate) fn step() -> Outside {
        Outside { innermost: replace_innermost(None), taken: TAKEN.get() }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _none = replace_innermost(self.innermost.take());
        TAKEN.set(self.taken);
    }
}

/// Finds out whether a request is taken while it lives, apart from requests that were taken before,
/// in another arm of a `join!`: otherwise a leaf in one arm would hide that a future in the other
/// arm takes no request.
pub(super) struct TakenWatch {
    before: bool,
}

impl TakenWatch {
    pub(super) fn start() -> TakenWatch {
        TakenWatch { before: TAKEN.replace(false) }
    }

    /// Ends the watch. Returns whether a request was taken.
    pub(super) fn was_taken(self) -> bool {
        let _ends_now = self;
        TAKEN.get()
    }
}

impl Drop for TakenWatch {
    fn drop(&mut self) {
        TAKEN.set(TAKEN.get() || self.before);
    }
}
