//! What is a socket ready for, and who waits for that?
//!
//! The operating system tells each change once (edge-triggered). So readiness is remembered until an attempt finds that there is nothing to do
//! (`clear`, `drained`), and counted, so that a change which came during that attempt is not forgotten with it.
//!
//! Each direction has a word of its own:
//!
//! ```text
//! changes: 29 | CLOSED | OVER | READY
//!
//!            note, under the lock                       the counted changes are those that the attempt began with
//! any ────────────────────────────▶ READY, changes + 1 ───────────────────────────────────────────────────────▶ not READY
//! ```
//!
//! The lock decides who waits. **Whoever is on the list saw under the lock that what it waits for had not come, and every change and the end of the watch are noted under the lock,
//! after which nobody is on the list.** So no change is missed; and who finds another count of changes than when it got on the list has been taken off.
//!
//! Who asks the operating system by other means than an attempt (`poll_changed`) neither looks at READY nor clears it: it takes the count of changes, asks, and gets on the list if it sees under
//! the lock that the count is still the same.
//!
//! A change is noted with Release and looked at with Acquire: who sees it makes an attempt that finds what it tells of. All else about the word is Relaxed: it publishes
//! nothing, and what it decides for those who wait is ordered by the lock.

use std::io;
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};

use mio::event::Event;

use crate::sync::{AtomicU32, Mutex, Ordering};
use crate::wait_list::WaitList;

const READY: u32 = 1 << 0;
/// It was told that it will be ready for ever: the peer has ended this direction, or the connection. Not to be relied on: it may have been meant for
/// another socket that had the same number, and an error that looks like an end may pass. So an attempt in vain disproves it.
const OVER: u32 = 1 << 1;
/// Nobody watches any more.
const CLOSED: u32 = 1 << 2;
const CHANGE_SHIFT: u32 = 3;
const CHANGE_ONE: u32 = 1 << CHANGE_SHIFT;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    seen: Seen,
}

/// How many changes a direction had had at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Changes {
    direction: Direction,
    seen: Seen,
}

impl Changes {
    /// No attempt has been in vain since the last of them, as far as attempts were reported.
    pub fn allow_an_attempt(self) -> bool {
        self.seen.is_ready()
    }
}

/// Tells one who waits for a socket from the others.
#[derive(Debug, Default)]
pub struct Waiter(Option<Place>);

/// Where a waiter got on the list.
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
    /// Not waiting.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The last poll ended `Pending`, and nobody has called [`forget`](super::Registration::forget) since.
    pub const fn is_waiting(&self) -> bool {
        self.0.is_some()
    }
}

/// One look at a direction's word.
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
pub(crate) struct Source {
    read: AtomicU32,
    write: AtomicU32,
    waiting: Mutex<Waiting>,
}

/// Who waits.
#[derive(Debug, Default)]
struct Waiting {
    read: List,
    write: List,
    /// The number of the last waiter, modulo its range.
    last: u32,
}

/// Those who wait for one direction of a socket.
pub(crate) type List = WaitList<Waker>;

impl Waiting {
    fn list(&mut self, direction: Direction) -> &mut List {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }

    /// For a new waiter. The numbers begin again at the end of their range, when there may be some of the first ones left.
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
    /// Nobody has tried yet, so it is worth trying.
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

    /// What there is to say at once; None: wait.
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

    /// What an attempt that is made unasked reports to `clear` if it is in vain.
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

    fn wait<T>(
        &self,
        direction: Direction,
        waiter: &mut Waiter,
        cx: &mut Context<'_>,
        answer: impl Fn(Seen) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // Cloning a waker is foreign code: not under the lock.
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

    /// The attempt was in vain. What was told before it was not so, or is so no longer; also that it is over.
    pub(crate) fn clear(&self, ready: Ready) {
        self.settle(ready, |seen| seen & !(READY | OVER));
    }

    /// The attempt brought less than was asked for, so another one would be in vain. But it would find the end, which is told only once.
    #[inline]
    pub(crate) fn drained(&self, ready: Ready) {
        self.settle(ready, |seen| if seen & OVER == 0 { seen & !READY } else { seen });
    }

    #[inline]
    fn settle(&self, ready: Ready, settled: impl Fn(u32) -> u32) {
        let word = self.word(ready.direction);
        let mut now = ready.seen;
        // Who sees another count of changes than the attempt began with has learned nothing of the last one.
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

    /// `now` is how the direction's word looks.
    #[inline]
    fn forget_at(&self, direction: Direction, waiter: &mut Waiter, now: Seen) {
        if let Some(place) = waiter.0.take()
            && now.has_the_changes_of(place.seen)
        {
            self.take_off(direction, place);
        }
    }

    #[cold]
    fn take_off(&self, direction: Direction, place: Place) {
        let gone = self.waiting.lock().list(direction).remove(place.key());
        drop(gone);
    }

    /// Notes a change, and returns those who waited for it: a crowd is not gone through under a lock.
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

    /// Nobody watches any more. Returns those who waited.
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

    /// Who asks by other means waits although an attempt is allowed, leaves that as it is, and is woken by the next change or the end.
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
