//! A program for `tests/contained.rs`, in which user code panics while no task awaits it. The first
//! argument selects the code that panics, the second one the thread.
//!
//! It prints "returned" when the loop is closed and no panic has left the library.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context as PollContext, Wake, Waker};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use selvedge::{
    BlockingTask, Context, ContextVar, Error, EventLoop, ExceptionContext, ExceptionGroup, Result, Runner,
    Task, ThreadPoolExecutor, create_task, get_running_loop, run_coroutine_threadsafe, sleep, task_group,
    to_thread, wait,
};

/// An error that panics when it is printed, when its source is read, and when it is dropped.
struct Bad;

impl fmt::Debug for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Debug")
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display")
    }
}

impl StdError for Bad {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        panic!("in source")
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("in Drop")
    }
}

/// An error whose printing fails without a panic.
#[derive(Clone, Copy)]
struct Mute;

impl fmt::Debug for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl fmt::Display for Mute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

impl StdError for Mute {}

/// A panic payload that panics when it is dropped, with another payload of this kind.
struct Payload(u32);

impl Drop for Payload {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Payload(self.0 - 1));
        }
    }
}

/// A waker all of whose operations panic.
struct BadWaker;

/// Keeps the wakers, so that they are never dropped and are no leak.
static KEPT: Mutex<Vec<Arc<BadWaker>>> = Mutex::new(Vec::new());

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        panic!("in a waker")
    }
}

impl Drop for BadWaker {
    fn drop(&mut self) {
        panic!("in a waker's Drop")
    }
}

#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Act = Box<dyn FnOnce() + Send>;

#[expect(clippy::unnecessary_wraps, reason = "arms of the table end with it")]
fn act(act: impl FnOnce() + Send + 'static) -> Result<Act> {
    Ok(Box::new(act))
}

async fn ended<T: Send + 'static>(task: Task<T>) -> Result<Task<T>> {
    wait([&task]).await?;
    Ok(task)
}

async fn failed(error: impl Into<Error> + Send + 'static) -> Result<Task<()>> {
    ended(create_task(async { Err(error.into()) })).await
}

fn captures(what: Bad) -> impl FnOnce() + Send {
    move || drop(what)
}

static VAR: ContextVar<Arc<Bad>> = ContextVar::new("bad");
static OTHER: ContextVar<Arc<Bad>> = ContextVar::new("bad too");

fn polled_by<F: Future + Unpin>(future: &mut F, waker: &Waker) {
    assert!(Pin::new(future).poll(&mut PollContext::from_waker(waker)).is_pending());
}

/// Prepares the action that the requested thread will run.
#[expect(clippy::too_many_lines, reason = "a table: one arm for each case")]
async fn prepare(case: String) -> Result<Act> {
    let here = get_running_loop()?;
    match &*case {
        "a task's error" => drops(failed(Bad).await?),
        "a task's mute error" => drops(failed(Mute).await?),
        "a task's errors" => drops(
            failed(ExceptionGroup::new("both", vec![Bad.into(), Error::msg("good"), Bad.into()])).await?,
        ),
        "a future's error" => {
            let future = here.create_future::<()>();
            future.set_exception(Bad)?;
            drops(future)
        }
        "a report" => act(move || report(&here, Bad)),
        "a handler" => {
            here.set_exception_handler(|_, _| panic!("in the handler"));
            act(move || report(&here, Bad))
        }
        "a handler's payload" => {
            here.set_exception_handler(|_, _| panic_any(Payload(3)));
            act(move || report(&here, Bad))
        }
        "a handler that prints" => {
            here.set_exception_handler(|_, context| eprintln!("handled: {context} {context:?}"));
            act(move || report(&here, Bad))
        }
        "a handler that goes" => {
            let bad = Bad;
            here.set_exception_handler(move |_, _| _ = &bad);
            act(move || here.reset_exception_handler())
        }
        "a handler that goes in its call" => {
            let bad = Bad;
            here.set_exception_handler(move |here, _| {
                let _ = &bad;
                here.reset_exception_handler();
            });
            act(move || report(&here, Mute))
        }
        "a handler that stays" => {
            let bad = Bad;
            here.set_exception_handler(move |_, _| _ = &bad);
            act(|| ())
        }
        "an error that is asked" => {
            let error = Error::from(Bad);
            act(move || assert!(error.raw_os_error().is_none()))
        }
        "a main that fails" => act(|| {
            // The code that `#[selvedge::main]` calls. It panics, because it has no other way to
            // report the error.
            let main =
                || selvedge::__private::main_without_result(Runner::builder(), async { Err(Bad.into()) });
            let runs = thread::spawn(move || catch_unwind(AssertUnwindSafe(main)));
            assert!(runs.join().expect("it is caught").is_err());
        }),
        "errors that are dropped" => drops(ExceptionGroup::new("both", vec![Bad.into(), Bad.into()])),
        "a task's value" => drops(ended(create_task(async { Ok(Bad) })).await?),
        "a task's payload" => {
            drops(ended(create_task(async { if true { panic_any(Payload(3)) } else { Ok(()) } })).await?)
        }
        "a coroutine" => {
            let bad = Bad;
            let task = create_task(async move {
                let _bad = bad;
                std::future::pending::<Result<()>>().await
            });
            sleep(Duration::ZERO).await?;
            act(move || _ = task.cancel())
        }
        "a coroutine that is refused" => {
            let mut group = None;
            task_group(async |it| {
                group = Some(it);
                Ok(())
            })
            .await?;
            let (bad, group) = (Bad, group.expect("it was given"));
            // Only a worker can do this.
            let task = group.create_task(async move {
                drop(bad);
                Ok(())
            });
            drops(task)
        }
        "a body whose group fails" => {
            let outcome = task_group(async |group| {
                let _ = group.create_task(async { Err::<(), _>(Error::msg("told")) }).await;
                Ok(Bad)
            });
            let error = outcome.await.expect_err("a task failed");
            assert!(error.to_string().contains("told"), "{error}");
            act(|| ())
        }
        "a function's value" => {
            let (give, get) = mpsc::channel();
            let function = here.run_in_executor(None, move || (give.send(()), Bad).1);
            to_thread(move || get.recv()).await??;
            drops(function)
        }
        "a function's late value" => {
            let (function, give) = blocked(&here, None).await?;
            act(move || {
                drop(function);
                let _ = give.send(());
            })
        }
        "a function that is refused" => {
            let executor = ThreadPoolExecutor::new(1)?;
            executor.shutdown();
            act(move || drop(here.run_in_executor(Some(&executor), captures(Bad))))
        }
        "functions one after the other" => {
            let executor = ThreadPoolExecutor::new(1)?;
            let panics = here.run_in_executor(Some(&executor), || {
                if true {
                    panic_any(Payload(3))
                }
            });
            assert!(panics.await.is_err_and(|error| error.is_panic()));
            let (function, give) = blocked(&here, Some(&executor)).await?;
            drop(function);
            give.send(())?;
            // The queue must still work.
            here.run_in_executor(Some(&executor), || ()).await?;
            act(|| ())
        }
        "a thread's result" => {
            let future = run_coroutine_threadsafe(async { Ok(Bad) }, &here);
            while !future.done() {
                sleep(Duration::ZERO).await?;
            }
            act(move || {
                assert!(future.exception(None).expect("it is done").is_none());
                drop(future);
            })
        }
        "a future's value" => {
            let future = here.create_future();
            future.set_result(Arc::new(Bad))?;
            drops(future)
        }
        "a value that comes too late" => {
            let future = here.create_future();
            future.cancel();
            act(move || assert!(future.set_result(Arc::new(Bad)).is_err()))
        }
        "callbacks that are not called" => {
            let future = here.create_future::<()>();
            for bad in [Bad, Bad] {
                future.add_done_callback(move |_| drop(bad));
            }
            drops(future)
        }
        "a callback that is removed" => {
            let task = create_task(sleep(Duration::from_hours(1)));
            let bad = Bad;
            let id = task.add_done_callback(move |_| drop(bad));
            act(move || _ = task.remove_done_callback(id))
        }
        "callbacks that are called" => {
            let (future, told) = (here.create_future::<()>(), here.create_future::<()>());
            future.add_done_callback(|_| panic!("in a callback"));
            future.add_done_callback(|_| panic_any(Payload(3)));
            let tells = told.clone();
            future.add_done_callback(move |_| tells.set_result(()).expect("once"));
            future.set_result(())?;
            told.await?;
            act(|| ())
        }
        "a task's callbacks" => {
            let (task, told) = (ended(create_task(async { Ok(()) })).await?, here.create_future::<()>());
            task.add_done_callback(|_| panic!("in a callback"));
            task.add_done_callback(|_| panic_any(Payload(3)));
            let tells = told.clone();
            task.add_done_callback(move |_| tells.set_result(()).expect("once"));
            told.await?;
            act(|| ())
        }
        "a call that is cancelled" => {
            let call = here.call_later(Duration::from_hours(1), captures(Bad));
            act(move || call.cancel())
        }
        "a call" => {
            here.call_soon(|| panic_any(Payload(3)));
            act(|| ())
        }
        #[cfg(unix)]
        "a signal's handlers" => {
            let (one, other) = (Bad, Bad);
            here.add_signal_handler(selvedge::signal::SIGUSR1, move || _ = &one)?;
            act(move || {
                if here.add_signal_handler(selvedge::signal::SIGUSR1, move || _ = &other).is_ok() {
                    assert!(here.remove_signal_handler(selvedge::signal::SIGUSR1).expect("it is a signal"));
                }
            })
        }
        "a context's values" => {
            let context = Context::new();
            context.run(|| (VAR.set(Arc::new(Bad)), OTHER.set(Arc::new(Bad))));
            drops(context)
        }
        "a variable that is set anew" => act(|| {
            VAR.set(Arc::new(Bad));
            VAR.set(Arc::new(Bad));
        }),
        "wakers of a future" => {
            let future = here.create_future::<()>();
            let (mut first, mut last, counts) = (future.clone(), future.clone(), Arc::new(Counts::default()));
            let keep = Arc::new(BadWaker);
            polled_by(&mut first, &Waker::from(Arc::clone(&keep)));
            polled_by(&mut last, &Waker::from(Arc::clone(&counts)));
            act(move || {
                // The task that made the wakers may have ended since, and woken them.
                let before = counts.0.load(Ordering::Relaxed);
                future.set_result(()).expect("it is new");
                assert_eq!(counts.0.load(Ordering::Relaxed), before + 1);
                drop((first, last));
                KEPT.lock().push(keep);
            })
        }
        "wakers of waits" => {
            let future = here.create_future::<()>();
            let task = create_task(future.clone());
            let (mut first, mut last) = (wait([task.handle()]), wait([task.handle()]));
            let (keep, counts) = (Arc::new(BadWaker), Arc::new(Counts::default()));
            polled_by(&mut first, &Waker::from(Arc::clone(&keep)));
            polled_by(&mut last, &Waker::from(Arc::clone(&counts)));
            future.set_result(())?;
            let task = ended(task).await?;
            // The task counts as done before its watchers are notified.
            while counts.0.load(Ordering::Relaxed) == 0 {
                sleep(Duration::from_millis(1)).await?;
            }
            act(move || {
                drop((task, first, last));
                KEPT.lock().push(keep);
            })
        }
        "the loop's end" => {
            create_task(async {
                let _ = sleep(Duration::from_hours(1)).await;
                Err::<(), _>(Bad.into())
            });
            sleep(Duration::from_millis(1)).await?;
            act(|| ())
        }
        _ => unreachable!("unknown case"),
    }
}

/// A function that has begun. It returns its bad value when the test releases it.
async fn blocked(
    event_loop: &EventLoop,
    executor: Option<&ThreadPoolExecutor>,
) -> Result<(BlockingTask<Bad>, mpsc::Sender<()>)> {
    let ((begin, started), (give, get)) = (mpsc::channel(), mpsc::channel());
    let function = event_loop.run_in_executor(executor, move || (begin.send(()), get.recv(), Bad).2);
    to_thread(move || started.recv()).await??;
    Ok((function, give))
}

fn drops(what: impl Send + 'static) -> Result<Act> {
    act(move || drop(what))
}

fn report(event_loop: &EventLoop, error: impl Into<Error>) {
    event_loop.call_exception_handler(&ExceptionContext::new("told").with_exception(error.into()));
}

fn main() -> Result<()> {
    let [case, place] = [1, 2].map(|at| std::env::args().nth(at).expect("it is given"));
    let runner = Runner::builder().workers(2).build()?;
    let act = runner.run(prepare(case))?;
    match &*place {
        "worker" => runner.run(async {
            act();
            Ok(())
        })?,
        "pool" => runner.run(to_thread(act))?,
        "foreign" => thread::spawn(act).join().expect("it does not unwind"),
        "main" => act(),
        "closed" => {
            runner.close();
            act();
        }
        _ => unreachable!("unknown place"),
    }
    runner.close();
    println!("returned");
    Ok(())
}
