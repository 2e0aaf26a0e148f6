//! What the tests of the scheduler share: the smallest slot and outcome, and futures to wait with.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test binary uses its part")]

use std::any::Any;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use selvedge_scheduler::{Config, JoinHandle, Outcome, Scheduler, Slot, TaskRef};

pub struct NoSlot;

impl Slot for NoSlot {
    type ForHandle = ();

    fn completed(&self, _: &TaskRef) {}
}

/// How a task of the tests ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End<T> {
    Value(T),
    Panicked(String),
    Closed,
}

impl<T: Send + 'static> Outcome for End<T> {
    fn panicked(_: &TaskRef, payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().map_or("?", |text| text).to_owned();
        Self::Panicked(text)
    }
    fn closed(_: &TaskRef) -> Self {
        Self::Closed
    }
    fn abandoned(self, _: &TaskRef) {}
}

impl<T: std::fmt::Debug> End<T> {
    pub fn value(self) -> T {
        match self {
            Self::Value(value) => value,
            other => panic!("the task ended with {other:?}"),
        }
    }
}

/// Longer than any test binary takes on a machine that also does other things.
const TOO_LONG: Duration = Duration::from_secs(100);
/// For `close`: a test that needs all of it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The text with which a panic begins that belongs to a test.
pub const ON_PURPOSE: &str = "on purpose";

/// Ends a test binary that hangs, and hides panics that belong to a test.
pub fn watchdog() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(|| {
            std::thread::sleep(TOO_LONG);
            eprintln!("watchdog: the tests are not through after {TOO_LONG:?}; something hangs");
            std::process::abort();
        });
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
            if !text.unwrap_or(ON_PURPOSE).starts_with(ON_PURPOSE) {
                usual(info);
            }
        }));
    });
}

pub fn start(workers: usize) -> Scheduler {
    start_with(Config { workers, ..Config::default() })
}

/// Exactly `workers` threads run tasks: there are no standbys.
pub fn start_without_watchdog(workers: usize) -> Scheduler {
    start_with(Config { workers, max_standbys: Some(0), ..Config::default() })
}

pub fn start_with(config: Config) -> Scheduler {
    watchdog();
    Scheduler::start(config).expect("threads can be started")
}

/// Closes the scheduler and checks that nothing is left.
pub fn close(scheduler: &Scheduler) {
    assert_eq!(scheduler.close(PATIENCE), []);
    assert_eq!(scheduler.live_tasks(), 0);
}

/// Waits until `condition` holds, where no event can be waited for. Use it for an outcome, never
/// for an order.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Computes for at least this long.
pub fn compute(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// How many threads this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("on Linux").count()
}

/// Set once; threads and tasks wait for it. Its lock is one that `ThreadSanitizer` can see.
#[derive(Clone, Default)]
pub struct Signal(Arc<SignalState>);

#[derive(Default)]
struct SignalState {
    set: Mutex<(bool, Vec<Waker>)>,
    changed: Condvar,
}

impl Signal {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn set(&self) {
        let wakers = {
            let mut state = self.0.set.lock();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        self.0.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub fn is_set(&self) -> bool {
        self.0.set.lock().0
    }

    /// Blocks the thread. Inside a poll it makes the worker stuck.
    pub fn block(&self) {
        let mut state = self.0.set.lock();
        while !state.0 {
            self.0.changed.wait(&mut state);
        }
    }

    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.set.lock();
        if state.0 {
            return Poll::Ready(());
        }
        if !state.1.iter().any(|old| old.will_wake(cx.waker())) {
            state.1.push(cx.waker().clone());
        }
        Poll::Pending
    }

    pub async fn wait(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}

/// Checks that all workers take tasks: `workers` tasks wait for each other. The scheduler must have
/// no standbys.
pub fn assert_all_workers_live(scheduler: &Scheduler, workers: usize) {
    let barrier = Arc::new(std::sync::Barrier::new(workers));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            spawn(scheduler, async move {
                barrier.wait();
            })
        })
        .collect();
    for task in tasks {
        block_on(join(task));
    }
}

pub fn spawn<T: Send + 'static>(
    scheduler: &Scheduler,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<End<T>> {
    spawn_with(scheduler, future, NoSlot)
}

pub fn spawn_with<T: Send + 'static>(
    scheduler: &Scheduler,
    future: impl Future<Output = T> + Send + 'static,
    slot: impl Slot<ForHandle = ()>,
) -> JoinHandle<End<T>> {
    scheduler.spawn(async { End::Value(future.await) }, slot)
}

/// Polls a new task at once, inside the calling task.
pub fn spawn_eager_here<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<End<T>> {
    Scheduler::with_current(|scheduler| {
        scheduler.expect("on a worker").spawn_eager(async { End::Value(future.await) }, NoSlot)
    })
}

/// Spawns on the scheduler of the calling task.
pub fn spawn_here<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<End<T>> {
    Scheduler::with_current(|scheduler| spawn(scheduler.expect("on a worker"), future))
}

/// Awaits a task's end.
pub async fn join<T: std::fmt::Debug>(handle: JoinHandle<End<T>>) -> T {
    end(handle).await.value()
}

/// Waits for tasks on a thread that is no worker.
pub fn join_all<T: std::fmt::Debug>(handles: impl IntoIterator<Item = JoinHandle<End<T>>>) -> Vec<T> {
    handles.into_iter().map(|handle| block_on(join(handle))).collect()
}

pub async fn end<T>(mut handle: JoinHandle<End<T>>) -> End<T> {
    poll_fn(|cx| handle.poll_join(cx)).await.expect("taken once")
}

struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on a thread that is no worker.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Runs `main` as a task and waits for it.
pub fn run<T: Send + std::fmt::Debug + 'static>(
    scheduler: &Scheduler,
    main: impl Future<Output = T> + Send + 'static,
) -> T {
    block_on(join(spawn(scheduler, main)))
}

/// Starts a scheduler, runs `main`, closes, and checks that nothing is left.
pub fn with_workers<T: Send + std::fmt::Debug + 'static>(
    workers: usize,
    main: impl Future<Output = T> + Send + 'static,
) -> T {
    let scheduler = start(workers);
    let result = run(&scheduler, main);
    close(&scheduler);
    result
}

/// Pending once, and wakes itself at once.
#[derive(Default)]
pub struct YieldNow(bool);

impl Future for YieldNow {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

pub fn yield_now() -> YieldNow {
    YieldNow::default()
}

/// Counts how often it is dropped.
#[derive(Default)]
pub struct DropCount(pub Arc<AtomicUsize>);

impl Drop for DropCount {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A number that threads share.
#[derive(Clone, Default)]
pub struct Count(pub Arc<AtomicUsize>);

impl Count {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// One less.
    pub fn take(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// At least `n` from now on.
    pub fn raise(&self, n: usize) {
        self.0.fetch_max(n, Ordering::SeqCst);
    }

    /// Something that counts here when it is dropped.
    pub fn on_drop(&self) -> DropCount {
        DropCount(Arc::clone(&self.0))
    }
}

/// A waker that calls `f` when woken.
pub fn waker_of(f: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Call<F>(F);
    impl<F: Fn() + Send + Sync> Wake for Call<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    Waker::from(Arc::new(Call(f)))
}

/// Calls `f` when dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A panic payload whose own drop panics.
pub struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("{ON_PURPOSE}: the drop of a payload");
    }
}
