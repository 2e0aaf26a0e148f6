//! Do values that are nested a hundred thousand deep work on a stack of 2 MiB? They are made, used,
//! cancelled, printed and dropped without recursion.
//!
//! Workers have such a stack, and so has the thread that runs each row. In a debug build a tenth of
//! that depth is enough: a level of recursion takes at least some hundred bytes, so the stack would
//! overflow, and the test takes a minute less. `make test-depth` runs it in release.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as PollContext, Poll, Waker};
use std::thread;
use std::time::Duration;

use selvedge::{
    BlockingTask, Context, ContextVar, Error, ExceptionGroup, Result, Runner, Task, TaskHandle, as_completed,
    capture_call_graph, copy_context, create_task, gather, get_running_loop, shield, sleep, task, task_group,
    timeout, wait, wait_for,
};
use selvedge_tests::LONG;

const DEEP: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
const STACK: usize = 2 << 20;

/// Runs a row on a thread with a small stack.
fn on_a_small_stack(row: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(STACK).spawn(row).expect("there is a thread to be had");
    thread.join().expect("the row holds");
}

/// Runs a coroutine, and drops its result after the loop is closed.
fn run<C: selvedge::Coroutine>(main: C) {
    on_a_small_stack(move || {
        let runner = Runner::builder()
            .workers(2)
            .shutdown_timeout(Duration::from_mins(5))
            .build()
            .expect("a loop can be had");
        let left = runner.run(main).expect("the row holds");
        runner.close();
        drop(left);
    });
}

// ---------------------------------------------------------------- errors

fn group(inner: Error) -> Error {
    ExceptionGroup::new("around", vec![inner, Error::msg("beside")]).into()
}

/// An error of the program that contains one of ours.
#[derive(Debug)]
struct Around(Error);

impl fmt::Display for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "around {}", self.0)
    }
}

impl StdError for Around {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.as_std())
    }
}

fn nested(around: impl Fn(Error) -> Error) -> Error {
    (0..DEEP).fold(io::Error::from_raw_os_error(111).into(), |inner, _| around(inner))
}

#[test]
fn errors_are_printed_asked_and_dropped() {
    on_a_small_stack(|| {
        let groups = nested(group);
        let of_one = nested(|inner| ExceptionGroup::new("around", vec![inner]).into());
        let boxed = nested(|inner| Error::from_boxed(inner.into()));
        let system = nested(|inner| Error::from(io::Error::from(group(inner))));
        let programs = nested(|inner| Around(inner).into());
        let mixed = nested(|inner| Error::from_boxed(Around(group(inner)).into()));
        for error in [groups, of_one, boxed, system, programs, mixed] {
            let shown = [error.to_string(), format!("{error:?}"), format!("{error:#?}")];
            assert!(shown.iter().all(|text| text.len() < 20_000), "it is cut short: {}", shown[0]);
            let clones = vec![error.clone(); 3];
            drop(error);
            drop(clones);
        }
        let of_one = nested(|inner| ExceptionGroup::new("around", vec![inner]).into());
        assert_eq!(of_one.raw_os_error(), Some(111));
        assert!(of_one.to_string().ends_with(&format!("; and {} more", DEEP - 100)), "{of_one}");
        let programs = nested(|inner| Around(inner).into());
        assert_eq!(programs.raw_os_error(), Some(111));
        assert!(programs.to_string().ends_with(&format!("and {} causes)", DEEP - 32)), "{programs}");
    });
}

fn leaves(error: &Error) -> usize {
    let (mut open, mut count) = (vec![error], 0);
    while let Some(error) = open.pop() {
        match error.downcast_ref::<ExceptionGroup>() {
            Some(group) => open.extend(group.exceptions()),
            None => count += 1,
        }
    }
    count
}

// ---------------------------------------------------------------- tasks that await each other

type Nested = Pin<Box<dyn Future<Output = Result<usize>> + Send>>;

/// The wrapper between a task and the next one that it makes.
type Between = fn(Nested) -> Nested;

const BETWEEN: [(&str, Between); 9] = [
    ("a task", |inner| Box::pin(create_task(inner))),
    ("a group", |inner| Box::pin(task_group(async |group| group.create_task(inner).await))),
    ("a group that is left", |inner| {
        Box::pin(async {
            task_group(async move |group| {
                group.create_task(inner);
                Ok(())
            })
            .await?;
            Ok(1)
        })
    }),
    ("a gathering", |inner| Box::pin(async { Ok(gather([inner]).await?[0]) })),
    ("a shield", |inner| Box::pin(shield(inner))),
    ("wait_for", |inner| Box::pin(wait_for(create_task(inner), LONG))),
    ("timeout", |inner| Box::pin(timeout(LONG, async |_| create_task(inner).await))),
    ("wait", |inner| {
        Box::pin(async {
            let (mut over, _) = wait([create_task(inner)]).await?;
            over.remove(0).await
        })
    }),
    ("as_completed", |inner| Box::pin(async { as_completed([inner]).next().await.expect("there is one") })),
];

fn nest(depth: usize, between: Between, innermost: fn() -> Nested) -> Nested {
    Box::pin(async move {
        if depth == 0 { innermost().await } else { between(nest(depth - 1, between, innermost)).await }
    })
}

fn each_between(check: fn(Between) -> Nested) {
    for (name, between) in BETWEEN {
        println!("{name}");
        run(check(between));
    }
}

#[test]
fn tasks_that_await_each_other_end() {
    each_between(|between| nest(DEEP, between, || Box::pin(async { Ok(1) })));
}

#[test]
fn tasks_that_await_each_other_fail() {
    each_between(|between| {
        Box::pin(async move {
            let task = create_task(nest(DEEP, between, || Box::pin(async { Err(Error::msg("bottom")) })));
            let error = task.await.expect_err("the innermost one fails");
            assert!(leaves(&error) == 1 && format!("{error} {error:?}").len() < 20_000);
            let handle = error.clone();
            drop(error);
            drop(handle);
            Ok(1)
        })
    });
}

#[test]
fn tasks_that_await_each_other_are_cancelled() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    each_between(|between| {
        Box::pin(async move {
            let before = STARTED.load(Ordering::Relaxed);
            let innermost: fn() -> Nested = || {
                STARTED.fetch_add(1, Ordering::Relaxed);
                Box::pin(sleep(LONG).returning(1))
            };
            let task = create_task(nest(DEEP, between, innermost));
            while STARTED.load(Ordering::Relaxed) == before {
                sleep(Duration::ZERO).await?;
            }
            task.cancel();
            assert!(task.await.is_err_and(|error| error.is_cancelled()));
            Ok(1)
        })
    });
}

#[test]
fn tasks_that_await_each_other_are_cancelled_by_the_loops_end() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    each_between(|between| {
        Box::pin(async move {
            let before = STARTED.load(Ordering::Relaxed);
            let innermost: fn() -> Nested = || {
                STARTED.fetch_add(1, Ordering::Relaxed);
                Box::pin(sleep(LONG).returning(1))
            };
            drop(create_task(nest(DEEP, between, innermost)));
            while STARTED.load(Ordering::Relaxed) == before {
                sleep(Duration::ZERO).await?;
            }
            Ok(1)
        })
    });
}

#[test]
fn a_row_of_awaits_is_captured_and_printed() {
    run(async {
        let inner = create_task(sleep(LONG).returning(0));
        let handle = inner.handle();
        let outermost = (0..DEEP).fold(inner, |inner, _| create_task(inner));
        // All tasks have reached their awaits.
        while all_tasks_await(&handle)? < 1 {
            sleep(Duration::ZERO).await?;
        }
        let graph = capture_call_graph(&handle, 1)?.expect("it was named");
        let text = graph.to_string();
        assert!(text.ends_with("others, not shown"), "{text}");
        assert!(text.len() < 100_000 && format!("{graph:?}").len() < 10_000);
        let again = graph.clone();
        drop(graph);
        assert_eq!(again.to_string(), text);
        drop((again, outermost));
        Ok(())
    });
}

fn all_tasks_await(handle: &TaskHandle) -> Result<usize> {
    Ok(capture_call_graph(handle, 0)?.expect("it was named").awaited_by().len())
}

#[test]
fn eager_starts_lie_inside_each_other() {
    fn eager(depth: usize) -> Nested {
        Box::pin(async move {
            if depth == 0 {
                return Ok(0);
            }
            let inner = task::Builder::new().eager_start(true).create_task(eager(depth - 1))?;
            Ok(inner.await? + 1)
        })
    }
    run(async {
        assert_eq!(eager(DEEP).await?, DEEP);
        Ok(())
    });
}

// ---------------------------------------------------------------- values that contain the next

/// Counts its drops, and contains the next link.
struct Link<T>(Option<T>, Arc<AtomicUsize>);

impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Each link contains a value made of the link before, and is dropped with it: on a worker, and
/// after the end of the loop.
fn row_of<T: Send + 'static>(made_of: fn(Link<T>) -> T) {
    for at_end in [false, true] {
        on_a_small_stack(move || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&dropped);
            let runner = Runner::builder().workers(2).build().expect("a loop can be had");
            let row = runner.run(async move {
                Ok((0..DEEP).fold(None, |next, _| Some(made_of(Link(next, Arc::clone(&count))))))
            });
            let row = row.expect("it is made");
            if at_end {
                runner.close();
                drop(row);
            } else {
                let ended = runner.run(async move {
                    // The tasks behind the handles have ended.
                    sleep(Duration::from_millis(1)).await?;
                    drop(row);
                    Ok(())
                });
                ended.expect("it is dropped");
                runner.close();
            }
            assert_eq!(dropped.load(Ordering::Relaxed), DEEP);
        });
    }
}

struct TaskOf(#[expect(dead_code, reason = "it is only kept")] Task<Link<TaskOf>>);
struct EagerOf(#[expect(dead_code, reason = "it is only kept")] Task<Link<EagerOf>>);
struct BlockingOf(#[expect(dead_code, reason = "it is only kept")] BlockingTask<Link<BlockingOf>>);
#[derive(Clone)]
struct FutureOf(#[expect(dead_code, reason = "it is only kept")] selvedge::Future<Arc<Link<FutureOf>>>);
#[derive(Clone)]
struct ContextOf(#[expect(dead_code, reason = "it is only kept")] Context);
struct CaptureOf(#[expect(dead_code, reason = "it is only kept")] selvedge::Future<()>);
struct CoroutineOf(#[expect(dead_code, reason = "it is only kept")] Task<()>);

#[test]
fn tasks_whose_values_are_tasks_are_dropped() {
    row_of::<TaskOf>(|link| TaskOf(create_task(async { Ok(link) })));
    row_of::<EagerOf>(|link| {
        let builder = task::Builder::new().eager_start(true);
        EagerOf(builder.create_task(async { Ok(link) }).expect("a loop runs this"))
    });
}

#[test]
fn functions_whose_values_are_functions_are_dropped() {
    row_of::<BlockingOf>(|link| {
        BlockingOf(get_running_loop().expect("a loop runs this").run_in_executor(None, || link))
    });
}

#[test]
fn futures_whose_values_are_futures_are_dropped() {
    row_of::<FutureOf>(|link| {
        let future = get_running_loop().expect("a loop runs this").create_future();
        future.set_result(Arc::new(link)).expect("it is new");
        FutureOf(future)
    });
}

#[test]
fn callbacks_that_hold_futures_with_callbacks_are_dropped() {
    row_of::<CaptureOf>(|link| {
        let future = get_running_loop().expect("a loop runs this").create_future();
        future.add_done_callback(move |_| drop(link));
        CaptureOf(future)
    });
}

#[test]
fn coroutines_that_hold_tasks_are_dropped() {
    row_of::<CoroutineOf>(|link| {
        CoroutineOf(create_task(async move {
            let _link = link;
            sleep(Duration::ZERO).await
        }))
    });
}

#[test]
fn context_variables_whose_values_are_contexts_are_dropped() {
    static VAR: ContextVar<Arc<Link<ContextOf>>> = ContextVar::new("link");
    row_of::<ContextOf>(|link| {
        let context = Context::new();
        context.run(|| VAR.set(Arc::new(link)));
        ContextOf(context)
    });
}

#[test]
fn contexts_are_copied_from_contexts() {
    static VAR: ContextVar<usize> = ContextVar::new("depth");
    run(async {
        let mut contexts = vec![copy_context()];
        for depth in 0..DEEP {
            let inner = contexts[depth].copy();
            inner.run(|| VAR.set(depth));
            contexts.push(inner);
        }
        assert_eq!(contexts[DEEP].run(|| VAR.get()), Some(DEEP - 1));
        assert!(!format!("{:?}", contexts[DEEP]).is_empty());
        Ok(contexts)
    });
}

// ---------------------------------------------------------------- callbacks that complete the next

#[test]
fn callbacks_complete_the_next_future() {
    for is_closed in [false, true] {
        on_a_small_stack(move || {
            let runner = Runner::builder().workers(2).build().expect("a loop can be had");
            let event_loop = runner.get_loop();
            if is_closed {
                runner.close();
            }
            let first = event_loop.create_future::<()>();
            let mut last = first.clone();
            for _ in 0..DEEP {
                let next = event_loop.create_future();
                let completed = next.clone();
                last.add_done_callback(move |_| completed.set_result(()).expect("once"));
                last = next;
            }
            first.set_result(()).expect("it is new");
            if !is_closed {
                runner.run(last.clone()).expect("it is completed");
            }
            assert!(last.done());
        });
    }
}

#[test]
fn callbacks_of_tasks_complete_the_next_task() {
    for is_closed in [false, true] {
        on_a_small_stack(move || {
            let runner = Runner::builder().workers(2).build().expect("a loop can be had");
            let event_loop = runner.get_loop();
            let first = event_loop.create_future::<()>();
            let mut last = first.clone();
            for _ in 0..DEEP {
                let next = event_loop.create_future();
                let task = event_loop.create_task(last);
                let completed = next.clone();
                task.add_done_callback(move |_| _ = completed.set_result(()));
                last = next;
            }
            if is_closed {
                runner.close();
                assert!(last.done(), "each task was cancelled, and its callback was called");
            } else {
                first.set_result(()).expect("it is new");
                runner.run(last).expect("it is completed");
            }
        });
    }
}

/// A waker that completes the next future when it is woken.
#[test]
fn wakers_wake_the_next() {
    struct Next(selvedge::Future<()>);

    impl std::task::Wake for Next {
        fn wake(self: Arc<Self>) {
            let _ = self.0.set_result(());
        }
    }

    on_a_small_stack(|| {
        let runner = Runner::builder().workers(1).build().expect("a loop can be had");
        let event_loop = runner.get_loop();
        // Only a few: a waker runs in the call that wakes it, so this recursion cannot be avoided.
        let (first, mut futures) = (event_loop.create_future::<()>(), Vec::new());
        let mut last = first.clone();
        for _ in 0..100 {
            let next = event_loop.create_future();
            let waker = Waker::from(Arc::new(Next(next.clone())));
            assert!(Pin::new(&mut last).poll(&mut PollContext::from_waker(&waker)).is_pending());
            futures.push(std::mem::replace(&mut last, next));
        }
        first.set_result(()).expect("it is new");
        assert!(matches!(
            Pin::new(&mut last).poll(&mut PollContext::from_waker(Waker::noop())),
            Poll::Ready(_)
        ));
    });
}
