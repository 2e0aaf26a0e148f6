//! What is a socket ready for, and which tasks wait for that?
//!
//! The operating system reports each change once (edge-triggered). So readiness is remembered until
//! an io operation finds that there is nothing to do (`clear`, `drained`). Changes are counted, so
//! that a change which comes during that operation is not forgotten with it.
//!
//! An io operation that succeeds takes no lock; a wait takes one. A read that got less than it
//! asked for is not repeated: if more comes, the system reports it. That does not hold if a read
//! ends early for other reasons: urgent data, a descriptor that is passed, more buffers than the
//! system accepts.
//!
//! The end of a direction is reported only once. So it is remembered until an unsuccessful
//! operation disproves it: the report may have been meant for another socket with the same number.
//!
//! Each direction has an atomic word of its own:
//!
//! ```text
//! changes: 29 | CLOSED | OVER | READY
//!
//!       note, under the lock                 settle, if no change came since the io operation began
//! any ──────────────────────▶ READY, changes + 1 ────────────────────────────────────────▶ not READY
//! ```
//!
//! The lock guards the lists of waiters. **A waiter that is on a list saw under the lock that the
//! change it waits for had not come; every change and the end of the registration are noted under
//! the lock, and empty the list.** So no change is missed. A waiter that finds another count of
//! changes than when it was added to the list has been removed from it.
//!
//! A task that queries the operating system itself instead of performing io operations
//! (`poll_changed`) neither reads nor clears READY: it takes the count of changes, queries, and is
//! added to the list if the count is still the same under the lock.
//!
//! A change is noted with Release and read with Acquire: a task that sees the change performs an io
//! operation that finds what the change reported. Everything else about the word is Relaxed: it
//! publishes nothing, and its effect on waiters is ordered by the lock.

use std::io;
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};

use mio::event::Event;

use crate::sync::{AtomicU32, Mutex, Ordering};
use crate::wait_list::WaitList;

const READY: u32 = 1 << 0;
/// The system reported that the direction will be ready for ever: the peer has ended this
/// direction, or the connection. This is not reliable: the report may have been meant for another
/// socket that had the same number, and an error that looks like an end may pass. So an
/// unsuccessful io operation clears it.
const OVER: u32 = 1 << 1;
/// The registration has ended: no changes are noted any more.
const CLOSED: u32 = 1 << 2;
const CHANGE_SHIFT: u32 = 3;
const CHANGE_ONE: u32 = 1 << CHANGE_SHIFT;

/// The direction of an io operation or a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Something to read or to accept, or the end of the stream.
    Read,
    /// Space to write, or a connection that has been made.
    Write,
}

/// An io operation is worth trying. If it is unsuccessful, this is passed to
/// [`Registration::clear`](super::Registration::clear).
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    direction: Direction,
    seen: Seen,
}

/// The number of changes that a direction had had at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Changes {
    direction: Direction,
    seen: Seen,
}

impl Changes {
    /// Whether no io operation has been unsuccessful since the last change, among those that were
    /// reported to this registration.
    pub fn allow_an_attempt(self) -> bool {
        self.seen.is_ready()
    }
}

/// Identifies one waiter of a socket among the others.
#[derive(Debug, Default)]
pub struct Waiter(Option<Place>);

/// A waiter's entry in a list.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: NonZeroU32,
    seen: Seen,
}

impl Place {
    fn key(self) -> u64 {
        u64::from(self.number.get())
    }
}

impl Waiter {
    /// A waiter that does not wait.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether the last poll ended `Pending` and [`forget`](super::Registration::forget) has not
    /// been called since.
    pub const fn is_waiting(&self) -> bool {
        self.0.is_some()
    }
}

/// A snapshot of a direction's word.
#[derive(Debug, Clone, Copy)]
struct Seen(u32);

impl Seen {
    fn is_ready(self) -> bool {
        self.0 & READY != 0
    }

    fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    fn has_the_changes_of(self, other: Seen) -> bool {
        self.0 >> CHANGE_SHIFT == other.0 >> CHANGE_SHIFT
    }
}

/// What the operating system reports: which directions have become ready, and whether for ever or
/// in such a way that only an unsuccessful io operation shows the end of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) read: Option<bool>,
    pub(crate) write: Option<bool>,
}

impl Change {
    pub(super) fn told_by(event: &Event) -> Self {
        // An error is returned by the next io operation, in either direction.
        let is_error = event.is_error();
        let read = event.is_readable() || event.is_read_closed() || is_error;
        let write = event.is_writable() || event.is_write_closed() || is_error;
        // With urgent data a read may return less than it asked for although there is more. The end
        // of the stream has the same effect.
        let is_read_over = event.is_read_closed() || event.is_priority();
        Self {
            read: (read || is_read_over).then_some(is_read_over),
            write: write.then(|| event.is_write_closed()),
        }
    }
}

/// A socket's readiness, and the tasks that wait for it.
#[derive(Debug)]
pub(crate) struct Source {
    read: AtomicU32,
    write: AtomicU32,
    waiting: Mutex<Waiting>,
}

/// The waiters of both directions.
#[derive(Debug, Default)]
struct Waiting {
    read: List,
    write: List,
    /// The number of the last waiter, modulo its range.
    last: u32,
}

/// The waiters of one direction.
pub(crate) type List = WaitList<Waker>;

impl Waiting {
    fn list(&mut self, direction: Direction) -> &mut List {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// The number of a new waiter. At the end of the range the numbers begin again; some early
    /// waiters may still be on the list then, so their numbers are skipped.
    fn number(&mut self, direction: Direction) -> NonZeroU32 {
        loop {
            let next = NonZeroU32::MIN.saturating_add(self.last);
            self.last = if next == NonZeroU32::MAX { 0 } else { next.get() };
            if self.list(direction).get(u64::from(next.get())).is_none() {
                return next;
            }
        }
    }
}

impl Source {
    /// Ready in both directions: no io operation has been tried yet, so one is worth trying.
    pub(crate) fn new() -> Self {
        Self { read: AtomicU32::new(READY), write: AtomicU32::new(READY), waiting: Mutex::default() }
    }

    #[inline]
    fn word(&self, direction: Direction) -> &AtomicU32 {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    #[inline]
    fn look(&self, direction: Direction) -> Seen {
        // Ordering: Acquire pairs with the Release of `note`.
        Seen(self.word(direction).load(Ordering::Acquire))
    }

    /// The result if there is one at once; `None`: wait.
    #[inline]
    fn answer(direction: Direction, seen: Seen) -> Option<io::Result<Ready>> {
        if seen.is_closed() {
            return Some(Err(super::reactor::closed()));
        }
        if seen.is_ready() { Some(Ok(Ready { direction, seen })) } else { None }
    }

    #[inline]
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Ready>> {
        let seen = self.look(direction);
        if let Some(answer) = Self::answer(direction, seen) {
            self.forget_at(direction, waiter, seen);
            return Poll::Ready(answer);
        }
        self.wait(direction, waiter, cx, |seen| Self::answer(direction, seen))
    }

    /// What an io operation without a preceding wait passes to `clear` if it is unsuccessful.
    #[inline]
    pub(crate) fn unasked(&self, direction: Direction) -> Ready {
        Ready { direction, seen: self.look(direction) }
    }

    pub(crate) fn changes(&self, direction: Direction) -> Changes {
        Changes { direction, seen: self.look(direction) }
    }

    pub(crate) fn poll_changed(
        &self,
        since: Changes,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let answer = |seen: Seen| match seen {
            seen if seen.is_closed() => Some(Err(super::reactor::closed())),
            seen => (!seen.has_the_changes_of(since.seen)).then_some(Ok(())),
        };
        self.wait(since.direction, waiter, cx, answer)
    }

    /// Adds a waiter to the list, unless there is a result.
    fn wait<T>(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        answer: impl Fn(Seen) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // Cloning a waker runs foreign code: not under the lock.
        let waker = cx.waker().clone();
        let mut waiting = self.waiting.lock();
        let seen = self.look(direction);
        if let Some(answer) = answer(seen) {
            let gone = waiter.0.take().and_then(|place| waiting.list(direction).remove(place.key()));
            drop(waiting);
            drop((gone, waker));
            return Poll::Ready(answer);
        }
        let number = waiter.0.map_or_else(|| waiting.number(direction), |place| place.number);
        let place = Place { number, seen };
        waiter.0 = Some(place);
        let old = waiting.list(direction).put(place.key(), waker);
        drop(waiting);
        drop(old);
        Poll::Pending
    }

    /// The io operation was unsuccessful. Everything that was reported before it is untrue or no
    /// longer true, including OVER.
    pub(crate) fn clear(&self, ready: Ready) {
        self.settle(ready, |seen| seen & !(READY | OVER));
    }

    /// The io operation returned less than was asked for, so another one would find nothing. The
    /// exception is the end of the stream: the system reports it only once, so READY stays if OVER
    /// is set.
    #[inline]
    pub(crate) fn drained(&self, ready: Ready) {
        self.settle(ready, |seen| if seen & OVER == 0 { seen & !READY } else { seen });
    }

    #[inline]
    fn settle(&self, ready: Ready, settled: impl Fn(u32) -> u32) {
        let word = self.word(ready.direction);
        let mut now = ready.seen;
        // If the count of changes differs from that at the beginning of the io operation, the
        // operation says nothing about the last change.
        while now.has_the_changes_of(ready.seen) {
            let new = settled(now.0);
            match word.compare_exchange_weak(now.0, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = Seen(other),
            }
        }
    }

    #[inline]
    pub(crate) fn forget(&self, direction: Direction, waiter: &mut Waiter) {
        if waiter.is_waiting() {
            self.forget_at(direction, waiter, self.look(direction));
        }
    }

    /// `now` is a snapshot of the direction's word.
    #[inline]
    fn forget_at(&self, direction: Direction, waiter: &mut Waiter, now: Seen) {
        if let Some(place) = waiter.0.take() {
            if now.has_the_changes_of(place.seen) {
                self.take_off(direction, place);
            }
        }
    }

    #[cold]
    fn take_off(&self, direction: Direction, place: Place) {
        let gone = self.waiting.lock().list(direction).remove(place.key());
        drop(gone);
    }

    /// Notes a change, and returns the waiters that it wakes. They are woken outside the lock,
    /// because there may be many.
    #[must_use = "they have to be woken"]
    pub(crate) fn note(&self, change: Change) -> [List; 2] {
        let mut waiting = self.waiting.lock();
        [(Direction::Read, change.read), (Direction::Write, change.write)].map(|(direction, told)| {
            let Some(is_over) = told else { return List::new() };
            let told = if is_over { READY | OVER } else { READY };
            let counted = |now: u32| Some(now.wrapping_add(CHANGE_ONE) | told);
            // Ordering: Release pairs with the Acquire of `look`.
            let _ = self.word(direction).fetch_update(Ordering::Release, Ordering::Relaxed, counted);
            waiting.list(direction).take()
        })
    }

    /// Ends the registration. Returns all waiters.
    #[must_use = "they have to be woken"]
    pub(crate) fn close(&self) -> [List; 2] {
        let mut waiting = self.waiting.lock();
        [Direction::Read, Direction::Write].map(|direction| {
            self.word(direction).fetch_or(CLOSED, Ordering::Relaxed);
            waiting.list(direction).take()
        })
    }
}

#[cfg(all(test, not(selvedge_loom)))]
mod tests {
    use super::*;

    fn woken_by(source: &Source, change: Change) -> usize {
        source.note(change).iter().map(List::len).sum()
    }

    /// The waiter that leaves is the first, one in the middle, or the last. The remaining ones are
    /// woken, once, and only by their own direction.
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
                // A waiter that is polled again is on the list once.
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

    /// A task that queries the system itself waits although READY is set, leaves READY as it is,
    /// and is woken by the next change or the end.
    #[test]
    fn a_wait_for_a_change_leaves_the_readiness_alone() {
        let source = Source::new();
        let mut cx = Context::from_waker(Waker::noop());
        let write = Direction::Write;
        let mut waiter = Waiter::new();
        let since = source.changes(write);
        assert!(source.poll_changed(since, &mut waiter, &mut cx).is_pending() && waiter.is_waiting());
        assert!(source.poll_ready(write, &mut Waiter::new(), &mut cx).is_ready());
        assert_eq!(woken_by(&source, Change { read: Some(false), write: None }), 0);
        assert_eq!(woken_by(&source, Change { read: None, write: Some(false) }), 1);
        assert!(matches!(source.poll_changed(since, &mut waiter, &mut cx), Poll::Ready(Ok(()))));
        assert!(!waiter.is_waiting());

        let since = source.changes(write);
        assert!(source.poll_changed(since, &mut waiter, &mut cx).is_pending());
        source.forget(write, &mut waiter);
        assert_eq!(woken_by(&source, Change { read: None, write: Some(false) }), 0);

        let since = source.changes(write);
        assert!(source.close().iter().all(List::is_empty));
        assert!(matches!(source.poll_changed(since, &mut waiter, &mut cx), Poll::Ready(Err(_))));
    }

    #[test]
    fn numbers_of_waiters_wrap() {
        let mut waiting = Waiting { last: u32::MAX - 1, ..Waiting::default() };
        let (read, write) = (Direction::Read, Direction::Write);
        assert_eq!(waiting.number(read), NonZeroU32::MAX);
        assert_eq!(waiting.number(read), NonZeroU32::MIN);
        assert_eq!(waiting.number(read).get(), 2);
        waiting.last = 0;
        waiting.list(read).put(1, Waker::noop().clone());
        assert_eq!(waiting.number(read).get(), 2, "the first one is still waited under");
        waiting.last = 0;
        assert_eq!(waiting.number(write), NonZeroU32::MIN);
    }
}
