//! What is a socket ready for, and who waits for that?
//!
//! The operating system tells each change once (edge-triggered). So readiness is remembered until an attempt finds that there is nothing to do
//! (`clear`, `drained`), and counted, so that a change which came during that attempt is not forgotten with it. One lock a socket decides all of
//! it: whoever is to wait is on the list before the lock is released under which it saw that nothing is ready.

use std::io;
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};

use mio::event::Event;

use crate::sync::{Mutex, mutation};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Something to read or to accept, or the end of it.
    Read,
    /// Room to write, or a connection that has come about.
    Write,
}

/// An attempt is worth making. It goes back to [`Registration::clear`](super::Registration::clear) if it was in vain.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    direction: Direction,
    changes: u32,
}

/// Tells one who waits for a socket from the others.
#[derive(Debug, Default)]
pub struct Waiter(Option<NonZeroU32>);

impl Waiter {
    /// Not waiting.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The last poll ended `Pending`, and nobody has called [`forget`](super::Registration::forget) since.
    pub const fn is_waiting(&self) -> bool {
        self.0.is_some()
    }
}

/// What the operating system tells: which directions have become ready, and whether for ever, or so that only an attempt in vain shows the end of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) read: Option<bool>,
    pub(crate) write: Option<bool>,
}

impl Change {
    pub(super) fn told_by(event: &Event) -> Self {
        // An error goes to whoever tries next, in whatever direction.
        let is_error = event.is_error();
        let read = event.is_readable() || event.is_read_closed() || is_error;
        let write = event.is_writable() || event.is_write_closed() || is_error;
        // With urgent data a read may get less than it asked for although there is more, as with the end.
        let is_read_over = event.is_read_closed() || event.is_priority();
        Self {
            read: (read || is_read_over).then_some(is_read_over),
            write: write.then(|| event.is_write_closed()),
        }
    }
}

/// A socket, as those who watch it see it.
#[derive(Debug)]
pub(crate) struct Source(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    read: Side,
    write: Side,
    /// Nobody watches any more.
    is_closed: bool,
    /// The number of the last waiter, modulo its range.
    last: u32,
}

#[derive(Debug)]
struct Side {
    is_ready: bool,
    /// It was told that it will be ready for ever: the peer has ended this direction, or the connection. Not to be relied on: it may have been meant for
    /// another socket that had the same number, and an error that looks like an end may pass. So an attempt in vain disproves it.
    is_over: bool,
    /// How often it became ready, modulo its range.
    changes: u32,
    /// Nearly always one waits, if any.
    first: Option<Waiting>,
    /// In a box of its own: there are many sockets, and few where it is not empty.
    #[allow(clippy::box_collection, reason = "a vector alone takes three words of each socket")]
    more: Option<Box<Vec<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    number: NonZeroU32,
    waker: Waker,
}

impl Default for Side {
    /// Nobody has tried yet, so it is worth trying.
    fn default() -> Self {
        Self { is_ready: true, is_over: false, changes: 0, first: None, more: None }
    }
}

impl Side {
    fn set_ready(&mut self, is_over: bool, woken: &mut Vec<Waker>) {
        self.is_ready = true;
        self.is_over |= is_over;
        self.changes = self.changes.wrapping_add(1);
        self.take_waiting(woken);
    }

    fn take_waiting(&mut self, woken: &mut Vec<Waker>) {
        if let Some(first) = self.first.take() {
            woken.push(first.waker);
        }
        if let Some(more) = &mut self.more {
            woken.extend(more.drain(..).map(|waiting| waiting.waker));
        }
    }

    /// Puts a waiter on the list, or brings its waker up to date. Returns the waker that it had, to be dropped outside the lock.
    fn wait(&mut self, number: NonZeroU32, waker: Waker) -> Option<Waker> {
        let mut all = self.first.iter_mut().chain(self.more.iter_mut().flat_map(|more| more.iter_mut()));
        if let Some(waiting) = all.find(|waiting| waiting.number == number) {
            return Some(std::mem::replace(&mut waiting.waker, waker));
        }
        let waiting = Waiting { number, waker };
        if self.first.is_none() {
            self.first = Some(waiting);
        } else {
            self.more.get_or_insert_default().push(waiting);
        }
        None
    }

    fn forget(&mut self, number: NonZeroU32) -> Option<Waiting> {
        if self.first.as_ref().is_some_and(|waiting| waiting.number == number) {
            return self.first.take();
        }
        let more = self.more.as_mut()?;
        let place = more.iter().position(|waiting| waiting.number == number)?;
        Some(more.swap_remove(place))
    }
}

impl State {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// For a new waiter.
    fn number(&mut self) -> NonZeroU32 {
        let next = NonZeroU32::MIN.saturating_add(self.last);
        self.last = if next == NonZeroU32::MAX { 0 } else { next.get() };
        next
    }

    /// What there is to say at once; None: wait.
    fn answer(&mut self, direction: Direction) -> Option<io::Result<Ready>> {
        if self.is_closed {
            return Some(Err(super::reactor::closed()));
        }
        let side = self.side(direction);
        side.is_ready.then_some(Ok(Ready { direction, changes: side.changes }))
    }
}

impl Source {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Ready>> {
        let mut fresh = None;
        loop {
            let mut state = self.0.lock();
            let looks = fresh.is_none() || !mutation("wait-without-second-look");
            if looks && let Some(answer) = state.answer(direction) {
                let gone = waiter.0.take().and_then(|number| state.side(direction).forget(number));
                drop(state);
                drop(gone);
                return Poll::Ready(answer);
            }
            let Some(waker) = fresh.take() else {
                // Cloning a waker is foreign code: not under the lock.
                drop(state);
                fresh = Some(cx.waker().clone());
                continue;
            };
            let number = *waiter.0.get_or_insert_with(|| state.number());
            let old = state.side(direction).wait(number, waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
    }

    /// The attempt was in vain. What was told before it was not so, or is so no longer; also that it is over.
    pub(crate) fn clear(&self, ready: Ready) {
        self.clear_to(ready, |_| false);
    }

    /// The attempt brought less than was asked for, so another one would be in vain. But it would find the end, which is told only once.
    pub(crate) fn drained(&self, ready: Ready) {
        self.clear_to(ready, |side| side.is_over);
    }

    fn clear_to(&self, ready: Ready, is_over: impl FnOnce(&Side) -> bool) {
        let mut state = self.0.lock();
        let side = state.side(ready.direction);
        if side.changes == ready.changes || mutation("clear-forgets-a-change") {
            side.is_over = is_over(side);
            side.is_ready = side.is_over;
        }
    }

    pub(super) fn forget(&self, direction: Direction, waiter: &mut Waiter) {
        if let Some(number) = waiter.0.take() {
            let gone = self.0.lock().side(direction).forget(number);
            drop(gone);
        }
    }

    /// Notes a change. The wakers of those who waited for it go to `woken`.
    pub(crate) fn note(&self, change: Change, woken: &mut Vec<Waker>) {
        let mut state = self.0.lock();
        if let Some(is_over) = change.read {
            state.read.set_ready(is_over, woken);
        }
        if let Some(is_over) = change.write {
            state.write.set_ready(is_over, woken);
        }
    }

    /// Nobody watches any more.
    pub(crate) fn close(&self, woken: &mut Vec<Waker>) {
        let mut state = self.0.lock();
        state.is_closed = true;
        state.read.take_waiting(woken);
        state.write.take_waiting(woken);
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    fn woken_by(source: &Source, change: Change) -> usize {
        let mut woken = Vec::new();
        source.note(change, &mut woken);
        woken.len()
    }

    /// The first, one in the middle and the last: those who are left are woken, once, and by their own direction.
    #[test]
    fn a_waiter_that_leaves_takes_nobody_with_it() {
        let source = Source::new();
        let mut cx = Context::from_waker(Waker::noop());
        let (read, write) = (Direction::Read, Direction::Write);
        let ready = source.poll_ready(read, &mut Waiter::new(), &mut cx);
        let Poll::Ready(Ok(ready)) = ready else { panic!("nobody has tried yet") };
        source.clear(ready);
        for leaves in 0..4 {
            let mut waiters: [Waiter; 4] = Default::default();
            for waiter in &mut waiters {
                assert!(source.poll_ready(read, waiter, &mut cx).is_pending() && waiter.is_waiting());
                // Polled again it is there once.
                assert!(source.poll_ready(read, waiter, &mut cx).is_pending());
            }
            source.forget(read, &mut waiters[leaves]);
            assert!(!waiters[leaves].is_waiting());
            let (readable, writable) = (Some(false), Some(false));
            assert_eq!(woken_by(&source, Change { read: None, write: writable }), 0);
            assert_eq!(woken_by(&source, Change { read: readable, write: None }), 3);
            assert_eq!(woken_by(&source, Change { read: readable, write: None }), 0);
            let ready = source.poll_ready(read, &mut Waiter::new(), &mut cx);
            let Poll::Ready(Ok(ready)) = ready else { panic!("it has become ready") };
            source.clear(ready);
            assert!(source.poll_ready(write, &mut Waiter::new(), &mut cx).is_ready());
        }
    }

    #[test]
    fn numbers_of_waiters_wrap() {
        let mut state = State { last: u32::MAX - 1, ..State::default() };
        assert_eq!(state.number(), NonZeroU32::MAX);
        assert_eq!(state.number(), NonZeroU32::MIN);
        assert_eq!(state.number().get(), 2);
    }
}
