//! Is there a request that this await has not seen?

use std::fmt;
use std::task::{Context, Waker};

use selvedge_scheduler::{NUMBER_BITS, NumberOr, NumberOrBox, TaskRef};

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
///
/// It is one word: nearly every leaf has a `Memory` that fits into a number, and nothing else.
pub(crate) struct Leaf(NumberOrBox<Rare>);

/// What few leaves need.
struct Rare {
    memory: Memory,
    /// The registration of a foreign waker.
    entry: Option<Entry>,
    passed_on: Option<Passed>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    seen: u32,
    /// Zero: never polled in a task.
    place: u64,
}

/// How many of a number's bits are for `seen`; the others are for `place`. Larger ones are in a box.
const SEEN_BITS: u32 = 12;
const PLACE_BITS: u32 = NUMBER_BITS - SEEN_BITS;

impl Memory {
    /// As one number, if it is small enough. The highest bit of a place marks scopes, and becomes the lowest.
    #[inline]
    fn to_number(self) -> Option<usize> {
        let place = self.place.rotate_left(1);
        if place >> PLACE_BITS != 0 || self.seen >> SEEN_BITS != 0 {
            return None;
        }
        usize::try_from(place << SEEN_BITS | u64::from(self.seen)).ok()
    }

    #[inline]
    fn from_number(number: usize) -> Memory {
        let number = number as u64;
        let seen = (number & ((1 << SEEN_BITS) - 1)) as u32;
        Memory { seen, place: (number >> SEEN_BITS).rotate_right(1) }
    }
}

impl Rare {
    fn with(memory: Memory) -> Rare {
        Rare { memory, entry: None, passed_on: None }
    }

    /// The number that says all of it, if there is one.
    fn to_number(&self) -> Option<usize> {
        let is_plain = self.entry.is_none() && self.passed_on.is_none();
        if is_plain { self.memory.to_number() } else { None }
    }
}

/// A request that an await has passed on to the task that it awaits.
pub(crate) struct Passed {
    pub(crate) to: DeliveredTo,
    pub(crate) held: UnderWay,
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
        Leaf(NumberOrBox::ZERO)
    }

    /// The request that was passed on, until it is known whether the awaited task saw it.
    #[inline]
    pub(crate) fn passed_on(&mut self) -> Option<&mut Passed> {
        match self.0.get_mut() {
            NumberOr::Number(_) => None,
            NumberOr::Boxed(rare) => rare.passed_on.as_mut(),
        }
    }

    /// Drops the request that was passed on before, if there is one.
    pub(crate) fn set_passed_on(&mut self, passed: Passed) {
        self.rare().passed_on = Some(passed);
    }

    #[inline]
    pub(crate) fn take_passed_on(&mut self) -> Option<Passed> {
        match self.0.get_mut() {
            NumberOr::Number(_) => None,
            NumberOr::Boxed(rare) => rare.passed_on.take(),
        }
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
        let is_plain = matches!(self.0.get(), NumberOr::Number(_));
        let wakes_task = TaskRef::with_current(|task| task.is_none_or(|task| task.is_woken_by(cx.waker())));
        if !(is_plain && wakes_task) {
            self.enter_or_leave(cx.waker(), wakes_task);
        }
    }

    #[cold]
    fn enter_or_leave(&mut self, waker: &Waker, wakes_task: bool) {
        if !wakes_task && self.entry().is_some_and(|entry| entry.stands_for(waker)) {
            return;
        }
        let wakers = if wakes_task { None } else { scope_stack::foreign() };
        self.end_entry();
        if let Some(wakers) = wakers {
            self.rare().entry = Some(Entry::new(wakers, waker));
        }
    }

    /// Removes the entry, if there is one, and the box, if nothing else needs it.
    fn end_entry(&mut self) {
        if let NumberOr::Boxed(rare) = self.0.get_mut() {
            rare.entry = None;
            if let Some(number) = rare.to_number() {
                self.0 = NumberOrBox::number(number);
            }
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
        if let Some(entry) = self.entry() {
            // The entry belongs to the former place, and is removed when the leaf suspends.
            entry.mark_moved();
            if entry.call().is_some_and(|call| stack.still_stand(call)) {
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
        match self.0.get() {
            NumberOr::Number(number) => Memory::from_number(number),
            NumberOr::Boxed(rare) => rare.memory,
        }
    }

    #[inline]
    fn remember(&mut self, memory: Memory) {
        match (self.0.get_mut(), memory.to_number()) {
            (NumberOr::Boxed(rare), _) => rare.memory = memory,
            (NumberOr::Number(_), Some(number)) => self.0 = NumberOrBox::number(number),
            (NumberOr::Number(_), None) => self.rare().memory = memory,
        }
    }

    #[inline]
    fn entry(&mut self) -> Option<&mut Entry> {
        match self.0.get_mut() {
            NumberOr::Number(_) => None,
            NumberOr::Boxed(rare) => rare.entry.as_mut(),
        }
    }

    #[cold]
    fn rare(&mut self) -> &mut Rare {
        self.0.get_or_box(|number| Rare::with(Memory::from_number(number)))
    }
}

impl Default for Leaf {
    fn default() -> Leaf {
        Leaf::new()
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
    fn a_leaf_is_one_word() {
        assert_eq!(size_of::<Leaf>(), size_of::<usize>());
    }

    /// What a leaf remembers comes back exactly, in a number or in a box.
    #[test]
    fn nothing_is_forgotten() {
        let counts = [0, 1, (1 << SEEN_BITS) - 1, 1 << SEEN_BITS, u32::MAX];
        let places = [0, 1, (1 << (PLACE_BITS - 1)) - 1, 1 << (PLACE_BITS - 1), (1 << 63) - 1];
        let mut leaf = Leaf::new();
        for seen in counts {
            for place in places.into_iter().flat_map(|place| [place, place | 1 << 63]) {
                let memory = Memory { seen, place };
                let mut fresh = Leaf::new();
                for leaf in [&mut leaf, &mut fresh] {
                    leaf.remember(memory);
                    assert_eq!(leaf.memory(), memory);
                    leaf.end_entry();
                    assert_eq!(leaf.memory(), memory);
                }
                let is_number = matches!(fresh.0.get(), NumberOr::Number(_));
                let is_small = seen < 1 << SEEN_BITS && place & !(1 << 63) < 1 << (PLACE_BITS - 1);
                assert_eq!((is_number, matches!(leaf.0.get(), NumberOr::Number(_))), (is_small, is_small));
            }
        }
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
