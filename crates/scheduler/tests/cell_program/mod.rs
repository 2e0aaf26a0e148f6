//! Which programs of wakes, polls, joins and drops can a few tasks go through, and what must come
//! of each? The programs are written in bytes, and a model predicts the outcome.
//!
//! One worker without standbys is held at a gate while the program acts, and then runs everything
//! that is queued. So the outcome of each step is certain, although it goes through the shipped
//! scheduler: a task that was woken, however often, is polled once more.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::{Condvar, Mutex};
use selvedge_scheduler::{Config, JoinHandle, Outcome, Scheduler, Slot, TaskRef};

const TASKS: usize = 4;

/// What the next poll does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Wait,
    /// Wakes itself this often and waits: it is polled once more, and then waits.
    WakeItself(u8),
    /// Another thread wakes it during the poll. That wake shows in the state's counter, not in the
    /// polling thread's own flag.
    IsWoken(u8),
    Return,
    WakeAndReturn,
    Panic,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Value,
    Panicked,
    Closed,
}

struct End(Kind, #[expect(dead_code, reason = "counts its drop")] Option<Guard>);

impl Outcome for End {
    fn panicked(_: &TaskRef, _: Box<dyn Any + Send>) -> Self {
        Self(Kind::Panicked, None)
    }
    fn closed(_: &TaskRef) -> Self {
        Self(Kind::Closed, None)
    }
    fn abandoned(self, _: &TaskRef) {}
}

/// What can be seen of a task from outside.
#[derive(Default)]
struct Seen {
    polls: AtomicUsize,
    futures_dropped: Arc<AtomicUsize>,
    outputs_dropped: Arc<AtomicUsize>,
    slots_dropped: Arc<AtomicUsize>,
    completed: AtomicUsize,
    act: Mutex<Option<Act>>,
    waker: Mutex<Option<Waker>>,
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Subject(Arc<Seen>, #[expect(dead_code, reason = "counts its drop")] Guard);

impl Future for Subject {
    type Output = End;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let seen = &self.0;
        seen.polls.fetch_add(1, Ordering::SeqCst);
        let old = seen.waker.lock().replace(cx.waker().clone());
        drop(old);
        let act = seen.act.lock().replace(Act::Wait).unwrap_or(Act::Wait);
        let value = || Poll::Ready(End(Kind::Value, Some(Guard(Arc::clone(&seen.outputs_dropped)))));
        match act {
            Act::Wait => Poll::Pending,
            Act::WakeItself(times) => {
                (0..=times).for_each(|_| cx.waker().wake_by_ref());
                Poll::Pending
            }
            Act::IsWoken(times) => {
                let waker = cx.waker();
                let wake = || (0..=times).for_each(|_| waker.wake_by_ref());
                std::thread::scope(|scope| _ = scope.spawn(wake));
                Poll::Pending
            }
            Act::Return => value(),
            Act::WakeAndReturn => {
                cx.waker().wake_by_ref();
                value()
            }
            Act::Panic => std::panic::resume_unwind(Box::new(())),
        }
    }
}

struct CountingSlot(Arc<Seen>, #[expect(dead_code, reason = "counts its drop")] Guard);

impl Slot for CountingSlot {
    type ForHandle = ();

    fn completed(&self, task: &TaskRef) {
        assert!(task.is_done());
        self.0.completed.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Joiner(AtomicUsize);

impl Wake for Joiner {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task, and the state that it must have.
struct Pair {
    seen: Arc<Seen>,
    task: Option<TaskRef>,
    handle: Option<JoinHandle<End>>,
    wakers: Vec<Waker>,
    joiners: [Arc<Joiner>; 2],
    /// The joiner whose waker is in the cell, and how often each joiner must have been woken.
    waits: Option<usize>,
    joins: [usize; 2],
    act: Act,
    /// Queued since the last round.
    woken: bool,
    polls: usize,
    ended: Option<Kind>,
    watched: bool,
    completed: usize,
    taken: bool,
}

impl Pair {
    fn spawn(scheduler: &Scheduler) -> Self {
        let seen = Arc::<Seen>::default();
        let future = Subject(Arc::clone(&seen), Guard(Arc::clone(&seen.futures_dropped)));
        let slot = CountingSlot(Arc::clone(&seen), Guard(Arc::clone(&seen.slots_dropped)));
        let handle = scheduler.spawn(future, slot);
        Self {
            task: Some(handle.task().clone()),
            handle: Some(handle),
            seen,
            wakers: Vec::new(),
            joiners: Default::default(),
            waits: None,
            joins: [0; 2],
            act: Act::Wait,
            woken: true,
            polls: 0,
            ended: None,
            watched: false,
            completed: 0,
            taken: false,
        }
    }

    fn note_wake(&mut self) {
        self.woken |= self.ended.is_none();
    }

    /// One step of the program, while the worker stands at the gate.
    fn step(&mut self, what: u8, detail: u8) {
        let waker = self.seen.waker.lock().clone();
        match (what, waker) {
            (0, Some(waker)) => {
                waker.wake();
                self.note_wake();
            }
            (1, Some(waker)) => self.wakers.push(waker),
            (2, _) => {
                if let Some(waker) = self.wakers.pop().filter(|_| detail % 2 == 0) {
                    waker.wake_by_ref();
                    self.note_wake();
                }
            }
            (3, _) => {
                if let Some(task) = &self.task {
                    task.wake();
                    self.note_wake();
                }
            }
            (4, _) => self.set_act(detail),
            (5 | 6, _) => self.join(usize::from(detail % 2)),
            (7, _) if detail % 4 == 0 => {
                // If the output has not been taken, it is dropped now.
                self.handle = None;
                self.waits = None;
            }
            (8, _) => {
                if let Some(task) = &self.task {
                    assert_eq!(task.watch_completion(), self.ended.is_some());
                    self.watched |= self.ended.is_none();
                }
            }
            (9, _) if detail % 4 == 0 => self.task = None,
            (10, _) => *self.seen.waker.lock() = None,
            _ => {}
        }
    }

    fn set_act(&mut self, detail: u8) {
        self.act = match detail % 8 {
            0..3 => Act::Wait,
            3 => Act::WakeItself(detail >> 5),
            4 => Act::IsWoken(detail >> 5),
            5 => Act::Return,
            6 => Act::WakeAndReturn,
            _ => Act::Panic,
        };
        *self.seen.act.lock() = Some(self.act);
    }

    fn join(&mut self, who: usize) {
        let Some(handle) = &mut self.handle else { return };
        let waker = Waker::from(Arc::clone(&self.joiners[who]));
        match handle.poll_join(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                assert!(self.ended.is_none(), "done, and the handle does not know");
                self.waits = Some(who);
            }
            Poll::Ready(None) => assert!(self.taken, "the output was lost"),
            Poll::Ready(Some(end)) => {
                assert!(!self.taken, "the output came twice");
                assert_eq!(Some(&end.0), self.ended.as_ref());
                self.taken = true;
            }
        }
    }

    /// What a round of the worker must bring about.
    fn expect_round(&mut self) {
        while std::mem::take(&mut self.woken) && self.ended.is_none() {
            self.polls += 1;
            match std::mem::replace(&mut self.act, Act::Wait) {
                Act::Wait => {}
                Act::WakeItself(_) | Act::IsWoken(_) => self.woken = true,
                Act::Return | Act::WakeAndReturn => self.expect_end(Kind::Value),
                Act::Panic => self.expect_end(Kind::Panicked),
            }
        }
    }

    fn expect_end(&mut self, end: Kind) {
        self.ended = Some(end);
        if let Some(who) = self.waits.take() {
            self.joins[who] += 1;
        }
        self.completed += usize::from(self.watched);
    }

    fn check(&self) {
        let seen = &self.seen;
        assert_eq!(seen.polls.load(Ordering::SeqCst), self.polls, "polls");
        if let Some(task) = &self.task {
            assert_eq!(task.is_done(), self.ended.is_some());
        }
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        assert_eq!(count(&seen.futures_dropped), usize::from(self.ended.is_some()), "futures dropped");
        assert_eq!(count(&seen.completed), self.completed, "completions told");
        assert_eq!([0, 1].map(|who| count(&self.joiners[who].0)), self.joins, "joiners woken");
        let output_gone = self.ended == Some(Kind::Value) && (self.taken || self.handle.is_none());
        assert_eq!(count(&seen.outputs_dropped), usize::from(output_gone), "outputs dropped");
    }

    /// The scheduler is closed: only this pair still holds references to the cell.
    fn check_end(mut self) {
        if self.ended.is_none() {
            self.expect_end(Kind::Closed);
        }
        self.check();
        self.join(0);
        assert!(self.taken || self.handle.is_none(), "a handle resolves");
        self.handle = None;
        self.task = None;
        self.wakers.clear();
        *self.seen.waker.lock() = None;
        assert_eq!(self.seen.slots_dropped.load(Ordering::SeqCst), 1, "the cell is freed once");
    }
}

/// The gate at which the worker waits while the program acts.
#[derive(Default)]
struct Gate(Mutex<(bool, bool)>, Condvar);

impl Gate {
    /// Returns when the worker waits at the gate.
    fn shut(self: &Arc<Self>, scheduler: &Scheduler) {
        let gate = Arc::clone(self);
        drop(scheduler.spawn(
            async move {
                let mut state = gate.0.lock();
                state.0 = true;
                gate.1.notify_all();
                gate.1.wait_while(&mut state, |state| state.0);
                state.1 = true;
                gate.1.notify_all();
                End(Kind::Value, None)
            },
            Plain,
        ));
        let mut state = self.0.lock();
        state.1 = false;
        self.1.wait_while(&mut state, |state| !state.0);
    }

    fn open(&self) {
        self.0.lock().0 = false;
        self.1.notify_all();
    }
}

struct Plain;

impl Slot for Plain {
    type ForHandle = ();

    fn completed(&self, _: &TaskRef) {}
}

/// Runs the program that `bytes` encode: two bytes for each step, and a round of the worker
/// wherever a step says so.
pub fn run(bytes: &[u8]) {
    let config = Config { workers: 1, max_standbys: Some(0), ..Config::default() };
    let scheduler = Scheduler::start(config).expect("threads can be started");
    let gate = Arc::<Gate>::default();
    gate.shut(&scheduler);
    let mut pairs: Vec<_> = (0..TASKS).map(|_| Pair::spawn(&scheduler)).collect();
    for step in bytes.chunks_exact(2) {
        let (which, what) = (usize::from(step[0]) % TASKS, step[0] / TASKS as u8 % 14);
        if what < 11 {
            pairs[which].step(what, step[1]);
        } else {
            round(&scheduler, &gate, &mut pairs);
        }
    }
    round(&scheduler, &gate, &mut pairs);
    gate.open();
    assert_eq!(scheduler.close(std::time::Duration::from_secs(30)), []);
    pairs.into_iter().for_each(Pair::check_end);
}

/// Lets the worker run all queued tasks, and returns when it waits at the gate again.
fn round(scheduler: &Scheduler, gate: &Arc<Gate>, pairs: &mut [Pair]) {
    pairs.iter_mut().for_each(Pair::expect_round);
    // A task that wakes itself is polled again behind the tasks that are queued already. And now
    // and then a worker looks at the injector, where the gate's tasks are, before its own queue.
    for _ in 0..4 {
        gate.open();
        gate.shut(scheduler);
    }
    pairs.iter().for_each(Pair::check);
}
