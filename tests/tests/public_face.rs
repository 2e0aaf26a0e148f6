//! Does every promised name exist, with the promised parameters and results? Other tests cover the
//! behaviour of the items. Here a changed signature does not compile, and a time limit that no
//! clock can represent must do no harm.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::time::{Duration, Instant};

use futures_core::Stream;
use selvedge::{
    ALL_COMPLETED, Activity, AnyFuture, AsCompleted, CallbackId, CancelledError, ConcurrentFuture, Context,
    ContextVar, Error, EventLoop, ExceptionGroup, FIRST_COMPLETED, FIRST_EXCEPTION, FrameCallGraphEntry,
    FutureCallGraph, InvalidStateError, KeyboardInterrupt, PanicError, Result, Runner, RuntimeError, Task,
    TaskGroup, TaskHandle, ThreadPoolExecutor, TimeoutError, Token, as_completed, cancellable,
    capture_call_graph, copy_context, create_task, current_task, ensure_future, format_call_graph,
    future_add_to_awaited_by, future_discard_from_awaited_by, gather, get_running_loop, print_call_graph,
    run_coroutine_threadsafe, shield, sleep, task, task_group, timeout, timeout_at, to_thread,
    try_create_task, wait, wait_for,
};
use selvedge_tests::settle;

const MAX: Duration = Duration::MAX;

fn is_shared<T: Send + Sync>() {}
fn is_handle<T: Clone + Send + Sync>() {}
fn is_key<T: Clone + Eq + Hash + Debug + Send + Sync>() {}
fn is_stream<S: Stream<Item = Result<u32>>>() {}
fn is_shown<T: Debug + Display>() {}
fn is_error<T: std::error::Error + Clone + Send + Sync + 'static>() {}

#[test]
fn the_types_are_what_they_are_said_to_be() {
    is_handle::<Error>();
    is_handle::<AnyFuture>();
    is_handle::<FutureCallGraph>();
    is_handle::<EventLoop>();
    is_handle::<TaskGroup>();
    is_handle::<selvedge::Timeout>();
    is_handle::<selvedge::Future<String>>();
    is_handle::<Context>();
    is_handle::<ThreadPoolExecutor>();
    is_handle::<selvedge::streams::Server>();
    is_handle::<selvedge::streams::StreamFeed>();
    is_shared::<selvedge::streams::StreamReader>();
    is_shared::<selvedge::streams::StreamWriter>();
    is_shared::<ContextVar<String>>();
    is_shared::<Task<String>>();
    is_shared::<ConcurrentFuture<String>>();
    is_shared::<Runner>();
    is_key::<TaskHandle>();
    is_key::<CallbackId>();
    is_key::<selvedge::TaskId>();
    is_stream::<AsCompleted<u32>>();
    is_error::<CancelledError>();
    is_error::<TimeoutError>();
    is_error::<InvalidStateError>();
    is_error::<RuntimeError>();
    is_error::<ExceptionGroup>();
    is_error::<PanicError>();
    is_error::<KeyboardInterrupt>();
    is_error::<selvedge::IncompleteReadError>();
    is_error::<selvedge::LimitOverrunError>();
    is_shown::<Error>();
    is_shown::<selvedge::TaskId>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

#[test]
fn errors_have_their_parts() {
    let cancelled = Error::from(CancelledError::with_message("why"));
    assert!(cancelled.is_cancelled() && cancelled.is::<CancelledError>());
    let message: Option<&str> = cancelled.downcast_ref().and_then(CancelledError::message);
    assert_eq!(message, Some("why"));
    assert!(Error::from(TimeoutError::new()).is_timeout());
    assert!(Error::from(PanicError::new("oh")).is_panic());
    let group = ExceptionGroup::new("both", vec![Error::msg("one"), Error::msg("two")]);
    let exceptions: &[Error] = group.exceptions();
    assert_eq!((group.message(), exceptions.len(), group.single().is_none()), ("both", 2, true));
    let standard: Result<()> = (|| Err(std::io::Error::other("disk"))?)();
    let standard = standard.unwrap_err();
    let kind: Option<std::io::ErrorKind> = standard.io_kind();
    let number: Option<i32> = standard.raw_os_error();
    assert!(standard.is::<std::io::Error>() && kind.is_some() && number.is_none());
    let with_another_error: Result<(), std::io::Error> = Err(std::io::Error::other("disk"));
    assert!(with_another_error.is_err());
}

/// The methods of a task, on `Task` and on `TaskHandle`.
macro_rules! has_the_methods_of_a_task {
    ($task:expr) => {{
        let task = $task;
        let done: bool = task.done();
        let cancelled: bool = task.cancelled();
        assert!(!done && !cancelled);
        let exception: Result<Option<Error>> = task.exception();
        assert!(exception.unwrap_err().is::<InvalidStateError>());
        let id: CallbackId = task.add_done_callback(|_task: &TaskHandle| unreachable!("it is taken back"));
        let removed: bool = task.remove_done_callback(id);
        assert!(removed);
        task.set_name("other");
        let name: String = task.get_name();
        assert_eq!(name, "other");
        let context: Context = task.get_context();
        context.run(|| ());
        let coro: task::Coro = task.get_coro();
        assert!(coro.created_at().file().ends_with("public_face.rs"));
        let mut text = Vec::new();
        task.print_stack(None, &mut text)?;
        assert!(!text.is_empty() && !task.get_stack(1).is_empty());
        let handle: TaskHandle = task.handle();
        assert_eq!(handle.id(), task.id());
        let first: bool = task.cancel();
        let second: bool = task.cancel_with("why");
        let requests: u32 = task.cancelling();
        let left: u32 = task.uncancel();
        assert_eq!((first, second, requests, left, task.uncancel()), (true, true, 2, 1, 0));
    }};
}

#[selvedge::test(workers = 1, virtual_time)]
async fn tasks_have_their_methods() -> Result<()> {
    let mut task: Task<u32> = create_task(sleep(MAX).returning(1)).named("one");
    has_the_methods_of_a_task!(&task);
    has_the_methods_of_a_task!(task.handle());
    let result: Result<&u32> = task.result();
    assert!(result.unwrap_err().is::<InvalidStateError>());
    assert!(selvedge::all_tasks().contains(&task.handle()));
    let this: Option<TaskHandle> = current_task();
    assert!(this.is_some());

    settle().await?;
    task.cancel_with("enough");
    let ended: Result<u32> = (&mut task).await;
    assert!(ended.unwrap_err().is_cancelled() && task.cancelled());

    let builder = task::Builder::new().name("built").context(copy_context()).eager_start(true);
    let built: Result<Task<u32>> = builder.create_task(async { Ok(2) });
    assert_eq!(built?.result()?, &2);
    let tried: Result<Task<u32>> = try_create_task(async { Ok(3) });
    assert_eq!(ensure_future(tried?).await?, 3);
    Ok(())
}

#[selvedge::test(workers = 1, virtual_time)]
async fn the_loop_has_its_methods() -> Result<()> {
    let event_loop: EventLoop = get_running_loop()?;
    let future: selvedge::Future<u32> = event_loop.create_future();
    assert!(!future.done() && !future.cancelled() && future.result().is_err() && future.exception().is_err());
    let id: CallbackId = future.add_done_callback(|_: &Result<u32>| unreachable!("it is taken back"));
    let removed: bool = future.remove_done_callback(id);
    assert!(removed);
    future.set_result(1)?;
    assert!(future.set_exception(TimeoutError::new()).is_err());
    let (again, cancelled): (u32, bool) = (future.result()?, future.cancel());
    assert_eq!((again, cancelled, future.await?), (1, false, 1));

    event_loop.call_soon(|| unreachable!("it is cancelled")).cancel();
    event_loop.call_soon_threadsafe(|| unreachable!("it is cancelled")).cancel();
    event_loop.call_later(MAX, || unreachable!("it never comes")).cancel();
    event_loop.call_at(MAX, || unreachable!("it never comes")).cancel();
    let time: Duration = event_loop.time();
    assert!(time < MAX);
    event_loop.set_exception_handler(|_: &EventLoop, _: &selvedge::ExceptionContext| ());
    event_loop.call_exception_handler(&selvedge::ExceptionContext::new("nothing"));
    event_loop.set_debug(true);
    assert!(event_loop.get_debug() && event_loop.is_running() && !event_loop.is_closed());
    assert_eq!(event_loop.metrics().workers.len(), 1);
    let executor = ThreadPoolExecutor::new(1)?;
    assert_eq!(event_loop.run_in_executor(Some(&executor), || 1).await?, 1);
    assert_eq!(event_loop.run_in_executor(None, || 2).await?, 2);
    assert_eq!(event_loop.create_task(async { Ok(3) }).await?, 3);
    #[cfg(unix)]
    {
        let signal: i32 = selvedge::signal::SIGTERM;
        let added: Result<()> = event_loop.add_signal_handler(signal, || ());
        let removed: Result<bool> = event_loop.remove_signal_handler(signal);
        assert!(added.is_ok() && removed?);
    }
    Ok(())
}

#[cfg(unix)]
#[selvedge::test(workers = 1)]
async fn streams_are_made_of_sockets() -> Result<()> {
    let (one, other) = selvedge::net::UnixStream::pair()?;
    let opens: selvedge::streams::OpenConnection = selvedge::open_connection_on(one).limit(1024);
    let (_reader, writer) = opens.await?;
    writer.write("hello")?;
    let readable: Result<()> = other.readable().await;
    let writable: Result<()> = other.writable().await;
    readable.and(writable)?;
    let listener = selvedge::net::TcpListener::bind("127.0.0.1:0").await?;
    let starts: selvedge::streams::StartServer = selvedge::start_server_on(async |_, _| Ok(()), listener);
    let server: selvedge::streams::Server = starts.limit(1024).await?;
    assert_eq!(server.local_addrs().len(), 1);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn what_waits_takes_no_limit_and_the_longest() -> Result<()> {
    assert_eq!(wait_for(async { Ok(1) }, None).await?, 1);
    assert_eq!(wait_for(async { Ok(1) }, MAX).await?, 1);
    assert_eq!(wait_for(async { Ok(1) }, Some(MAX)).await?, 1);
    let limited: Option<Duration> = timeout(MAX, async |cm| {
        assert!(!cm.expired());
        cm.reschedule(MAX)?;
        cm.reschedule(None::<Instant>)?;
        Ok(cm.when())
    })
    .await?;
    assert_eq!(limited, None);
    assert_eq!(timeout(None, async |_cm| Ok(1)).await?, 1);
    assert_eq!(timeout_at(MAX, async |_cm| Ok(1)).await?, 1);
    assert_eq!(timeout_at(Instant::now() + Duration::from_hours(1), async |_cm| Ok(1)).await?, 1);

    for limit in [None, Some(MAX)] {
        for when in [FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED] {
            let task = create_task(async { Ok(1) });
            let (done, pending): (Vec<Task<u32>>, Vec<Task<u32>>) =
                wait([task]).timeout(limit).return_when(when).await?;
            assert_eq!((done.len(), pending.len()), (1, 0));
        }
        let mut results = as_completed([async { Ok(1) }]).timeout(limit);
        let next: Option<Result<u32>> = results.next().await;
        assert_eq!(next.expect("there is one")?, 1);
        assert!(results.next().await.is_none());
    }
    let event_loop = get_running_loop()?;
    let there: ConcurrentFuture<u32> = run_coroutine_threadsafe(async { Ok(1) }, &event_loop);
    let asked = to_thread(move || {
        there.add_done_callback(|_: &TaskHandle| ())?;
        assert!(there.exception(MAX)?.is_none());
        let (done, cancelled, running, cancel) =
            (there.done(), there.cancelled(), there.running(), there.cancel());
        assert_eq!((done, cancelled, running, cancel), (true, false, false, false));
        there.result(MAX)
    });
    assert_eq!(asked.await??, 1);
    Ok(())
}

#[selvedge::test(workers = 2)]
async fn what_gathers_returns_what_it_was_given() -> Result<()> {
    let of_vec: Vec<u32> = gather(vec![async { Ok(1) }]).await?;
    let of_array: [u32; 1] = gather([async { Ok(1) }]).await?;
    let of_tuple: (u32, &str) = gather((async { Ok(1) }, async { Ok("two") })).await?;
    let outcomes: (Result<u32>, Result<()>) =
        gather((async { Ok(1) }, async { Err(Error::msg("no")) })).return_exceptions().await?;
    assert_eq!((of_vec, of_array, of_tuple), (vec![1], [1], (1, "two")));
    assert!(outcomes.0.is_ok() && outcomes.1.is_err());
    let twelve = || async { Ok(1) };
    let t = twelve;
    let many = gather((t(), t(), t(), t(), t(), t(), t(), t(), t(), t(), t(), t())).await?;
    assert_eq!(many.11, 1);

    let mut task = create_task(async { Ok(1) });
    assert_eq!(task.shielded().await?, 1);
    assert_eq!(shield(create_task(async { Ok(2) })).await?, 2);
    assert_eq!(shield(async { Ok(3) }).await?, 3);
    assert_eq!(cancellable(std::future::ready(4)).await?, 4);
    let grouped: u32 = task_group(async |tg: TaskGroup| {
        let task: Task<u32> = tg.create_task(async { Ok(5) });
        task.await
    })
    .await?;
    assert_eq!(grouped, 5);
    task_group(async |tg| {
        tg.create_task(sleep(MAX));
        tg.cancel();
        Ok(())
    })
    .await
}

#[selvedge::test(workers = 1, virtual_time)]
async fn call_graphs_have_their_parts() -> Result<()> {
    async fn rests() -> Result<()> {
        sleep(MAX).await
    }
    let task = create_task(rests());
    let future: selvedge::Future<u32> = get_running_loop()?.create_future();
    settle().await?;
    let handle: TaskHandle = task.handle();
    for subject in [AnyFuture::from(&task), AnyFuture::from(&handle), AnyFuture::from(handle.clone())] {
        let of_task: bool = subject.task() == Some(&handle) && !subject.done();
        assert!(of_task);
    }
    for limit in [None, Some(1), Some(-1)] {
        let graph: Option<FutureCallGraph> = capture_call_graph(&task, limit)?;
        let graph = graph.expect("it was named");
        let stack: &[FrameCallGraphEntry] = graph.call_stack();
        let (function, is_async): (&str, bool) = (stack[0].function(), stack[0].is_async());
        let (file, line): (Option<&str>, Option<u32>) = (stack[0].file(), stack[0].line());
        assert!(!function.is_empty() && is_async && file.is_some() && line.is_some());
        let awaited_by: &[FutureCallGraph] = graph.awaited_by();
        assert!(awaited_by.is_empty() && !graph.is_cut() && graph.activity() == Activity::Suspended);
    }
    assert!(capture_call_graph(&handle, None)?.is_some() && capture_call_graph(handle, 1)?.is_some());
    let text: String = format_call_graph(&future, None)?;
    assert!(text.starts_with("* Future(id=0x"));
    print_call_graph(None, 0, &mut Vec::new())?;
    future_add_to_awaited_by(&future, &task);
    future_discard_from_awaited_by(&task, current_task().expect("it runs in a task"));
    Ok(())
}

#[test]
fn runners_have_their_settings() -> Result<()> {
    static NAME: ContextVar<&str> = ContextVar::new("name");
    let builder =
        Runner::builder().workers(1).thread_name("face").debug(false).slow_poll(MAX).shutdown_timeout(MAX);
    let runner: Runner = builder.build()?;
    let first = runner.run(async {
        let token: Token<&str> = NAME.set("one");
        assert_eq!((NAME.name(), NAME.get()), ("name", Some("one")));
        NAME.reset(token)?;
        NAME.set("two");
        Ok(copy_context().run(|| NAME.get()))
    });
    assert_eq!(first?, Some("two"));
    let event_loop: EventLoop = runner.get_loop();
    runner.run(async { Ok(()) })?;
    runner.close();
    assert!(event_loop.is_closed());
    assert_eq!(selvedge::run(async { Ok(1) })?, 1);
    Ok(())
}
