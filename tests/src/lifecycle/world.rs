//! How does a program run, and what is checked while it does?

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use selvedge::{
    ALL_COMPLETED, Error, EventLoop, Result, Runner, TaskHandle, create_task, current_task, gather,
    get_running_loop, shield, sleep, task, task_group, timeout, to_thread, wait, wait_for,
};

use super::{Program, Step};
use crate::MOMENT;

/// The loop on which a program runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many threads run tasks.
    pub workers: usize,
    /// Whether the clock is virtual.
    pub virtual_time: bool,
}

/// The number of cancellation rounds in which a program must end: a task swallows at most one
/// request in each of its steps.
const ROUNDS: usize = 2_000;
const PANIC: &str = "on purpose";

type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// Runs `program` and all tasks that it starts to the end.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(program: Program, settings: Settings) {
    let world = Arc::new(World::default());
    let runner = Runner::builder()
        .workers(settings.workers)
        .virtual_time(settings.virtual_time)
        .build()
        .expect("threads can be started");
    let event_loop = runner.get_loop();
    event_loop.set_exception_handler(|_, _| ());
    let start = Arc::clone(&world);
    let ended = runner.run(async move {
        let first = create_task(start.task(program));
        settle_all(&first.handle(), &start).await;
        // The handle resolves, whatever the result.
        let _ = first.await;
        Ok(())
    });
    assert!(ended.is_ok(), "the main task was not cancelled: {ended:?}");
    runner.close();
    world.check(&event_loop);
}

/// Lets the program run for a while, then cancels every live task until there is none.
async fn settle_all(first: &TaskHandle, world: &World) {
    let _ = wait([first]).timeout(20 * MOMENT).await;
    world.settling.store(true, Ordering::SeqCst);
    let event_loop = get_running_loop().expect("in a loop");
    let main = current_task().expect("in a task");
    for _ in 0..ROUNDS {
        let others: Vec<_> = event_loop.all_tasks().into_iter().filter(|task| *task != main).collect();
        if others.is_empty() {
            return;
        }
        for task in &others {
            task.cancel();
        }
        let _ = wait(&others).timeout(2 * MOMENT).return_when(ALL_COMPLETED).await;
    }
    panic!("these do not end: {:#?}", event_loop.all_tasks());
}

#[derive(Default)]
struct World {
    futures: Tally,
    outputs: Tally,
    tasks: Mutex<Vec<TaskHandle>>,
    /// Whether all tasks are being cancelled. Then the counts include requests that the program did
    /// not make.
    settling: AtomicBool,
    /// The broken promises. A panic would be lost, because it would only end its task.
    broken: Mutex<Vec<String>>,
}

/// Counts the values that were made, and those that were dropped.
#[derive(Clone, Default)]
struct Tally(Arc<(AtomicUsize, AtomicUsize)>);

struct Counted {
    tally: Tally,
    dropped: bool,
}

impl Tally {
    fn one(&self) -> Counted {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        Counted { tally: self.clone(), dropped: false }
    }

    fn alive(&self) -> usize {
        // The drops are read first: a drop between the two reads makes the difference larger, never
        // smaller.
        let dropped = self.0.1.load(Ordering::Relaxed);
        let made = self.0.0.load(Ordering::Relaxed);
        assert!(dropped <= made, "{dropped} drops of {made}");
        made - dropped
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert!(!std::mem::replace(&mut self.dropped, true), "dropped twice");
        self.tally.0.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl World {
    fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.lock().push(what());
        }
    }

    /// A coroutine for a new task.
    fn task(self: &Arc<Self>, program: Program) -> Boxed<Counted> {
        let (world, future) = (Arc::clone(self), self.futures.one());
        Box::pin(async move {
            let _future = future;
            world.tasks.lock().push(current_task().expect("in a task"));
            world.steps(&program).await?;
            Ok(world.outputs.one())
        })
    }

    /// A coroutine that runs in the caller's task.
    fn inline(self: &Arc<Self>, program: Program) -> Boxed<Counted> {
        let (world, future) = (Arc::clone(self), self.futures.one());
        Box::pin(async move {
            let _future = future;
            world.steps(&program).await?;
            Ok(world.outputs.one())
        })
    }

    async fn steps(self: &Arc<Self>, program: &Program) -> Result<()> {
        let mut started = Vec::new();
        for step in program.iter() {
            if let Step::Spawn(program) = step {
                started.push(create_task(self.task(program.clone())));
            } else {
                self.step(step).await?;
            }
        }
        for task in started {
            let _output = task.await?;
        }
        Ok(())
    }

    async fn step(self: &Arc<Self>, step: &Step) -> Result<()> {
        match step {
            Step::Yield => sleep(Duration::ZERO).await,
            Step::Sleep(moments) => sleep(u32::from(*moments) * MOMENT).await,
            Step::Foreign => {
                crate::foreign().await;
                Ok(())
            }
            Step::Thread => to_thread(std::thread::yield_now).await,
            Step::Fail => Err(Error::msg(PANIC)),
            Step::Panic => std::panic::resume_unwind(Box::new(PANIC)),
            Step::Cancel(which) => {
                self.cancel(*which);
                Ok(())
            }
            Step::CancelSelf => {
                current_task().expect("in a task").cancel();
                Ok(())
            }
            Step::CancelAndUncancel => {
                self.cancel_and_uncancel();
                Ok(())
            }
            Step::Count(requests, taken_back) => {
                self.requests_are_counted(u32::from(*requests), u32::from(*taken_back)).await
            }
            Step::Ready => self.ready_is_returned().await,
            step => self.step_over_others(step).await,
        }
    }

    async fn step_over_others(self: &Arc<Self>, step: &Step) -> Result<()> {
        match step {
            Step::Detach(program) => drop(create_task(self.task(program.clone()))),
            Step::SpawnAndCancel(program) => {
                let task = create_task(self.task(program.clone()));
                task.cancel();
                let _ = task.await;
            }
            Step::Eager(program) => {
                let eager = task::Builder::new().eager_start(true);
                let _output = eager.create_task(self.task(program.clone()))?.await?;
            }
            Step::Group(programs) => self.group(programs).await?,
            Step::Gather(programs, false) => {
                let children: Vec<_> = programs.iter().map(|program| self.task(program.clone())).collect();
                let results = gather(children).await?;
                self.require(results.len() == programs.len(), || "gather lost results".into());
            }
            Step::Gather(programs, true) => {
                let children: Vec<_> = programs.iter().map(|program| self.task(program.clone())).collect();
                let results = gather(children).return_exceptions().await?;
                self.require(results.len() == programs.len(), || "gather lost results".into());
            }
            Step::Shield(program) => drop(shield(self.task(program.clone())).await?),
            Step::Timeout(moments, program) => {
                let body = self.inline(program.clone());
                drop(timeout(u32::from(*moments) * MOMENT, async |_| body.await).await?);
            }
            Step::WaitFor(moments, program) => {
                drop(wait_for(self.inline(program.clone()), u32::from(*moments) * MOMENT).await?);
            }
            Step::Swallow(program) => drop(self.inline(program.clone()).await),
            Step::PollOnce(program) => {
                drop(futures_lite::future::poll_once(self.inline(program.clone())).await);
            }
            _ => unreachable!("the others are done by `step` and `steps`"),
        }
        Ok(())
    }

    /// Only this function and `settle_all` can cancel the task.
    async fn requests_are_counted(self: &Arc<Self>, requests: u32, taken_back: u32) -> Result<()> {
        let (future, output) = (self.futures.one(), self.outputs.one());
        let (tell_start, has_started) = async_channel::bounded::<()>(1);
        let (release, released) = async_channel::bounded::<()>(1);
        let task = create_task(async move {
            let _future = future;
            let _ = tell_start.try_send(());
            while !released.is_closed() {
                let _ = sleep(MOMENT).await;
            }
            Ok(output)
        });
        // A request before the first poll would end the task before it has begun.
        let _ = selvedge::cancellable(has_started.recv()).await?;
        let taken = (0..requests).map(|_| u32::from(task.cancel())).sum::<u32>();
        let taken_back = taken_back.min(taken);
        for _ in 0..taken_back {
            task.uncancel();
        }
        let counted = task.cancelling();
        let disturbed = self.settling.load(Ordering::SeqCst);
        let balanced = (taken, counted) == (requests, requests - taken_back);
        self.require(balanced || disturbed, || {
            format!("{counted} of {requests} - {taken_back} ({taken} taken)")
        });
        drop(release);
        Ok(())
    }

    /// Other tasks may cancel this task meanwhile, so the counts have bounds instead of exact
    /// values.
    fn cancel_and_uncancel(&self) {
        let this = current_task().expect("in a task");
        self.require(this.cancel(), || "a task that runs refused a request".into());
        let counted = this.cancelling();
        let left = this.uncancel();
        self.require(counted >= 1 && left + 1 >= counted, || format!("{counted} requests, then {left}"));
    }

    /// A result that is ready is lost neither to a request nor to a deadline that has passed.
    async fn ready_is_returned(&self) -> Result<()> {
        let future = get_running_loop()?.create_future();
        future.set_result(7)?;
        current_task().expect("in a task").cancel();
        let awaited = wait_for(&future, Duration::ZERO).await;
        self.require(awaited.as_ref().ok() == Some(&7), || format!("lost what was ready: {awaited:?}"));
        current_task().expect("in a task").uncancel();
        Ok(())
    }

    async fn group(self: &Arc<Self>, programs: &[Program]) -> Result<()> {
        let members = Tally::default();
        let count = members.clone();
        let (body, children) = programs.split_last().expect("not empty");
        let ended = task_group(async |tg| {
            for child in children {
                let (member, child) = (count.one(), self.task(child.clone()));
                tg.create_task(async move {
                    let _member = member;
                    child.await
                });
            }
            self.inline(body.clone()).await
        })
        .await;
        self.require(members.alive() == 0, || format!("a group ended before {} tasks", members.alive()));
        ended.map(drop)
    }

    fn cancel(&self, which: u8) {
        let task = {
            let tasks = self.tasks.lock();
            tasks[usize::from(which) % tasks.len()].clone()
        };
        let was_done = task.done();
        self.require(!(task.cancel() && was_done), || "a task that is done took a request".into());
    }

    fn check(&self, event_loop: &EventLoop) {
        assert_eq!(*self.broken.lock(), [""; 0]);
        assert_eq!(event_loop.all_tasks(), [], "tasks live on");
        for task in self.tasks.lock().drain(..) {
            assert!(task.done(), "{task:?}");
        }
        assert_eq!((self.futures.alive(), self.outputs.alive()), (0, 0), "futures and outputs live on");
    }
}
