//! Is there a request that this await has not seen?

use std::fmt;
use std::task::{Context, Waker};

use selvedge_scheduler::TaskRef;

use super::scope_stack::{self, DeliveredTo, ScopeStack};
use crate::error::{CancelledError, Error};
use crate::request::{Entry, InHand, Meeting, UnderWay};

/// What an awaitable of this library remembers of the requests around it. Every leaf future holds
/// one, and looks for a request once in each poll; `leaf.rs`, one directory up, says when.
///
/// It remembers where it was polled and how many requests it has seen. At its first poll it counts
/// those as seen that were delivered to any leaf. So an await in clean-up code does not see the
/// request that led there, while a request that came when the task was running reaches the next
/// leaf. A leaf that is polled somewhere else than last time (moved into or out of a timeout, or to
/// another task) starts afresh.
///
/// A leaf that finds no request is about to suspend. If it was polled with another waker than its
/// task's, it registers that waker with the scope around it (`request/foreign.rs`), until it is
/// polled elsewhere or dropped.
#[derive(Default)]
pub(crate) struct Leaf(State);

/// Nearly all leaves are plain. What only the others need is in a box, so that all are 16 bytes.
/// `Plain` has the fields of `Memory` one by one, because only then the compiler puts the tag into
/// the gap between them.
enum State {
    Plain { seen: u32, place: u64 },
    Entered(Box<(Memory, Entry)>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    seen: u32,
    /// Zero: never polled in a task.
    place: u64,
}

impl Default for State {
    fn default() -> State {
        State::Plain { seen: 0, place: 0 }
    }
}

/// A request that a leaf took.
#[derive(Debug)]
#[must_use = "what is taken must be returned, passed on or given back"]
pub(crate) struct Taken {
    pub(crate) error: CancelledError,
    pub(crate) to: DeliveredTo,
    /// The place of the outermost scope to which it was delivered.
    outermost: Option<u64>,
    /// Its route, for a leaf that passes it on.
    pub(crate) route: InHand,
}

impl Taken {
    /// How this request relates to the one that the same await has passed on before. A shutdown's
    /// request is always `Late`: `pass_on_shutdown` checks itself which tasks have received it.
    pub(crate) fn meet(&self, earlier: &UnderWay) -> Meeting {
        let route = self.route.route();
        if route.is_of_shutdown() { Meeting::Late } else { route.meet(earlier.route()) }
    }
}

impl Leaf {
    pub(crate) const fn new() -> Leaf {
        Leaf(State::Plain { seen: 0, place: 0 })
    }

    /// Takes a request that this leaf has not seen, as the error to return. Without one the leaf is
    /// ready to suspend.
    #[inline]
    pub(crate) fn cancelled(&mut self, cx: &Context<'_>) -> Option<Error> {
        self.take(cx).map(|taken| taken.error.into())
    }

    /// Takes a request that this leaf has not seen. Without one the leaf is ready to suspend.
    #[inline]
    pub(crate) fn take(&mut self, cx: &Context<'_>) -> Option<Taken> {
        let taken =
            ScopeStack::with(|stack| if self.has_unseen(stack) { self.take_from(stack) } else { None });
        let Some(taken) = taken.flatten() else {
            self.suspend(cx);
            return None;
        };
        if let Some(outermost) = taken.outermost {
            scope_stack::call_below(outermost);
        }
        Some(taken)
    }

    /// Whether there is an unseen request, which stays untaken. Without one the leaf is ready to suspend.
    #[inline]
    pub(crate) fn has_unseen_or_suspends(&mut self, cx: &Context<'_>) -> bool {
        let has_unseen = self.has_unseen_request();
        if !has_unseen {
            self.suspend(cx);
        }
        has_unseen
    }

    /// The unseen request, which stays untaken: for a leaf that has to find out first whether it
    /// can pass the request on. Without one the leaf is ready to suspend.
    pub(crate) fn look(&mut self, cx: &Context<'_>) -> Option<CancelledError> {
        let request = ScopeStack::with(|stack| {
            self.has_unseen(stack).then(|| CancelledError::from_message(stack.message()))
        });
        let request = request.flatten();
        if request.is_none() {
            self.suspend(cx);
        }
        request
    }

    /// Registers a foreign waker, or removes its entry. Every leaf that suspends needs this. The
    /// methods above call it; other code calls it only for a leaf that goes on waiting after it
    /// took a request: the next request must reach it, too.
    #[inline]
    pub(crate) fn suspend(&mut self, cx: &Context<'_>) {
        let is_plain = matches!(self.0, State::Plain { .. });
        let wakes_task = TaskRef::with_current(|task| task.is_none_or(|task| task.is_woken_by(cx.waker())));
        if !(is_plain && wakes_task) {
            self.enter_or_leave(cx.waker(), wakes_task);
        }
    }

    #[cold]
    fn enter_or_leave(&mut self, waker: &Waker, wakes_task: bool) {
        match &self.0 {
            State::Entered(entered) if !wakes_task && entered.1.stands_for(waker) => return,
            _ => {}
        }
        let memory = self.memory();
        let wakers = if wakes_task { None } else { scope_stack::foreign() };
        // This ends the former entry, if there was one.
        self.0 = State::Plain { seen: memory.seen, place: memory.place };
        if let Some(wakers) = wakers {
            self.0 = State::Entered(Box::new((memory, Entry::new(wakers, waker))));
        }
    }

    /// Whether the leaf was last polled in this scope of this task: then, if it is pending, its
    /// wake-up is registered. Always true outside of tasks.
    pub(crate) fn was_polled_here(&self) -> bool {
        ScopeStack::with(|stack| self.memory().place == stack.place()).unwrap_or(true)
    }

    /// Whether there is an unseen request, which stays untaken.
    #[inline]
    pub(super) fn has_unseen_request(&mut self) -> bool {
        ScopeStack::with(|stack| self.has_unseen(stack)).unwrap_or(false)
    }

    /// Undoes a delivery whose error was not used: the next leaf that starts to wait gets it.
    pub(crate) fn give_back(&self, to: DeliveredTo) {
        let _ = ScopeStack::with(|stack| {
            if self.memory().place == stack.place() {
                stack.give_back(to);
            }
        });
        poll_again();
    }

    #[cold]
    fn take_from(&mut self, stack: &ScopeStack<'_>) -> Option<Taken> {
        let delivery = stack.deliver();
        // Another thread may have rescinded the request since it was compared; the delivery is what counts.
        let is_unseen = is_later(delivery.made, self.memory().seen);
        self.remember(Memory { seen: delivery.made, ..self.memory() });
        is_unseen.then_some(Taken {
            error: delivery.error,
            to: delivery.to,
            outermost: delivery.outermost,
            route: delivery.route,
        })
    }

    #[inline]
    fn start_afresh(&mut self, stack: &ScopeStack<'_>, place: u64) {
        let mut seen = stack.delivered();
        if let State::Entered(entered) = &mut self.0 {
            // The entry belongs to the former place, and is removed when the leaf suspends.
            entered.1.mark_moved();
            if entered.1.call().is_some_and(|call| stack.still_stand(call)) {
                // This leaf waited when the request came. Another leaf that was called may have
                // taken the request since.
                seen = stack.made().wrapping_sub(1);
            }
        }
        self.remember(Memory { seen, place });
    }

    /// Counts all delivered requests as seen, because the content of this leaf's frame took them.
    pub(super) fn catch_up(&mut self) {
        let _ = ScopeStack::with(|stack| {
            let delivered = stack.delivered();
            if is_later(delivered, self.memory().seen) {
                self.remember(Memory { seen: delivered, ..self.memory() });
            }
        });
    }

    #[inline]
    fn has_unseen(&mut self, stack: &ScopeStack<'_>) -> bool {
        let place = stack.place();
        if self.memory().place != place {
            self.start_afresh(stack, place);
        }
        is_later(stack.made(), self.memory().seen)
    }

    #[inline]
    fn memory(&self) -> Memory {
        match &self.0 {
            State::Plain { seen, place } => Memory { seen: *seen, place: *place },
            State::Entered(entered) => entered.0,
        }
    }

    #[inline]
    fn remember(&mut self, memory: Memory) {
        match &mut self.0 {
            State::Plain { seen, place } => (*seen, *place) = (memory.seen, memory.place),
            State::Entered(entered) => entered.0 = memory,
        }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leaf").field(&self.memory()).finish()
    }
}

/// Wakes the current task after a request was given back. The next await may be a foreign future,
/// which takes no requests: one more poll lets the frame around it give up.
pub(super) fn poll_again() {
    TaskRef::with_current(|task| {
        if let Some(task) = task {
            task.wake();
        }
    });
}

/// Counts wrap. Two that are compared are never half a range apart.
#[inline]
fn is_later(count: u32, than: u32) -> bool {
    (1..1 << 31).contains(&count.wrapping_sub(than))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_stays_small() {
        assert_eq!(size_of::<Leaf>(), 16);
    }

    #[test]
    fn later_survives_the_wrap() {
        assert!(is_later(1, 0));
        assert!(!is_later(0, 0));
        assert!(!is_later(0, 1));
        assert!(is_later(0, u32::MAX));
        assert!(!is_later(u32::MAX, 0));
    }
}
