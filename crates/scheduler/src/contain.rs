//! How are panics and deeply nested drops in the program's code contained?
//!
//! The program's code also runs outside of polls: destructors, wakers, callbacks, handlers. If it
//! panics, the scheduler's work after it must still be done. And drops may nest: a task's value
//! holds the next task, whose value holds the next. Such nesting through this library uses bounded
//! stack: from `DEEPEST` on, a value is deferred, and dropped when the outermost drop on this
//! thread has ended.
//!
//! A caught panic is not reported again: the panic hook has reported it.
//!
//! Two panics at once in a struct of this library would end the process. So each value of the
//! program that is kept is a [`Contained`], whose panic ends in its drop. This works whatever lies
//! between two such values: the program's own error around one of this library, a task in a future
//! in a context. Rejected: an iterative `Drop` for each type, which does not reach through the
//! types of others.
//!
//! Not contained, by the rules of the standard library: a panic hook that panics, two panics at
//! once in the program's own values (a tuple, a `Vec`), and a `Debug` that panics inside the
//! program's `panic!("{error:?}")`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::{ManuallyDrop, needs_drop, take};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code and catches its panic, whose payload is dropped.
pub fn silently(foreign: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(foreign)) {
        discard(payload);
    }
}

/// Drops a panic's payload, which may panic in turn. The payload of that panic is dropped if it is
/// a message, as nearly always. Any other payload could panic again without end, and is leaked.
pub fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        if !again.is::<String>() && !again.is::<&'static str>() {
            std::mem::forget(again);
        }
    }
}

/// How deep drops may nest. Each takes a few hundred bytes of stack, plus what the program's
/// destructor needs.
const DEEPEST: u32 = 32;

/// Any value that must be dropped.
trait Doomed {}

impl<T> Doomed for T {}

// Not loom's thread-locals: nothing here is shared, and a model's thread that is interrupted inside
// a drop only makes other threads see a greater depth. Neither has a destructor, so both can be
// used by destructors of other thread-locals at any time.
thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The deferred values. It is empty and has no memory unless a drop is in progress.
    static LATER: ManuallyDrop<RefCell<Vec<Box<dyn Doomed>>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// Drops a value of the program. Its panic is caught, and drops that it makes through this function
/// nest at most `DEEPEST` deep on the stack.
pub fn drop_flat<T: 'static>(value: T) {
    if !needs_drop::<T>() {
        return;
    }
    let depth = DEPTH.get();
    if depth >= DEEPEST {
        return LATER.with(|later| later.borrow_mut().push(Box::new(value)));
    }
    DEPTH.set(depth + 1);
    silently(|| drop(value));
    if depth == 0 {
        drop_later();
    }
    DEPTH.set(depth);
}

fn drop_later() {
    while let Some(next) = LATER.with(|later| later.borrow_mut().pop()) {
        silently(|| drop(next));
    }
    let _memory = LATER.with(|later| take(&mut *later.borrow_mut()));
}

/// A value of the program that is dropped by [`drop_flat`], wherever it is stored.
pub struct Contained<T: 'static>(Option<T>);

impl<T: 'static> Contained<T> {
    /// Wraps the value.
    pub const fn new(value: T) -> Contained<T> {
        Contained(Some(value))
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> &T {
        self.0.as_ref().expect("only `into_inner` and the drop take it")
    }

    /// Returns the value.
    pub fn into_inner(mut self) -> T {
        self.0.take().expect("only this and the drop take it")
    }
}

impl<T: 'static> Drop for Contained<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            drop_flat(value);
        }
    }
}

impl<T: 'static> fmt::Debug for Contained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contained").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Panics when it is dropped, with a payload that does so, too.
    struct Bad(u32, Arc<AtomicUsize>);

    impl Drop for Bad {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            if self.0 > 0 {
                std::panic::panic_any(Bad(self.0 - 1, Arc::clone(&self.1)));
            }
        }
    }

    #[test]
    fn a_panic_stays_inside_whatever_its_payload_does() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let bad = || Contained::new(Bad(9, Arc::clone(&dropped)));
        // Not even two panics at once end the process.
        drop([bad(), bad()]);
        assert_eq!(dropped.load(Ordering::Relaxed), 4, "each, and its first payload");
        assert_eq!(DEPTH.get(), 0);
    }

    struct Link {
        _inner: Option<Box<Contained<Link>>>,
        dropped: Arc<AtomicUsize>,
    }

    impl Drop for Link {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        const DEEP: usize = 1_000_000;
        let dropped = Arc::new(AtomicUsize::new(0));
        let around =
            |inner| Some(Box::new(Contained::new(Link { _inner: inner, dropped: Arc::clone(&dropped) })));
        drop((0..DEEP).fold(None, |inner, _| around(inner)));
        assert_eq!(dropped.load(Ordering::Relaxed), DEEP);
        assert_eq!(LATER.with(|later| later.borrow().capacity()), 0);
    }
}
