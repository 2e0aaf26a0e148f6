//! A program for `tests/thread_end.rs`: what a thread-local keeps is made, used and dropped while its thread ends.
//!
//! The first argument is the thread that ends (`foreign`, `main`, `worker`, `pool`), the second which thread-locals are destroyed first: the
//! library's (`ours`) or the program's (`theirs`); a third one names a single case. Each case prints a line when it has ended well. Alone, the
//! argument `list` prints the names of all cases.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::task::{Context as PollContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use futures_util::FutureExt;
use selvedge::net::{TcpListener, TcpStream, UdpSocket};
use selvedge::{
    ConcurrentFuture, Context, ContextVar, Error, EventLoop, Result, Runner, RunnerBuilder, Task,
    ThreadPoolExecutor, Token, copy_context, run_coroutine_threadsafe,
};

const LONG: Duration = Duration::from_hours(1);

static VAR: ContextVar<u32> = ContextVar::new("var");
static BOMB: ContextVar<Bomb> = ContextVar::new("bomb");

/// Panics in whichever destructor drops the last one.
#[derive(Clone)]
struct Bomb(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Fuse>);

struct Fuse;

impl Drop for Fuse {
    fn drop(&mut self) {
        panic!("a value's drop panics");
    }
}

type Act = Box<dyn FnOnce()>;
type Pending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a case can go by.
#[derive(Clone)]
struct Env {
    /// Runs for as long as the program does.
    live: EventLoop,
    closed: EventLoop,
    /// The loop to which the ending thread belongs; `live` if to none.
    own: EventLoop,
    /// Whether the library's thread-locals are gone when the case runs.
    ours_first: bool,
    /// Whether the thread's own context is: a worker's code runs in its tasks' contexts, so it has none before its end.
    has_no_context: bool,
}

struct Case {
    name: String,
    prepare: Box<dyn Fn(&Env) -> Act>,
}

/// Runs what it keeps when it is dropped.
struct Kept(Vec<(String, Act)>);

impl Drop for Kept {
    fn drop(&mut self) {
        for (name, act) in std::mem::take(&mut self.0) {
            // A panic that left this destructor would end the process, and the other cases with it.
            let ended = catch_unwind(AssertUnwindSafe(act));
            println!("{name}: {}", if ended.is_ok() { "fine" } else { "panicked" });
        }
    }
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut cases = cases();
    let [thread, first, only @ ..] = arguments.as_slice() else {
        return cases.iter().for_each(|case| println!("{}", case.name));
    };
    cases.retain(|case| only.is_empty() || only.contains(&case.name));
    let ours_first = first == "ours";
    if thread == "main" && ours_first {
        // The first to be registered is the last to be destroyed.
        KEPT.with(|_| ());
    }
    let live = builder().build().expect("threads can be had");
    let closed = builder().build().expect("threads can be had").get_loop();
    let env = Env {
        own: live.get_loop(),
        live: live.get_loop(),
        closed,
        ours_first,
        has_no_context: ours_first && thread != "worker",
    };
    match thread.as_str() {
        "main" => {
            // Its loop is used after `main` has returned.
            static LIVE: OnceLock<Runner> = OnceLock::new();
            assert!(LIVE.set(live).is_ok(), "there is one main thread");
            keep(&env, &cases);
        }
        "foreign" => {
            for name in cases.into_iter().map(|case| case.name) {
                let env = env.clone();
                thread::spawn(move || keep(&env, &named(&name))).join().expect("no panic");
            }
        }
        "worker" | "pool" => {
            let is_worker = thread == "worker";
            for name in cases.into_iter().map(|case| case.name) {
                let runner = builder().build().expect("threads can be had");
                let env = Env { own: runner.get_loop(), ..env.clone() };
                let step = async move {
                    let prepare = move || keep(&env, &named(&name));
                    if is_worker {
                        prepare()
                    } else {
                        in_pool(prepare).await?
                    }
                    Ok(())
                };
                runner.run(step).expect("no panic");
                // Returns when the threads have ended, destructors included.
                runner.close();
            }
        }
        _ => panic!("no such thread: {thread}"),
    }
}

async fn in_pool(prepare: impl FnOnce() + Send + 'static) -> Result<()> {
    selvedge::get_running_loop()?.run_in_executor(None, prepare).await
}

fn builder() -> RunnerBuilder {
    Runner::builder().workers(1).shutdown_timeout(Duration::from_secs(20))
}

fn named(name: &str) -> Vec<Case> {
    let mut cases = cases();
    cases.retain(|case| case.name == name);
    cases
}

/// Leaves the cases to the calling thread's end.
fn keep(env: &Env, cases: &[Case]) {
    if env.ours_first {
        KEPT.with(|_| ());
        touch_ours(env);
    } else {
        touch_ours(env);
        KEPT.with(|_| ());
    }
    let acts = cases.iter().map(|case| (case.name.clone(), (case.prepare)(env))).collect();
    KEPT.with(|kept| kept.replace(Some(Kept(acts))));
}

/// Sees to it that the thread has all the thread-locals that the library may want.
fn touch_ours(env: &Env) {
    Context::new().run(|| VAR.set(0));
    // The thread's own context, or the task's if this is a worker.
    VAR.set(1);
    drop(env.closed.create_task(async { Ok(()) }));
    drop(env.live.create_task(async { Ok(()) }));
    if selvedge::get_running_loop().is_err() {
        run_coroutine_threadsafe(selvedge::sleep(Duration::from_millis(2)), &env.live)
            .result(None)
            .expect("it ends");
    }
    let (mut one, _other) = streams(env);
    poll_once(poll_fn(|cx| Pin::new(&mut one).poll_read(cx, &mut [0; 8])));
}

/// Four cases for each object: made and dropped, made and used, used, dropped while the thread ends.
fn object<T: 'static>(cases: &mut Vec<Case>, name: &str, make: fn(&Env) -> T, use_it: fn(&Env, T)) {
    let mut add = |manner: &str, prepare: Box<dyn Fn(&Env) -> Act>| {
        cases.push(Case { name: format!("{name} {manner}"), prepare });
    };
    add(
        "made",
        Box::new(move |env| {
            let env = env.clone();
            Box::new(move || drop(make(&env)))
        }),
    );
    add(
        "made and used",
        Box::new(move |env| {
            let env = env.clone();
            Box::new(move || use_it(&env, make(&env)))
        }),
    );
    add(
        "used",
        Box::new(move |env| {
            let (env, made) = (env.clone(), make(env));
            Box::new(move || use_it(&env, made))
        }),
    );
    add(
        "dropped",
        Box::new(move |env| {
            let made = make(env);
            Box::new(move || drop(made))
        }),
    );
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    tasks(&mut cases);
    loops(&mut cases);
    contexts(&mut cases);
    value_that_panics(&mut cases);
    sockets(&mut cases);
    waits(&mut cases);
    cases
}

fn tasks(cases: &mut Vec<Case>) {
    object(
        cases,
        "Task",
        |env| env.live.create_task(forever()),
        |_, task| {
            assert!(task.cancel() && wait_for(task).unwrap_err().is_cancelled());
        },
    );
    object(
        cases,
        "Task with a result",
        |env| {
            let task = env.live.create_task(async { Ok(vec![7; 7]) });
            while !task.done() {
                thread::yield_now();
            }
            task
        },
        |_, task| assert_eq!(wait_for(task).unwrap(), [7; 7]),
    );
    object(
        cases,
        "Task of a closed loop",
        |env| env.closed.create_task(async { Ok(7) }),
        |_, task| assert!(wait_for(task).unwrap_err().is_cancelled()),
    );
    object(
        cases,
        "Task of its own loop",
        |env| env.own.create_task(async { Ok(7) }),
        |_, task| assert!(task.done() || task.cancel()),
    );
    object(
        cases,
        "a hundred Tasks",
        |env| [(); 100].map(|()| env.live.create_task(forever())),
        |_, tasks| {
            for task in tasks {
                task.cancel();
            }
        },
    );
    object(
        cases,
        "TaskHandle",
        |env| env.live.create_task(forever()).handle(),
        |_, handle| {
            handle.set_name("late");
            handle.add_done_callback(|_| ());
            assert!(handle.cancel());
            assert!(format!("{handle:?}").contains("late"));
            drop(handle.clone());
        },
    );
    object(
        cases,
        "waker",
        |env| wakers(&env.live),
        |_, (waker, _task)| {
            waker.wake_by_ref();
            waker.clone().wake();
        },
    );
    object(
        cases,
        "waker of an ended task",
        |env| {
            let (waker, task) = wakers(&env.live);
            task.cancel();
            assert!(wait_for(task).is_err());
            waker
        },
        |_, waker| {
            waker.wake_by_ref();
            waker.clone().wake();
        },
    );
    object(
        cases,
        "Future",
        |env| env.live.create_future::<u32>(),
        |_, future| {
            future.add_done_callback(|_| ());
            poll_once(future.clone());
            future.set_result(7).unwrap();
            assert_eq!(wait_for(future).unwrap(), 7);
        },
    );
    object(
        cases,
        "Future of a closed loop",
        |env| env.closed.create_future::<u32>(),
        |_, future| {
            future.add_done_callback(|_| ());
            assert!(future.cancel() && wait_for(future).unwrap_err().is_cancelled());
        },
    );
    object(
        cases,
        "ConcurrentFuture",
        |env| run_coroutine_threadsafe(async { Ok(7) }, &env.live),
        |_, future| {
            future.add_done_callback(|_| ()).unwrap();
            assert_eq!(future.result(None).unwrap(), 7);
        },
    );
    object(
        cases,
        "ConcurrentFuture that waits",
        |env| run_coroutine_threadsafe(forever(), &env.live),
        |_, future| {
            assert!(future.result(Duration::from_millis(1)).unwrap_err().is_timeout());
            assert!(future.cancel() && future.exception(None).unwrap_err().is_cancelled());
        },
    );
    object(
        cases,
        "ConcurrentFuture of a closed loop",
        |env| run_coroutine_threadsafe(async { Ok(7) }, &env.closed),
        |_, future: ConcurrentFuture<i32>| {
            assert_eq!(future.result(None).unwrap_err().to_string(), "Event loop is closed")
        },
    );
}

fn loops(cases: &mut Vec<Case>) {
    object(
        cases,
        "EventLoop",
        |env| [env.live.clone(), env.closed.clone(), env.own.clone()],
        |_, loops| {
            for event_loop in loops {
                let (sender, called) = channel();
                let handle = event_loop.call_soon(move || _ = sender.send(()));
                assert!(handle.cancelled() || called.recv().is_ok() || event_loop.is_closed());
                event_loop.call_later(LONG, || ()).cancel();
                drop(event_loop.create_task(async { Ok(()) }));
                drop(
                    event_loop
                        .create_task_with(selvedge::task::Builder::new().eager_start(true), async { Ok(()) }),
                );
                event_loop.set_exception_handler(|_, _| ());
                event_loop.reset_exception_handler();
                assert!(
                    !format!("{event_loop:?}{:?}{:?}", event_loop.metrics(), event_loop.time()).is_empty()
                );
                drop(event_loop.all_tasks());
            }
        },
    );
    object(
        cases,
        "Runner",
        |_| builder().build().unwrap(),
        |_, runner| {
            assert_eq!(runner.run(async { selvedge::create_task(async { Ok(7) }).await }).unwrap(), 7);
            runner.close();
        },
    );
    object(
        cases,
        "Runner with tasks",
        |_| {
            let runner = builder().build().unwrap();
            drop(runner.get_loop().create_task(forever()));
            runner
        },
        |_, runner| runner.close(),
    );
    object(
        cases,
        "free functions",
        |_| (),
        |_, ()| {
            assert_eq!(selvedge::run(async { Ok(7) }).unwrap(), 7);
            assert_eq!(
                selvedge::try_create_task(forever()).unwrap_err().to_string(),
                "no running event loop"
            );
            assert!(selvedge::get_running_loop().is_err());
            assert!(selvedge::current_task().is_none() && selvedge::all_tasks().is_empty());
            assert!(wait_for(selvedge::to_thread(|| ())).is_err());
            assert!(wait_for(selvedge::sleep(LONG)).is_err());
        },
    );
    object(
        cases,
        "Handle",
        |env| env.live.call_soon(|| ()),
        |_, handle| {
            handle.cancel();
            assert!(format!("{handle:?}").contains("Handle"));
        },
    );
    object(
        cases,
        "TimerHandle",
        |env| env.live.call_later(LONG, || ()),
        |_, handle| {
            handle.cancel();
            assert!(handle.cancelled());
        },
    );
    object(
        cases,
        "blocking task",
        |env| env.live.run_in_executor(None, || 7),
        |_, task| assert_eq!(wait_for(task).unwrap(), 7),
    );
    object(
        cases,
        "blocking task of a closed loop",
        |env| env.closed.run_in_executor(None, || 7),
        |_, task| assert!(wait_for(task).is_err()),
    );
    object(
        cases,
        "ThreadPoolExecutor",
        |_| ThreadPoolExecutor::new(1).unwrap(),
        |env, executor| {
            assert_eq!(wait_for(env.live.run_in_executor(Some(&executor), || 7)).unwrap(), 7);
            executor.shutdown();
        },
    );
    #[cfg(unix)]
    object(
        cases,
        "signal handler",
        |env| env.live.add_signal_handler(selvedge::signal::SIGUSR2, || ()).unwrap(),
        |env, ()| assert!(env.live.remove_signal_handler(selvedge::signal::SIGUSR2).is_ok()),
    );
    object(
        cases,
        "call graph",
        |env| {
            let task = env.live.create_task(async { selvedge::gather([forever(), forever()]).await });
            on_loop(env, selvedge::sleep(Duration::ZERO));
            task
        },
        |_, task| {
            let graph = selvedge::capture_call_graph(&task, None).unwrap().expect("it was named");
            assert!(!graph.to_string().is_empty());
            task.cancel();
        },
    );
}

fn contexts(cases: &mut Vec<Case>) {
    object(
        cases,
        "Context",
        |_| Context::new(),
        |env, context| {
            let token = context.run(|| {
                let _ = VAR.set(2);
                let token = VAR.set(3);
                assert_eq!((VAR.get(), copy_context().run(|| VAR.get())), (Some(3), Some(3)));
                let inside = env.live.create_task(async { Ok(VAR.get()) });
                assert_eq!(wait_for(inside).unwrap(), Some(3));
                token
            });
            assert!(VAR.reset(token).is_err());
            assert_eq!(context.copy().run(|| VAR.get()), Some(3));
        },
    );
    object(
        cases,
        "copied Context",
        |_| copy_context(),
        |_, context| {
            context.run(|| drop(VAR.set(2)));
            assert_eq!(context.run(|| VAR.get()), Some(2));
        },
    );
    object(
        cases,
        "ContextVar",
        |_| (),
        |env, ()| {
            let before = VAR.get();
            let token = VAR.set(4);
            // What is set when the thread's own context is gone stays nowhere.
            let stays = VAR.get() == Some(4);
            assert!(stays || before.is_none());
            assert_eq!(VAR.reset(token).is_ok(), stays);
            assert_eq!(VAR.get(), before);
            let inherited = env.live.create_task(async { Ok(VAR.get()) });
            assert_eq!(wait_for(inherited).unwrap(), before);
        },
    );
    object(
        cases,
        "Token",
        |_| VAR.set(5),
        |env, token: Token<u32>| {
            let is_reset = VAR.reset(token).is_ok();
            assert!(
                !(is_reset && env.has_no_context),
                "this case is one in which the thread's context is gone"
            );
        },
    );
}

/// The thread's own context drops it, and a panic there must not end the process.
fn value_that_panics(cases: &mut Vec<Case>) {
    let prepare: fn(&Env) -> Act = |_| {
        let set = || drop(BOMB.set(Bomb(Arc::new(Fuse))));
        if selvedge::current_task().is_none() {
            set();
            return Box::new(|| ());
        }
        // In a task it would lie in the task's context. The thread's own is made when it is first wanted.
        Box::new(set)
    };
    cases.push(Case { name: "value that panics when it is dropped".to_owned(), prepare: Box::new(prepare) });
}

fn sockets(cases: &mut Vec<Case>) {
    object(
        cases,
        "TcpListener",
        |env| on_loop(env, TcpListener::bind("127.0.0.1:0")),
        |_, listener| {
            poll_once(listener.accept());
            assert!(listener.local_addr().is_ok());
        },
    );
    object(cases, "TcpStream", streams, |_, (mut one, other)| {
        poll_once(one.read(&mut [0; 8]));
        assert_eq!(one.try_write(b"x").unwrap(), 1);
        while other.try_read(&mut [0; 8]).is_err() {
            thread::yield_now();
        }
        poll_once(poll_fn(|cx| Pin::new(&mut one).poll_read(cx, &mut [0; 8])));
        poll_once(poll_fn(|cx| Pin::new(&mut one).poll_write(cx, b"x")));
    });
    object(
        cases,
        "TcpStream made here",
        |_| std_streams(),
        |_, (one, _other)| {
            // There is no loop that could tell when it is ready.
            assert!(TcpStream::from_std(one).is_err());
        },
    );
    object(
        cases,
        "UdpSocket",
        |env| on_loop(env, UdpSocket::bind("127.0.0.1:0")),
        |_, socket| {
            poll_once(socket.recv(&mut [0; 8]));
            assert!(socket.try_recv(&mut [0; 8]).is_err());
        },
    );
    #[cfg(unix)]
    object(
        cases,
        "UnixStream",
        |env| on_loop(env, async { selvedge::net::UnixStream::pair() }),
        |_, (one, other)| {
            poll_once(one.read(&mut [0; 8]));
            assert_eq!(other.try_write(b"x").unwrap(), 1);
        },
    );
    object(
        cases,
        "Server and streams",
        |env| {
            on_loop(env, async {
                let server = selvedge::start_server(|_, _| forever(), "127.0.0.1:0").await?;
                let (reader, writer) = selvedge::open_connection(server.local_addrs()[0]).await?;
                Ok((server, reader, writer))
            })
        },
        |_, (server, mut reader, writer)| {
            poll_once(reader.read(8));
            writer.write(b"x").unwrap();
            poll_once(writer.drain());
            writer.close();
            server.close();
            server.abort_clients();
        },
    );
}

/// What waits was polled once inside a task, and goes on here.
fn waits(cases: &mut Vec<Case>) {
    fn waits_for<F>(env: &Env, make: impl FnOnce() -> F + Send + 'static) -> Pending
    where
        F: Future + Send + 'static,
    {
        on_loop(env, async move {
            // One that ends at its first poll is ready for another.
            let mut waits: Pending = Box::pin(async move { drop(make().await) }.fuse());
            poll_fn(|cx| {
                let _ = waits.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            Ok(waits)
        })
    }
    let go_on: fn(&Env, Pending) = |_, waits| poll_once(waits);
    object(cases, "sleep", |env| waits_for(env, || selvedge::sleep(LONG)), go_on);
    object(cases, "gather", |env| waits_for(env, || selvedge::gather([forever(), forever()])), go_on);
    object(cases, "wait", |env| waits_for(env, || selvedge::wait([selvedge::create_task(forever())])), go_on);
    object(cases, "wait_for", |env| waits_for(env, || selvedge::wait_for(forever(), LONG)), go_on);
    object(cases, "shield", |env| waits_for(env, || selvedge::shield(forever())), go_on);
    object(
        cases,
        "timeout",
        |env| waits_for(env, || selvedge::timeout(LONG, async |_| forever().await)),
        go_on,
    );
    object(
        cases,
        "as_completed",
        |env| waits_for(env, || async { selvedge::as_completed([forever()]).next().await.map(drop) }),
        go_on,
    );
    object(
        cases,
        "task_group",
        |env| {
            waits_for(env, || {
                selvedge::task_group(async |tg| {
                    tg.create_task(forever());
                    selvedge::timeout(LONG, async |_| forever().await).await
                })
            })
        },
        go_on,
    );
    object(
        cases,
        "cancellable",
        |env| waits_for(env, || selvedge::cancellable(std::future::pending::<()>())),
        go_on,
    );
    object(cases, "to_thread", |env| waits_for(env, || selvedge::to_thread(|| ())), go_on);
    object(cases, "joined task", |env| waits_for(env, || selvedge::create_task(forever())), go_on);
}

async fn forever() -> Result<()> {
    selvedge::sleep(Duration::MAX).await
}

/// A task that waits, and its waker.
fn wakers(event_loop: &EventLoop) -> (Waker, Task<()>) {
    let (sender, receiver) = channel();
    let task = event_loop.create_task(async move {
        poll_fn(|cx| {
            // Nobody listens when it is polled again.
            let _ = sender.send(cx.waker().clone());
            Poll::<()>::Pending
        })
        .await;
        Ok(())
    });
    (receiver.recv().expect("it is polled"), task)
}

/// What a coroutine of the live loop returns.
fn on_loop<T: Send + 'static>(env: &Env, coro: impl Future<Output = Result<T>> + Send + 'static) -> T {
    let task = env.live.create_task(coro);
    wait_for(task).expect("it does not fail")
}

fn std_streams() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let one = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (one, listener.accept().unwrap().0)
}

fn streams(env: &Env) -> (TcpStream, TcpStream) {
    let (one, other) = std_streams();
    on_loop(env, async move {
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok::<_, Error>((TcpStream::from_std(one)?, TcpStream::from_std(other)?))
    })
}

fn poll_once<F: Future>(waits: F) {
    drop(pin!(waits).poll(&mut PollContext::from_waker(Waker::noop())));
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the calling thread, with a waker that is none of the library's.
fn wait_for<F: Future>(waits: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut waits, mut cx) = (pin!(waits), PollContext::from_waker(&waker));
    loop {
        match waits.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
