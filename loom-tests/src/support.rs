//! Which parts do the models share?

use std::any::Any;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use selvedge::EventLoop;
use selvedge_scheduler::model::{self, House, Thread, Worker};
use selvedge_scheduler::{ClockKind, Config, JoinHandle, Outcome, Slot, TaskRef};

/// The exit status of a process whose model has failed.
pub(crate) const FOUND: i32 = 101;

const PREEMPTIONS: usize = 2;
const PREEMPTIONS_DEEP: usize = 3;
const BRANCHES: usize = 10_000;

/// A model, and the faults that it must find.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(),
    pub(crate) controls: &'static [&'static str],
    /// Counters of outcomes that the exploration must reach, with a description of each.
    pub(crate) reaches: fn() -> Vec<(&'static str, &'static AtomicUsize)>,
    /// The model must fail: it is wrong on purpose.
    pub(crate) must_fail: bool,
    /// The bound of involuntary context switches in one run. It is lower than usual where threads
    /// poll a condition in a loop: with more switches, loom finds schedules in which the other
    /// threads never make progress, and those schedules have no end.
    pub(crate) preemptions: usize,
}

impl Model {
    pub(crate) const fn new(name: &'static str, about: &'static str, run: fn()) -> Self {
        Self {
            name,
            about,
            run,
            controls: &[],
            reaches: Vec::new,
            must_fail: false,
            preemptions: PREEMPTIONS,
        }
    }

    pub(crate) const fn finds(self, controls: &'static [&'static str]) -> Self {
        Self { controls, ..self }
    }

    pub(crate) const fn reaches(self, reaches: fn() -> Vec<(&'static str, &'static AtomicUsize)>) -> Self {
        Self { reaches, ..self }
    }

    pub(crate) const fn must_fail(self) -> Self {
        Self { must_fail: true, ..self }
    }

    pub(crate) const fn preemptions(self, preemptions: usize) -> Self {
        Self { preemptions, ..self }
    }
}

/// Explores a model in this process, and prints how many runs it took. If a process with a fault
/// reaches the end, it has not found the fault.
pub(crate) fn run_model(model: &Model, deep: bool, has_fault: bool) {
    // No code may catch a failure that loom reports: neither the scheduler, which catches the
    // panics of tasks, nor a destructor. Panics that belong to a model do not reach this hook, see
    // `expected_panic`.
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        println!("{}", message.unwrap_or("a panic").lines().next().unwrap_or_default());
        eprintln!("{info}");
        std::process::exit(FOUND);
    }));
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    let bound = if deep && model.preemptions == PREEMPTIONS { PREEMPTIONS_DEEP } else { model.preemptions };
    builder.preemption_bound.get_or_insert(bound);
    if std::env::var_os("LOOM_MAX_BRANCHES").is_none() {
        builder.max_branches = BRANCHES;
    }
    let run = model.run;
    builder.check(move || {
        reached(&counts);
        run();
    });
    println!("{}", runs.load(Ordering::Relaxed));
    if has_fault {
        return;
    }
    for (what, times) in (model.reaches)() {
        assert!(times.load(Ordering::Relaxed) > 0, "never reached: {what}");
    }
}

/// Adds one to `counter`.
pub(crate) fn reached(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts what happened to the tasks of a run. Its counters are outside of loom, because they must
/// not order anything.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) polls: AtomicUsize,
    pub(crate) abandoned: AtomicUsize,
    pub(crate) completed: AtomicUsize,
    pub(crate) slots_dropped: AtomicUsize,
}

impl Ledger {
    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::Relaxed)
    }
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Relaxed)
    }
    pub(crate) fn completed(&self) -> usize {
        self.completed.load(Ordering::Relaxed)
    }
    pub(crate) fn slots_dropped(&self) -> usize {
        self.slots_dropped.load(Ordering::Relaxed)
    }
}

pub(crate) struct Entry(Arc<Ledger>);

impl Slot for Entry {
    type ForHandle = ();

    fn completed(&self, _: &TaskRef) {
        reached(&self.0.completed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        reached(&self.0.slots_dropped);
    }
}

/// How a task ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    Panicked,
    Closed,
}

impl Outcome for End {
    fn panicked(_: &TaskRef, payload: Box<dyn Any + Send>) -> Self {
        assert!(payload.is::<Expected>(), "a panic that no model wanted");
        Self::Panicked
    }
    fn closed(_: &TaskRef) -> Self {
        Self::Closed
    }
    fn abandoned(self, task: &TaskRef) {
        let entry = task.slot::<Entry>().expect("the models' tasks have this slot");
        reached(&entry.0.abandoned);
    }
}

struct Expected;

/// A panic that belongs to the model.
pub(crate) fn expected_panic() -> ! {
    resume_unwind(Box::new(Expected))
}

pub(crate) fn config(workers: usize, standbys: usize) -> Config {
    Config {
        workers,
        max_standbys: Some(standbys),
        max_computing_threads: Some(0),
        max_blocking_threads: Some(1),
        ..Config::default()
    }
}

/// A `house` with one standby that also has computing threads. With `waits_time_out`, a computing thread
/// that rests ends at once.
pub(crate) fn computing_house(workers: usize, computing: usize, waits_time_out: bool) -> House {
    House::new(Config { max_computing_threads: Some(computing), ..config(workers, 1) }, waits_time_out)
}

/// A scheduler whose workers are run by the model's threads.
pub(crate) fn house(workers: usize, standbys: usize) -> House {
    House::new(config(workers, standbys), false)
}

/// A loop whose workers are run by the model's threads. With `waits_time_out`, a wait with a limit
/// reaches it at once.
pub(crate) fn loop_house(workers: usize, waits_time_out: bool) -> (House, EventLoop) {
    let house = House::new(Config { hooks: selvedge::model::hooks(), ..config(workers, 0) }, waits_time_out);
    let event_loop = selvedge::model::event_loop(house.scheduler());
    (house, event_loop)
}

/// Polls every task that the calling worker has or can steal.
pub(crate) fn drain(house: &House, here: &Worker) {
    while let Some(right) = here.pop().or_else(|| house.steal()) {
        here.poll(right);
    }
}

/// A `house` in virtual time.
pub(crate) fn virtual_house(workers: usize, standbys: usize) -> House {
    House::new(Config { clock: ClockKind::Virtual, ..config(workers, standbys) }, false)
}

/// Spawns a task that calls `poll` in each of its polls and counts them.
pub(crate) fn spawn(
    house: &House,
    ledger: &Arc<Ledger>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<End> + Send + 'static,
) -> JoinHandle<End> {
    house.scheduler().spawn(counted(ledger, poll), Entry(Arc::clone(ledger)))
}

/// Spawns such a task suspended before its first step.
pub(crate) fn spawn_suspended(
    house: &House,
    ledger: &Arc<Ledger>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<End> + Send + 'static,
) -> JoinHandle<End> {
    house.scheduler().spawn_suspended(counted(ledger, poll), Entry(Arc::clone(ledger)))
}

fn counted(
    ledger: &Arc<Ledger>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<End> + Send + 'static,
) -> impl Future<Output = End> + Send + 'static {
    let counts = Arc::clone(ledger);
    std::future::poll_fn(move |cx| {
        reached(&counts.polls);
        poll(cx)
    })
}

pub(crate) fn spawn_future(
    house: &House,
    ledger: &Arc<Ledger>,
    future: impl Future<Output = End> + Send + 'static,
) -> JoinHandle<End> {
    house.scheduler().spawn(future, Entry(Arc::clone(ledger)))
}

/// Spawns a task that is ready at its first poll.
pub(crate) fn spawn_ready(house: &House, ledger: &Arc<Ledger>) -> JoinHandle<End> {
    spawn(house, ledger, |_| Poll::Ready(End::Value))
}

/// Blocks threads until it is opened.
pub(crate) struct Gate(loom::sync::Mutex<bool>, loom::sync::Condvar);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Mutex::new(false), loom::sync::Condvar::new())
    }

    pub(crate) fn open(&self) {
        *self.0.lock().expect("loom's locks are not poisoned") = true;
        self.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut open = self.0.lock().expect("loom's locks are not poisoned");
        while !*open {
            open = self.1.wait(open).expect("loom's locks are not poisoned");
        }
    }
}

/// A waker that unparks a thread and counts its wakes.
pub(crate) struct Bell {
    thread: Option<Thread>,
    pub(crate) rings: AtomicUsize,
}

impl Bell {
    /// A bell that wakes the calling thread.
    pub(crate) fn here() -> Arc<Self> {
        Arc::new(Self { thread: Some(Thread::current()), rings: AtomicUsize::new(0) })
    }

    /// A bell that only counts.
    pub(crate) fn silent() -> Arc<Self> {
        Arc::new(Self { thread: None, rings: AtomicUsize::new(0) })
    }

    pub(crate) fn rings(&self) -> usize {
        self.rings.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        reached(&self.rings);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

/// Waits for the end of a task on a thread that is not a worker.
pub(crate) fn join(handle: &mut JoinHandle<End>) -> End {
    let waker = Waker::from(Bell::here());
    loop {
        match handle.poll_join(&mut Context::from_waker(&waker)) {
            Poll::Ready(end) => return end.expect("taken once"),
            Poll::Pending => model::park(),
        }
    }
}

/// Waits until `workers` workers sleep. Models should not explore the steps before: `handoff` does
/// that.
pub(crate) fn wait_until_asleep(house: &House, workers: usize) {
    while house.sleeping() < workers {
        loom::thread::yield_now();
    }
    // The last worker is still on its way from the sleepers' list to its parker.
    for _ in 0..3 {
        loom::thread::yield_now();
    }
}

/// A future whose drop panics.
pub(crate) struct PanicsInDrop;

impl Future for PanicsInDrop {
    type Output = End;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<End> {
        Poll::Ready(End::Value)
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        expected_panic();
    }
}
