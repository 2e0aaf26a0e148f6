//! What does a worker do next?

mod lone;
mod maintenance;
mod search;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::{ManuallyDrop, needs_drop};
use std::rc::Rc;
use std::sync::Arc;

use self::lone::Lone;
use self::maintenance::Maintenance;
use self::search::Rng;
use crate::heavy::{AFTER_LONG_POLL, Class, Permit};
use crate::pool::{Crew, Pool};
use crate::queue::Deque;
use crate::shared::{Post, Scheduler, Shared, WorkerSlot};
use crate::sync::{Instant, Ordering};
use crate::task::{PollEnd, Ran, Runnable, TaskRef, Why};
use crate::timers::Stage;

/// A heavy poll that was shorter than this takes weight off its task.
const SHORT_POLL_NANOS: u64 = 500_000;

/// A worker, as its own thread sees it.
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    /// The same, as the handle that users know: lent without counting.
    pub(crate) scheduler: Scheduler,
    pub(crate) index: usize,
    pub(crate) deque: Deque,
    pub(crate) rng: Rng,
    pub(crate) stage: Stage,
    /// The last steal brought next to nothing.
    pub(crate) stole_crumbs: Cell<bool>,
    pub(crate) poll: Cell<u64>,
    pub(crate) maintenance: Maintenance,
    pub(crate) lone: Lone,
    /// Something was pushed during this poll: its end looks at the sleepers once more.
    owes_notify: Cell<bool>,
}

/// Without a destructor: a worker takes itself out when it leaves, and the destructors of other thread-locals
/// may still ask.
type Here = RefCell<ManuallyDrop<Option<Rc<Local>>>>;

const _: () = assert!(!needs_drop::<Here>());

crate::sync::thread_locals! {
    static LOCAL: Here = const { RefCell::new(ManuallyDrop::new(None)) };
}

fn replace_here(local: Option<Rc<Local>>) -> Option<Rc<Local>> {
    LOCAL.with(|here| ManuallyDrop::into_inner(here.replace(ManuallyDrop::new(local))))
}

/// Calls `f` with the worker that the calling thread is.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    LOCAL.with(|here| f(here.borrow().as_deref()))
}

/// [`ScheduleHere`](crate::task::ScheduleHere).
pub(crate) fn schedule_here(scheduler: *const (), task: Runnable, why: Why) -> Result<(), Runnable> {
    with(|local| match local {
        Some(local) if Arc::as_ptr(&local.shared).cast() == scheduler => {
            match why {
                Why::Woken { heavy } => local.push_woken(task, heavy),
                Why::Started => {
                    let class = task.with_task(|task| Class::at_birth(task.weight()));
                    local.push_new(task, class);
                }
            }
            Ok(())
        }
        _ => Err(task),
    })
}

/// One poll, as the worker that makes it knows it.
struct Poll<'a> {
    local: &'a Local,
    kind: PollKind,
}

/// Which polls are told from others.
#[derive(Clone, Copy)]
enum PollKind {
    Plain,
    /// A heavy poll, and when it began.
    Heavy(Instant),
    /// A poll that answers no wake, see `probe.rs`.
    Probe,
}

impl PollEnd for Poll<'_> {
    /// From here on no timer is staged.
    #[inline]
    fn is_notable(&self) -> bool {
        self.local.stage.end_poll();
        !matches!(self.kind, PollKind::Plain) || self.local.is_marked() || !self.local.stage.is_empty()
    }

    /// Weighs the task by the poll that has just ended.
    #[cold]
    fn note(&self, task: &TaskRef) {
        match self.kind {
            PollKind::Heavy(began) => self.local.weigh(task, Some(began)),
            PollKind::Probe => task.wake_again_if_woken(),
            PollKind::Plain if self.local.is_marked() => self.local.weigh(task, None),
            PollKind::Plain => {}
        }
        self.local.flush_timer(task);
    }
}

impl Local {
    pub(crate) fn slot(&self) -> &WorkerSlot {
        &self.shared.slots[self.index]
    }

    /// Queues a task behind all others.
    #[inline]
    pub(crate) fn push_new(&self, task: Runnable, class: Class) {
        if class == Class::Light {
            self.deque.push(task);
            self.notify_for_own();
        } else {
            self.shared.push_heavy(task, class == Class::Suspect);
        }
    }

    /// After a push into the own deque. Without a fence: this worker is awake and comes to the task itself, so a sleeper that is missed
    /// costs time, no task. It is looked for again when the poll ends, at each further push, at each look around; and by
    /// the watch, should the poll be long.
    #[inline]
    fn notify_for_own(&self) {
        if self.shared.has_watchdog() {
            self.owes_notify.set(true);
            let is_wanted = self.shared.idle.seems_wanted() && !self.maintenance.in_burst();
            if is_wanted || self.lone.keeps() {
                self.notify_if_worth_it(is_wanted);
            }
        } else {
            // There is no watch: what a sleeper that was missed would cost might be for ever.
            self.shared.notify();
        }
    }

    #[inline]
    pub(crate) fn settle(&self) {
        if self.owes_notify.get() && !self.maintenance.in_burst() {
            self.owes_notify.set(false);
            if self.has_to_share_after_poll() {
                self.shared.notify_if_visible();
            }
        }
    }

    /// Queues a task that was woken on this thread.
    #[inline]
    fn push_woken(&self, task: Runnable, heavy: bool) {
        // Without the watch nobody would take the task out of the slot of a worker that is stuck.
        if !heavy && self.shared.has_watchdog() && !self.has_own_tasks() {
            self.slot().next.put(task);
            return;
        }
        self.push_new(task, Class::of_woken(heavy));
    }

    /// Queues a task that woke itself. No thread is woken for it: this one will come to it. For what may come before a heavy one somebody is.
    #[inline]
    fn push_again(&self, task: Runnable) {
        if !task.with_task(TaskRef::is_heavy) {
            self.deque.push(task);
        } else if self.has_own_tasks() || !self.shared.injector.is_empty() || self.has_due_timer() {
            self.shared.push_heavy(task, false);
        } else {
            self.shared.heavy.push(task, false);
        }
    }

    #[inline]
    fn has_own_tasks(&self) -> bool {
        !self.slot().next.is_empty() || !self.deque.is_empty()
    }

    /// Works until the worker is told to leave.
    fn work(&self) {
        loop {
            let Some(task) = self.next_task() else { break };
            // After the task came out of its queue: who closes the scheduler sets the flag before it wakes the tasks.
            if self.slot().leave.load(Ordering::Relaxed) && self.shared.is_closing() {
                self.drop_unpolled(task);
                break;
            }
            self.run(task);
        }
    }

    /// The next task; None: leave.
    #[inline]
    fn next_task(&self) -> Option<Runnable> {
        if self.maintenance.is_due() {
            return self.maintain();
        }
        self.pop().or_else(|| self.search_or_sleep())
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        self.slot().next.take().or_else(|| self.deque.pop())
    }

    #[inline]
    pub(crate) fn run(&self, task: Runnable) {
        self.begin_poll(task.address());
        self.stage.begin_poll(&task);
        let ran = task.run(&Poll { local: self, kind: PollKind::Plain });
        self.settle();
        if let Ran::Again(task) = ran {
            self.push_again(task);
        }
    }

    /// The timer that the poll of `task` has staged goes into the wheel.
    fn flush_timer(&self, task: &TaskRef) {
        let shared = &self.shared;
        let earlier = self.stage.flush(shared.timers_of(self.index), shared.tick_length, task);
        if let Some(tick) = earlier {
            shared.driver.armed_earlier(&**shared, tick);
        }
    }

    /// Polls a new task inside the poll of another one.
    pub(crate) fn run_inside(&self, task: Runnable) {
        self.poll_inside(task, PollKind::Plain);
    }

    /// Polls a suspended task inside the poll of another one, and answers none of its wakes.
    pub(crate) fn probe_inside(&self, task: Runnable) {
        self.poll_inside(task, PollKind::Probe);
    }

    fn poll_inside(&self, task: Runnable, kind: PollKind) {
        TaskRef::with_current(|outer| outer.map(|outer| self.flush_timer(outer)));
        let staging = self.stage.begin_poll(&task);
        // A mark of the watch means the outer poll: the inner one has no number that could be marked.
        let outer = self.poll.replace(0);
        let ran = task.run(&Poll { local: self, kind });
        self.poll.set(outer);
        self.stage.resume_poll(staging);
        if let Ran::Again(task) = ran {
            let class = Class::of_woken(task.with_task(TaskRef::is_heavy));
            self.push_new(task, class);
        }
    }

    #[inline]
    pub(crate) fn begin_poll(&self, task: usize) {
        let poll = self.poll.get() + 2;
        self.poll.set(poll);
        let progress = &self.slot().progress;
        // Before the number: who reads it between the two takes this task for one that is being polled already, not the last one.
        progress.task.store(task as u64, Ordering::Relaxed);
        progress.poll.store(poll | 1, Ordering::Relaxed);
    }

    /// No poll goes on: the worker searches or sleeps.
    pub(crate) fn pause(&self) {
        self.slot().progress.poll.store(self.poll.get(), Ordering::Relaxed);
    }

    /// Runs a heavy task or a suspect and notes the time; the worker counts as stuck meanwhile.
    pub(crate) fn run_heavy(&self, task: Runnable, permit: Permit) {
        if self.shared.is_closing() {
            self.drop_unpolled(task);
        } else {
            self.poll_heavy(task, permit.is_suspect);
        }
        self.shared.heavy.release(permit);
    }

    fn poll_heavy(&self, task: Runnable, is_suspect: bool) {
        if self.has_own_tasks() || self.shared.driver.is_wanted(&*self.shared) {
            self.shared.notify();
        }
        let progress = &self.slot().progress;
        progress.suspect.store(is_suspect, Ordering::Relaxed);
        progress.heavy.store(true, Ordering::Relaxed);
        self.begin_poll(task.address());
        self.slot().counters.heavy_polls.add(1);
        self.stage.begin_poll(&task);
        let ran = task.run(&Poll { local: self, kind: PollKind::Heavy(Instant::now()) });
        progress.heavy.store(false, Ordering::Relaxed);
        self.settle();
        if let Ran::Again(task) = ran {
            self.push_again(task);
        }
    }

    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.slot().progress.marked.load(Ordering::Relaxed) == self.poll.get() | 1
    }

    fn weigh(&self, task: &TaskRef, began: Option<Instant>) {
        let lasted = match began {
            Some(began) => crate::clock::nanos(began.elapsed()),
            None => self.since_first_seen(),
        };
        if self.is_marked() {
            self.share();
            self.slot().counters.long_polls.add(1);
            self.slot().counters.poll_times.note(lasted);
            task.set_weight(AFTER_LONG_POLL);
            self.shared.heavy.kinds.note_long_poll(task.kind());
            self.report_if_slow(task, lasted);
        } else if lasted < SHORT_POLL_NANOS {
            task.set_weight(task.weight().saturating_sub(1));
            if self.slot().progress.suspect.load(Ordering::Relaxed) {
                self.shared.heavy.kinds.note_short_poll(task.kind());
            }
        }
    }

    /// At most one look of the watch less than the poll's length.
    fn since_first_seen(&self) -> u64 {
        let first_seen = self.slot().progress.first_seen.load(Ordering::Relaxed);
        self.shared.watchdog.now().saturating_sub(first_seen)
    }

    fn report_if_slow(&self, task: &TaskRef, lasted: u64) {
        if lasted < crate::clock::nanos(self.shared.config.slow_poll) {
            return;
        }
        self.slot().counters.slow_polls.add(1);
        let hooks = &self.shared.config.hooks;
        let lasted = std::time::Duration::from_nanos(lasted);
        crate::contain::silently(|| hooks.slow_poll(task, lasted));
    }

    /// Drops a task because the scheduler closes. Its destructors may take their time, so it is shown like one that is polled.
    fn drop_unpolled(&self, task: Runnable) {
        self.begin_poll(task.address());
        drop(task);
        self.pause();
    }

    /// Hands over what is left here.
    fn leave(&self) {
        self.pause();
        let closing = self.shared.is_closing();
        self.stage.clear(self.shared.timers_of(self.index));
        while let Some(task) = self.pop() {
            if closing {
                self.drop_unpolled(task);
            } else {
                self.shared.injector.push(task);
            }
        }
        if !closing {
            self.shared.notify();
        }
    }

    /// The worker should leave its place.
    pub(crate) fn is_dismissed(&self) -> bool {
        self.slot().leave.load(Ordering::Relaxed)
    }
}

impl Crew for Shared {
    type Post = Post;

    fn pool(&self) -> &Pool<Self> {
        &self.pool
    }

    fn work_at(self: &Arc<Self>, post: Post) {
        run(Arc::clone(self), post.index, post.deque);
    }

    fn is_back(&self) {
        if self.clock.is_virtual() {
            // The worker that waits for everything to rest must look again.
            self.driver.recheck(self);
        }
    }
}

/// Starts a thread for one of the N workers. It ends with its place.
pub(crate) fn start(shared: &Arc<Shared>, index: usize) -> io::Result<()> {
    let for_thread = Arc::clone(shared);
    let deque = shared.slots[index].vacant.lock().take().expect("a worker's place is taken once");
    shared.watchdog.took_place(index);
    let started = shared.pool.start_aside(shared, &format!("worker-{index}"), move || {
        crate::os::prepare_thread();
        run(for_thread, index, deque);
    });
    if started.is_err() {
        shared.watchdog.left();
    }
    started
}

/// Works at place `index` until dismissed. The place is taken already; `deque` is its owner's end.
fn run(shared: Arc<Shared>, index: usize, deque: Deque) {
    let local = enter(shared, index, deque);
    local.work();
    exit(local);
}

/// The calling thread is the worker at place `index` from now on.
fn enter(shared: Arc<Shared>, index: usize, deque: Deque) -> Rc<Local> {
    let rng = Rng::new(shared.config.seed ^ (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let poll = shared.slots[index].progress.poll.load(Ordering::Relaxed) & !1;
    shared.slots[index].parker.occupy();
    shared.slots[index].progress.thread.store(crate::os::current_thread(), Ordering::Relaxed);
    let local = Rc::new(Local {
        scheduler: Scheduler::handle_to(&shared),
        shared,
        index,
        deque,
        rng,
        stage: Stage::default(),
        stole_crumbs: Cell::new(false),
        poll: Cell::new(poll),
        maintenance: Maintenance::new(),
        lone: Lone::new(),
        owes_notify: Cell::new(false),
    });
    let _none = replace_here(Some(Rc::clone(&local)));
    local
}

/// The calling thread is no worker any more.
fn exit(local: Rc<Local>) {
    local.leave();
    drop(replace_here(None));
    let local = Rc::into_inner(local).expect("the thread's own copy was just dropped");
    let Local { shared, index, deque, .. } = local;
    *shared.slots[index].vacant.lock() = Some(deque);
    shared.watchdog.left();
    if shared.clock.is_virtual() {
        // Those who are left may all be at rest, and the holder of the driver does not know yet.
        shared.driver.recheck(&*shared);
    }
}

#[cfg(selvedge_loom)]
#[path = "../model/worker.rs"]
pub(crate) mod model;
