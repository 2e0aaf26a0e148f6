//! How are tasks and jobs dropped that a closed scheduler refuses?
//!
//! At once, by the thread that added them. Their destructors may add more, which is refused too,
//! and so on without end.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::contain::silently;

/// A task or a blocking job.
type Refused = Box<dyn Any + Send>;

/// How deep drops of refused tasks and jobs may nest on one thread, because their destructors may
/// add more. At a greater depth they are queued in `WAITING`, and dropped when the outermost drop
/// has ended.
const NESTED: usize = 16;
/// The queue is dropped in generations: what the destructors of one generation add is the next one.
/// After this many generations (`IN_ALL`: this many drops) they presumably never stop; the rest is
/// leaked into `GIVEN_UP`.
const GENERATIONS: usize = 1 << 14;
const IN_ALL: usize = 1 << 20;

/// Values that are never dropped, because their destructors add more without end. They are kept in
/// a list, so that leak checkers find them referenced.
static GIVEN_UP: std::sync::Mutex<Vec<Refused>> = std::sync::Mutex::new(Vec::new());

crate::sync::thread_locals! {
    /// How many values are being dropped on this thread, each inside another one.
    static DROPPING: Cell<usize> = const { Cell::new(0) };
    static WAITING: RefCell<VecDeque<Refused>> = const { RefCell::new(VecDeque::new()) };
}

/// Drops a refused task or job at once. Its destructor may add more, which is refused too: then the
/// nesting is limited.
pub(crate) fn drop_refused<T: Send + 'static>(refused: T) {
    let depth = DROPPING.get();
    let mut refused = Some(refused);
    if depth >= NESTED {
        // If the thread is ending, a value that was queued here would wait for ever.
        let _ = WAITING.try_with(|waiting| {
            let waits = refused.take().map(|refused| Box::new(refused) as Refused);
            waiting.borrow_mut().extend(waits);
        });
    }
    if refused.is_none() {
        return;
    }
    let _leave = Depth::enter(depth + 1);
    silently(|| drop(refused));
    if depth == 0 {
        drop_those_that_wait();
    }
}

fn drop_those_that_wait() {
    let take = || WAITING.try_with(RefCell::take).unwrap_or_default();
    let mut dropped = 0;
    for _ in 0..GENERATIONS {
        let generation = take();
        if generation.is_empty() {
            return;
        }
        for refused in generation {
            if dropped == IN_ALL {
                give_up([refused]);
                continue;
            }
            dropped += 1;
            silently(|| drop(refused));
        }
    }
    give_up(take());
}

fn give_up(refused: impl IntoIterator<Item = Refused>) {
    GIVEN_UP.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(refused);
}

/// Restores the depth also when a destructor unwinds.
struct Depth(usize);

impl Depth {
    fn enter(depth: usize) -> Self {
        Self(DROPPING.replace(depth))
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        DROPPING.set(self.0);
    }
}
