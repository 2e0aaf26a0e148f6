//! Is there a request that this await has not heard of?

use selvedge_scheduler::TaskRef;

use super::chain::{Chain, DeliveredTo};
use super::route::Route;
use crate::error::{CancelledError, Error};
use crate::sync::mutation;

/// What an awaitable of this library remembers of the requests around it. Every leaf future holds one, and asks it once in each
/// poll, after it found that it has no result yet.
///
/// It remembers where it was polled and how many requests it knows of. At its first poll it knows of those that were delivered
/// to somebody, so an await in clean-up code starts clean, while a request that came when the task was running meets the next
/// leaf. A leaf that is polled somewhere else than last time (moved into or out of a timeout, or to another task) starts afresh.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leaf {
    /// Zero: never polled in a task.
    place: u64,
    seen: u32,
}

/// A request that a leaf took.
#[derive(Debug)]
#[must_use = "what is taken must be returned, passed on or given back"]
pub(crate) struct Taken {
    pub(crate) error: CancelledError,
    pub(crate) to: DeliveredTo,
    /// The way it has come, for those who pass it on.
    pub(crate) route: Route,
}

impl Leaf {
    pub(crate) const fn new() -> Leaf {
        Leaf { place: 0, seen: 0 }
    }

    /// Takes a request that is news to this leaf, as the error to return.
    #[inline]
    pub(crate) fn cancelled(&mut self) -> Option<Error> {
        self.take().map(|taken| taken.error.into())
    }

    /// Whether it was polled before, and in this very place: if it is pending, it has armed what will wake it.
    pub(crate) fn is_at_home(&self) -> bool {
        Chain::with(|chain| self.place == chain.place()).unwrap_or(true)
    }

    /// Whether there is news, which stays untaken.
    #[inline]
    pub(crate) fn has_news(&mut self) -> bool {
        Chain::with(|chain| self.compare(chain)).unwrap_or(false)
    }

    /// The news, which stays untaken: for a leaf that has to find out first whether it can pass the request on.
    pub(crate) fn look(&mut self) -> Option<CancelledError> {
        Chain::with(|chain| self.compare(chain).then(|| CancelledError::from_message(chain.message())))
            .flatten()
    }

    /// Undoes a delivery that turned out to have reached nobody: the next leaf that starts to wait gets it.
    pub(crate) fn give_back(&self, to: DeliveredTo) {
        let _ = Chain::with(|chain| {
            if self.place == chain.place() {
                chain.give_back(to);
            }
        });
        poll_again();
    }

    /// Takes a request that is news to this leaf.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Taken> {
        Chain::with(|chain| if self.compare(chain) { self.take_from(chain) } else { None }).flatten()
    }

    #[cold]
    fn take_from(&mut self, chain: &Chain<'_>) -> Option<Taken> {
        let delivery = chain.deliver();
        // Another thread may have rescinded the request since it was compared; the delivery is what counts.
        let is_news = is_later(delivery.made, self.seen);
        self.seen = delivery.made;
        (is_news || mutation("taken-though-rescinded")).then_some(Taken {
            error: delivery.error,
            to: delivery.to,
            route: delivery.route,
        })
    }

    /// Makes everything known that has been delivered: what this leaf stands for took it.
    pub(super) fn catch_up(&mut self) {
        let _ = Chain::with(|chain| {
            let delivered = chain.delivered();
            if is_later(delivered, self.seen) {
                self.seen = delivered;
            }
        });
    }

    #[inline]
    fn compare(&mut self, chain: &Chain<'_>) -> bool {
        let place = chain.place();
        if self.place != place {
            *self = Leaf { place, seen: chain.delivered() };
        }
        is_later(chain.made(), self.seen)
    }
}

/// Something was given back. What comes next may be a future that cannot be told: one more poll lets the frame around it give up.
pub(super) fn poll_again() {
    TaskRef::with_current(|task| {
        if let Some(task) = task {
            task.wake();
        }
    });
}

/// Counts wrap; two that are compared are never half a range apart.
#[inline]
fn is_later(count: u32, than: u32) -> bool {
    count.wrapping_sub(than).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_survives_the_wrap() {
        assert!(is_later(1, 0));
        assert!(!is_later(0, 0));
        assert!(!is_later(0, 1));
        assert!(is_later(0, u32::MAX));
        assert!(!is_later(u32::MAX, 0));
    }
}
