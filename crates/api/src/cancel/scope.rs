//! Which part of a task does a deadline or a failing group cancel?

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::scope_stack;
use crate::request::{CancelState, ForeignWakers, ForeignWakersOwner, Request, Requests};

/// A part of a task that can be cancelled without the rest of it: what a timeout, a `wait_for` or a
/// group polls.
///
/// It is current only while its frame polls its content, so a request to one of two scopes that are
/// polled side by side never reaches the other.
pub(crate) struct Scope {
    place: u64,
    requests: CancelState,
    parent: Option<Arc<Scope>>,
    /// Created when the first leaf registers a waker that is not its task's.
    foreign: OnceLock<ForeignWakersOwner>,
}

impl Scope {
    /// Opens a scope inside the one that is current on this thread.
    pub(crate) fn open() -> Arc<Scope> {
        Arc::new(Scope {
            place: next_place(),
            requests: CancelState::new(),
            parent: scope_stack::innermost(),
            foreign: OnceLock::new(),
        })
    }

    /// Opens a scope inside the one that is current now, with the request that is still undelivered here.
    pub(super) fn reopen(&self) -> Arc<Scope> {
        let scope = Scope::open();
        if self.requests().is_pending() {
            let _ = scope.request();
        }
        scope
    }

    /// Requests that the code polled inside stop. The caller wakes the task.
    pub(crate) fn request(&self) -> Request {
        self.requests.request()
    }

    pub(super) fn requests(&self) -> Requests {
        self.requests.load()
    }

    pub(super) fn state(&self) -> &CancelState {
        &self.requests
    }

    pub(super) fn parent(&self) -> Option<&Scope> {
        self.parent.as_deref()
    }

    /// The foreign wakers below it, if there ever were any.
    pub(super) fn foreign(&self) -> Option<&Arc<ForeignWakers>> {
        self.foreign.get().map(ForeignWakersOwner::get)
    }

    /// The same; they are created now if there are none. `around` are those of the scope around.
    pub(super) fn foreign_inside(&self, around: Arc<ForeignWakers>) -> &Arc<ForeignWakers> {
        self.foreign.get_or_init(|| ForeignWakersOwner::inside(self.place, around)).get()
    }

    /// A number that distinguishes this scope from every other one, and from every task's root
    /// scope, for the life of the process.
    pub(super) fn place(&self) -> u64 {
        self.place
    }
}

impl Drop for Scope {
    /// Not by recursion: scopes are nested as deep as the timeouts and groups of a program.
    fn drop(&mut self) {
        // First: its wakers move to the lists of the scopes around.
        drop(self.foreign.take());
        let mut around = self.parent.take();
        while let Some(scope) = around {
            around = Arc::into_inner(scope).and_then(|mut scope| scope.parent.take());
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("place", &self.place)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// Task numbers count up from one. Scopes have the upper half of the numbers.
const SCOPE_PLACES: u64 = 1 << 63;

/// Threads take numbers in blocks, so that opening a scope touches no cache line that another
/// thread writes.
const BLOCK: u64 = 1024;

fn next_place() -> u64 {
    static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);
    thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });
    NEXT.with(|next| {
        let mut number = next.get();
        if number % BLOCK == 0 {
            // Relaxed: the numbers only have to differ.
            number = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed) * BLOCK;
        }
        next.set(number + 1);
        SCOPE_PLACES | number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_row_of_scopes_is_dropped_without_recursion() {
        let inside = |parent| {
            let (requests, foreign) = (CancelState::new(), OnceLock::new());
            Some(Arc::new(Scope { place: next_place(), requests, parent, foreign }))
        };
        drop((0..1_000_000).fold(None, |around, _| inside(around)));
    }

    #[test]
    fn places_differ_between_threads_and_blocks() {
        let draw = || (0..BLOCK + 10).map(|_| next_place()).collect::<Vec<_>>();
        let other = std::thread::spawn(draw).join().unwrap();
        let mut all = draw();
        all.extend(other);
        let drawn = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), drawn);
    }
}
